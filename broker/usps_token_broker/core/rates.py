"""How often a uid may do something: so many times a minute, in whole numbers."""

from typing import Final

_MINUTE_USEC: Final = 60_000_000
_BATCHES: Final = 10_000
"""To look at the clock for every token would cost a twentieth of an answer: they are taken out a
ten-thousandth of a minute's worth at a time, which is also how inexact a bucket may be."""
_UIDS_KEPT: Final = 1024
"""Before those that have used nothing lately are looked for."""


class Rate:
    """A bucket of `per_minute` tokens for each uid, filled at that rate; 0 is no limit.

    A full bucket may be emptied at once. Only buckets that are not full are kept, so memory is
    bounded by the uids that have used theirs within the last minute. `now` is in microseconds, of
    a clock that never steps.
    """

    __slots__ = ("_batch", "_full_at", "_kept", "_ready", "per_minute")

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._batch = max(1, per_minute // _BATCHES)
        self._ready: dict[int, int] = {}
        """Tokens that have been taken out for each uid and not been used."""
        self._full_at: dict[int, int] = {}
        """When the bucket of each uid will be full again, in parts of a microsecond, `per_minute`
        to one: so a token is a minute of them, and every rate is exact."""
        self._kept = _UIDS_KEPT

    def take_ready(self, uid: int) -> bool:
        """Takes a token if one lies ready; else `take` knows whether there is one."""
        ready = self._ready.get(uid, 0)
        if not ready:
            return False
        self._ready[uid] = ready - 1
        return True

    def take(self, uid: int, now_usec: int) -> bool:
        """Takes a token, if there is one, and lays some ready where there are many."""
        rate = self.per_minute
        if self.take_ready(uid) or not rate:
            return True
        now = now_usec * rate
        full_at = max(self._full_at.get(uid, 0), now)
        tokens = min(self._batch, (now + _MINUTE_USEC * rate - full_at) // _MINUTE_USEC)
        if not tokens:
            return False
        self._full_at[uid] = full_at + tokens * _MINUTE_USEC
        if tokens > 1:
            self._lay_ready(uid, tokens - 1)
        if len(self._full_at) > self._kept:
            self._forget(now)
        return True

    def _lay_ready(self, uid: int, tokens: int) -> None:
        if len(self._ready) >= _UIDS_KEPT:
            self._ready.clear()
        self._ready[uid] = tokens

    def seconds(self, uid: int, now_usec: int) -> int:
        """Whole seconds, at least one, until there is a token for this uid."""
        rate = self.per_minute
        if not rate:
            return 1
        now = now_usec * rate
        missing = max(self._full_at.get(uid, 0), now) + _MINUTE_USEC - now - _MINUTE_USEC * rate
        return max(1, -(-missing // (1_000_000 * rate)))

    def _forget(self, now: int) -> None:
        """Lets go of full buckets; looked at again when twice as many are kept as are left."""
        self._full_at = {uid: at for uid, at in self._full_at.items() if at > now}
        self._kept = max(_UIDS_KEPT, 2 * len(self._full_at))
