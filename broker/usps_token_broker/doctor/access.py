"""Who gets which token, by the configuration; and whether one user would."""

import grp
import pwd
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usps_token_broker.app.access import AccessTable, Rule
from usps_token_broker.config import AppSettings
from usps_token_broker.doctor.findings import Finding, failed, passed, unseen
from usps_token_broker.doctor.scene import Scene
from usps_token_broker.drivers import probing
from usps_token_broker.drivers.probing import Identity

CHECK: Final = "access"


@dataclass(frozen=True, slots=True)
class Person:
    """A user of this host, with the groups a new process of theirs would have."""

    name: str
    identity: Identity


def look(scene: Scene) -> Iterator[Finding]:
    """The rules, and what they say of `--as`. Blocks: names are looked up."""
    if scene.settings is None:
        yield unseen(CHECK, "there is no configuration that says who may")
        return
    table = AccessTable(scene.settings.apps, scene.daemon().uid)
    for rule in table.rules:
        yield passed(CHECK, f"{rule.slot}: {_whom(rule)}")
    if scene.as_user is None:
        return
    person = find(scene.as_user)
    if person is None:
        saw = f"there is no user {scene.as_user!r} on this host"
        yield failed(CHECK, "forbidden", saw, "give --as a name or number that `id` knows")
        return
    yield judge(person, table, scene.settings.apps)
    yield from _reach(person, scene.socket_paths[0])


def find(user: str) -> Person | None:
    """By name or number. Blocks."""
    try:
        entry = pwd.getpwnam(user)
    except (KeyError, ValueError):
        if not (user.isascii() and user.isdigit()):
            return None
        try:
            entry = pwd.getpwuid(int(user))
        except (KeyError, OverflowError):
            number = int(user)
            # A container's workers often have no name, and so no group but their own.
            return Person(user, Identity(number, number)) if number < 2**32 - 1 else None
    groups = frozenset(probing.groups_of(entry.pw_name, entry.pw_gid))
    return Person(entry.pw_name, Identity(entry.pw_uid, entry.pw_gid, groups))


def judge(person: Person, table: AccessTable, apps: tuple[AppSettings, ...]) -> Finding:
    """Whether the rules give this user anything."""
    who = person.identity
    access = table.of(who.uid, {who.gid, *who.groups})
    if access.slots:
        gets = ", ".join(str(slot) for slot in sorted(access.slots))
        return passed(CHECK, f"user {person.name} (uid {who.uid}) gets {gets}")
    app = apps[0].name
    groups = ", ".join(map(str, sorted({who.gid, *who.groups})))
    return failed(
        CHECK,
        "forbidden",
        f"user {person.name} (uid {who.uid}, groups {groups}) gets no token",
        f'write users = ["{person.name}"] below [apps.{app}.bearer], and below the payment slots '
        "that it needs; then `usps-token-broker reload`",
    )


def _reach(person: Person, path: Path) -> Iterator[Finding]:
    """Whether the system lets this user to the socket at all."""
    if not path.exists():
        return
    may = probing.may(person.identity, "w", path)
    if may is None:
        yield unseen(
            CHECK, f"whether {person.name} can reach {path}: only root can try", "use sudo"
        )
    elif may:
        yield passed(CHECK, f"user {person.name} can reach {path}")
    else:
        yield failed(CHECK, "no_permission", f"user {person.name} cannot reach {path}")


def _whom(rule: Rule) -> str:
    who = [_called("user", uid, lambda i: pwd.getpwuid(i).pw_name) for uid in sorted(rule.users)]
    who += [_called("group", gid, lambda i: grp.getgrgid(i).gr_name) for gid in sorted(rule.groups)]
    return ", ".join(who) if who else "root and the broker's own user alone"


def _called(kind: str, number: int, name: Callable[[int], str]) -> str:
    try:
        return f"{kind} {name(number)} ({number})"
    except (KeyError, OSError, OverflowError):
        return f"{kind} {number}"
