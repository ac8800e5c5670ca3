"""Who may have which token: decided by uid and gids at accept, before a byte is parsed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from usps_token_broker.config import AppSettings
from usps_token_broker.core.values import SlotId

DEFAULT_APP: Final = "default"


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom a slot is open to, beside root and the daemon's own user."""

    slot: SlotId
    users: frozenset[int]
    groups: frozenset[int]

    def admits(self, uid: int, groups: Iterable[int]) -> bool:
        """Whether this peer may have the token."""
        return uid in self.users or not self.groups.isdisjoint(groups)


@dataclass(frozen=True, slots=True)
class Access:
    """What one kind of peer may use. Shared by all connections of the same identity."""

    uid: int
    groups: frozenset[int]
    slots: frozenset[SlotId]
    administrator: bool
    plans: dict[bytes, object] = field(default_factory=dict, compare=False)
    """Requests of this identity that were understood before."""

    @property
    def apps(self) -> tuple[str, ...]:
        """The apps of which this peer may use at least one slot."""
        return tuple(sorted({slot.app for slot in self.slots}))

    def app(self, name: str | None) -> str | None:
        """The app meant by `app=`: that one, the only one, or `default`; None when unclear."""
        if name is not None:
            return name if name in self.apps else None
        if len(self.apps) == 1:
            return self.apps[0]
        return DEFAULT_APP if DEFAULT_APP in self.apps else None

    def slot_names(self, app: str) -> tuple[str, ...]:
        """The slots of this app that the peer may use."""
        return tuple(sorted(slot.name for slot in self.slots if slot.app == app))


class AccessTable:
    """The rules of a configuration, and the identities seen so far (bounded)."""

    _REMEMBERED: Final = 1024

    def __init__(self, apps: Iterable[AppSettings], own_uid: int) -> None:
        self.rules = tuple(_rules(apps))
        self._own_uids = {0, own_uid}
        self._known: dict[tuple[int, frozenset[int]], Access] = {}

    def of(self, uid: int, groups: frozenset[int]) -> Access:
        """What this identity may use; root and the daemon's own user may use everything."""
        key = (uid, groups)
        access = self._known.get(key)
        if access is None:
            administrator = uid in self._own_uids
            slots = frozenset(
                rule.slot for rule in self.rules if administrator or rule.admits(uid, groups)
            )
            access = Access(uid, groups, slots, administrator)
            if len(self._known) >= self._REMEMBERED:
                self._known.clear()
            self._known[key] = access
        return access


def _rules(apps: Iterable[AppSettings]) -> Iterable[Rule]:
    for app in apps:
        for slot in (app.bearer, *app.payments):
            yield Rule(SlotId(app.name, slot.name), slot.users, slot.groups)


def explain(rules: Iterable[Rule], names: Mapping[str, str]) -> str:
    """What is open to whom, in a sentence. `names` gives people's words for `uid:N`, `gid:N`."""
    parts = []
    for rule in rules:
        who = [f"user {names.get(f'uid:{uid}', uid)}" for uid in sorted(rule.users)]
        who += [f"group {names.get(f'gid:{gid}', gid)}" for gid in sorted(rule.groups)]
        parts.append(f"{rule.slot} to {', '.join(who) if who else 'root and the daemon alone'}")
    return "; ".join(parts)
