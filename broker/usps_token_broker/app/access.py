"""Who may have which token: decided by uid and gids at accept, before a byte is parsed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from usps_token_broker.config import AppSettings
from usps_token_broker.core.values import SlotId
from usps_token_broker.drivers.peers import OVERFLOW_ID, is_known

DEFAULT_APP: Final = "default"


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom a slot is open to, beside root and the daemon's own user."""

    slot: SlotId
    users: frozenset[int]
    groups: frozenset[int]

    def admits(self, uid: int, groups: frozenset[int]) -> bool:
        """Whether this peer may have the token."""
        return (is_known(uid) and uid in self.users) or not self.groups.isdisjoint(groups)


@dataclass(frozen=True, slots=True)
class Access:
    """What one kind of peer may use. Shared by all connections of the same identity."""

    uid: int
    groups: frozenset[int]
    slots: frozenset[SlotId]
    administrator: bool
    plans: dict[bytes, object] = field(default_factory=dict, compare=False, repr=False)
    """Requests of this identity that were understood before."""
    table: "AccessTable | None" = field(default=None, compare=False, repr=False)
    """Whose judgement this is: that of another configuration does not count."""

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
    """The rules of a configuration, and the identities seen so far (bounded).

    May be asked from any thread: at the worst two of them work out the same.
    """

    _REMEMBERED: Final = 1024

    def __init__(self, apps: Iterable[AppSettings], own_uid: int) -> None:
        self.rules = tuple(_rules(apps))
        self._own_uids = {0, own_uid}
        self._known: dict[tuple[int, frozenset[int]], Access] = {}

    def of(self, uid: int, groups: Iterable[int]) -> Access:
        """What this identity may use; root and the daemon's own user may use everything.

        Ids that the kernel gives for anybody it cannot name match nothing, not even ourselves.
        """
        key = (uid, frozenset(filter(is_known, groups)))
        access = self._known.get(key)
        if access is None:
            access = self._judge(*key)
            if len(self._known) >= self._REMEMBERED:
                self._known.clear()
            self._known[key] = access
        return access

    def onlooker(self) -> Access:
        """Who may see how every slot stands. For a door that no token goes through."""
        slots = frozenset(rule.slot for rule in self.rules)
        return Access(OVERFLOW_ID, frozenset(), slots, administrator=False, table=self)

    def _judge(self, uid: int, groups: frozenset[int]) -> Access:
        administrator = is_known(uid) and uid in self._own_uids
        slots = (rule.slot for rule in self.rules if administrator or rule.admits(uid, groups))
        return Access(uid, groups, frozenset(slots), administrator, table=self)


def _rules(apps: Iterable[AppSettings]) -> Iterable[Rule]:
    for app in apps:
        for slot in (app.bearer, *app.payments):
            yield Rule(SlotId(app.name, slot.name), slot.users, slot.groups)
