"""How often a uid may do something: so many times a minute, in whole numbers."""

from typing import Final

_MINUTE_USEC: Final = 60_000_000
_UIDS_KEPT: Final = 1024
"""Before those that have used nothing lately are looked for."""


class Rate:
    """A bucket of `per_minute` tokens for each uid, filled at that rate; 0 is no limit.

    A full bucket may be emptied at once. Only buckets that are not full are kept, so memory is
    bounded by the uids that have used theirs within the last minute. `now` is in microseconds, of
    a clock that never steps.
    """

    __slots__ = ("_full_at", "_kept", "per_minute")

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._full_at: dict[int, int] = {}
        """When the bucket of each uid will be full again, in parts of a microsecond, `per_minute`
        to one: so a token is a minute of them, and every rate is exact."""
        self._kept = _UIDS_KEPT

    def take(self, uid: int, now_usec: int) -> bool:
        """Takes a token, if there is one."""
        rate = self.per_minute
        if not rate:
            return True
        now = now_usec * rate
        full_at = max(self._full_at.get(uid, 0), now) + _MINUTE_USEC
        if full_at - now > _MINUTE_USEC * rate:
            return False
        self._full_at[uid] = full_at
        if len(self._full_at) > self._kept:
            self._forget(now)
        return True

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
