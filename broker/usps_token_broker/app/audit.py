"""Who was handed which token: a line for each program at once, for all its processes now and then.

Pure: instants are arguments, on the boot clock; what is seen of a process is asked for. Whatever
processes do, memory is bounded and so are the lines of an interval; those of each uid on its own,
so that a user whose programs change their names all the time hides nobody else's.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from usps_token_broker.drivers.processes import GONE, Sight

INTERVAL_SECONDS: Final = 600.0
"""How often processes of known programs are summed up."""
TRUSTED_SECONDS: Final = 1.0
"""For so long a pid is taken for the same process without a look: numbers are given out in turn,
32768 at the least, and no machine forks through them within a second."""
LINES_PER_UID: Final = 16
"""Of new programs, and as many of known ones."""
LINES: Final = 128
"""Of new programs, in an interval."""
SUMMARIES: Final = 64
"""Of known programs, in an interval."""
_PROGRAMS: Final = 1024
_PROCESSES: Final = 4096

_PLAIN: Final = re.compile(r"[\w./:@+,*~%-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Program:
    """What processes have in common that are told of together."""

    uid: int
    sight: Sight
    """Without the instant of the start."""

    def fields(self) -> Iterable[tuple[str, object]]:
        """What is known of it, for a line."""
        sight = self.sight
        named = [("unit", sight.unit), ("exe", sight.executable), ("comm", sight.name)]
        return [(key, value) for key, value in [*named, ("process", sight.unseen)] if value]


@dataclass(slots=True)
class _Process:
    """A process that has taken tokens, as it was at the last look."""

    started_at: float
    program: Program
    seen_at: float
    tokens: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Standing:
    """What was told of a program, and what is to be summed up."""

    program: Program
    told: set[str] = field(default_factory=set)
    more: set[str] = field(default_factory=set)
    """What was taken since the last summary,"""
    processes: int = 0
    """and by how many."""


class Audit:
    """`look` sees a process, `is_there` tells whether there is one of a pid, `say` logs a line."""

    def __init__(
        self,
        look: Callable[[int], Sight],
        is_there: Callable[[int], bool],
        say: Callable[[str], None],
    ) -> None:
        self._look = look
        self._is_there = is_there
        self._say = say
        self._processes: dict[tuple[int, int], _Process] = {}
        self._programs: dict[Program, _Standing] = {}
        self._lines: Counter[int] = Counter()
        """By uid, in this interval."""
        self._unlisted = 0

    def took(
        self,
        uid: int,
        pid: int,
        tokens: Iterable[str],
        now: float,
        came_at: float = math.inf,
    ) -> None:
        """A process was handed these tokens, on a connection that it made by `came_at`."""
        process = self._process(uid, pid, now, came_at)
        fresh = [token for token in tokens if token not in process.tokens]
        if not fresh:
            return
        process.tokens.update(fresh)
        standing = self._programs.pop(process.program, None)
        unknown = [token for token in fresh if standing is None or token not in standing.told]
        if unknown and not self._may_say(uid):
            self._unlisted += 1
        elif unknown:
            standing = standing or _Standing(process.program)
            standing.told.update(unknown)
            self._lines[uid] += 1
            fields = [("tokens", ",".join(unknown)), ("uid", uid), ("pid", pid)]
            self._say(line("handed out", [*fields, *process.program.fields()]))
        elif standing is not None:
            standing.more.update(fresh)
            standing.processes += 1
        if standing is not None:
            self._keep(standing)

    def sum_up(self) -> None:
        """The interval is over: say how many more there were, and begin the next."""
        busy = [standing for standing in self._programs.values() if standing.processes]
        busy.sort(key=lambda standing: -standing.processes)
        unlisted, said = self._unlisted, Counter[int]()
        for standing in busy:
            uid = standing.program.uid
            if said[uid] >= LINES_PER_UID or said.total() >= SUMMARIES:
                unlisted += standing.processes
                continue
            said[uid] += 1
            taken, count = ",".join(sorted(standing.more)), standing.processes
            fields = [("tokens", taken), ("uid", uid), ("more_processes", count)]
            self._say(line("handed out", [*fields, *standing.program.fields()]))
        if unlisted:
            self._say(line("handed out", [("and_more_processes_not_listed", unlisted)]))
        for standing in busy:
            standing.more.clear()
            standing.processes = 0
        self._lines.clear()
        self._unlisted = 0

    def _process(self, uid: int, pid: int, now: float, came_at: float) -> _Process:
        """The process that has this pid, looked at anew unless that was just done."""
        key = (uid, pid)
        known = self._processes.pop(key, None)
        if known is None or now - known.seen_at >= TRUSTED_SECONDS:
            sight = self._look(pid)
            if sight.started_at > came_at:  # who connected has ended, and left the connection
                sight = Sight(unseen=GONE)  # to others; this one only has its number
            program = Program(uid, _without_start(sight))
            if known is None or (known.started_at, known.program) != (sight.started_at, program):
                standing = self._programs.get(program)
                program = standing.program if standing else program  # one copy for all
                known = _Process(sight.started_at, program, now)
            known.seen_at = now
        if len(self._processes) >= _PROCESSES:
            self._forget_processes()
        self._processes[key] = known
        return known

    def _forget_processes(self) -> None:
        """Those that have ended; and when they are few, those that took nothing for longest."""
        alive = [key for key in self._processes if self._is_there(key[1])]
        kept = alive[-(_PROCESSES // 4 * 3) :]
        self._processes = {key: self._processes[key] for key in kept}

    def _keep(self, standing: _Standing) -> None:
        """As the one that was seen last."""
        if len(self._programs) >= _PROGRAMS:
            oldest = self._programs.pop(next(iter(self._programs)))
            self._unlisted += oldest.processes
        self._programs[standing.program] = standing

    def _may_say(self, uid: int) -> bool:
        return self._lines[uid] < LINES_PER_UID and self._lines.total() < LINES


def _without_start(sight: Sight) -> Sight:
    return replace(sight, started_at=0.0)


def line(what: str, fields: Iterable[tuple[str, object]]) -> str:
    """A line like `what: key=value ...`, where no value can look like anything but one value."""
    return f"{what}: " + " ".join(f"{key}={_value(str(value))}" for key, value in fields)


def _value(text: str) -> str:
    """As it is, or quoted in ASCII with everything escaped that is not: names are anybody's."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
