"""The 403: who you are, what is open to whom, and the line to add.

People go by names, and a name service may take its time or hang; so names are looked up in threads
of their own, for a few seconds at most. Without an answer numbers must do.
"""

import grp
import logging
import pwd
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

import anyio
import anyio.to_thread

from usps_token_broker.app import problems
from usps_token_broker.app.access import Access, Rule
from usps_token_broker.config.problems import key_path
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import BEARER, PAYMENT, SlotId
from usps_token_broker.drivers import journal
from usps_token_broker.drivers.peers import is_known
from usps_token_broker.wire.replies import Reply

log = logging.getLogger(journal.LOGGER)

NAMES_SECONDS: Final = 3.0
"""How long a name service may take before numbers are told."""
_LOOKUPS_AT_ONCE: Final = 4
_MOST_SHOWN: Final = 8
_MOST_REMEMBERED: Final = 1024

Name = Callable[[int], str | None]


def user_name(uid: int) -> str | None:
    """The name of a user, if it has one. Blocks."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return None


def group_name(gid: int) -> str | None:
    """The name of a group, if it has one. Blocks."""
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OSError):
        return None


def nameless(_id: int) -> None:
    """The name of nobody, for when there is no time to look one up."""


class Forbidding:
    """Says no, at length; worked out, and told to the log, once for each kind of peer and slot."""

    def __init__(
        self, rules: Collection[Rule], user: Name = user_name, group: Name = group_name
    ) -> None:
        self._rules = rules
        self._user = user
        self._group = group
        self._said: dict[tuple[Access, SlotId | None], Reply] = {}
        self._lookups: anyio.CapacityLimiter | None = None

    async def reply(self, access: Access, slot: SlotId) -> Reply:
        """Why this peer, who may use others, may not use this slot."""
        said = self._said.get((access, slot))
        if said is not None:
            return said
        if self._lookups is None:
            self._lookups = anyio.CapacityLimiter(_LOOKUPS_AT_ONCE)
        with anyio.move_on_after(NAMES_SECONDS):
            return await anyio.to_thread.run_sync(
                self.say, access, slot, limiter=self._lookups, abandon_on_cancel=True
            )
        return self.say_by_number(access, slot)

    def said(self, access: Access) -> Reply | None:
        """What this peer, who may use nothing, is told, if it was worked out before."""
        return self._said.get((access, None))

    def say(self, access: Access, slot: SlotId | None = None) -> Reply:
        """Work out and remember what this peer is told. Blocks."""
        detail = _detail(access, slot, self._user, self._group)
        log.warning("refused: %s", detail, extra=journal.event("refused", reason="forbidden"))
        reply = self._reply(detail, access, slot, self._user, self._group)
        if len(self._said) >= _MOST_REMEMBERED:
            self._said.clear()
        self._said[access, slot] = reply
        return reply

    def say_by_number(self, access: Access, slot: SlotId | None = None) -> Reply:
        """What this peer is told when nobody knows names."""
        detail = _detail(access, slot, nameless, nameless)
        return self._reply(detail, access, slot, nameless, nameless)

    def _reply(
        self, detail: str, access: Access, slot: SlotId | None, user: Name, group: Name
    ) -> Reply:
        rules = [rule for rule in self._rules if slot in (None, rule.slot)]
        fix = _fix(access, slot or SlotId(rules[0].slot.app, BEARER), user(access.uid))
        opened = _open(rules, user, group)
        return problems.problem(Code.FORBIDDEN, f"{detail}. Open: {opened}", fix)


def _detail(access: Access, slot: SlotId | None, user: Name, group: Name) -> str:
    what = "use this broker" if slot is None else f"have the token {slot}"
    return f"{_whoever(access, user, group)} may not {what}"


def _whoever(access: Access, user: Name, group: Name) -> str:
    name = user(access.uid)
    who = f"user {name} (uid {access.uid}" if name else f"the user without a name (uid {access.uid}"
    groups = _listed(_called(gid, group) for gid in sorted(access.groups))
    return f"{who}; groups: {groups or 'none'})"


def _called(number: int, name: Name) -> str:
    return name(number) or str(number)


def _open(rules: Iterable[Rule], user: Name, group: Name) -> str:
    """Which slots are open to whom; those that are open to the same are told together."""
    together: dict[str, list[str]] = {}
    for rule in rules:
        who = [f"user {_called(uid, user)}" for uid in sorted(rule.users)]
        who += [f"group {_called(gid, group)}" for gid in sorted(rule.groups)]
        whom = _listed(who) or "root and the broker's own user alone"
        together.setdefault(whom, []).append(str(rule.slot))
    return _listed((f"{_listed(slots)} to {whom}" for whom, slots in together.items()), "; ")


def _fix(access: Access, slot: SlotId, name: str | None) -> str:
    if not is_known(access.uid):
        return (
            f"{access.uid} is what the kernel says of everybody whose id it cannot tell here, so "
            "it never opens anything: run the worker as a user of its own, which the broker's "
            "user namespace knows"
        )
    table = key_path("apps", slot.app, *_table(slot))
    value = f'"{name}"' if name else str(access.uid)
    return (
        f"in the broker's configuration file, add users = [{value}], or groups = [a group of "
        f"yours], to [{table}]; then `usps-token-broker reload`"
    )


def _table(slot: SlotId) -> tuple[str, ...]:
    if slot.is_bearer:
        return (BEARER,)
    return ("payments", slot.name.removeprefix(PAYMENT).removeprefix("-") or "default")


def _listed(words: Iterable[str], separator: str = ", ") -> str:
    """The first few, and how many more there are."""
    every = [*words]
    return separator.join(_shortened(every))


def _shortened(words: list[str]) -> Iterator[str]:
    yield from words[:_MOST_SHOWN]
    if len(words) > _MOST_SHOWN:
        yield f"and {len(words) - _MOST_SHOWN} more"
