"""Reading one TOML table: takes the keys that are known, and notes what is wrong with the rest."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

from usps_token_broker.config.kinds import NAME, Kind, Unfit
from usps_token_broker.config.problems import Problem, key_path, kind_of

T = TypeVar("T")

ENVIRONMENT: Final = "the environment"

_NEAR: Final = 0.85
"""How like a name must be to be taken for a slip; difflib's measure."""
_TOP: Final = "belongs at the top of the file, above the first [table]"
_APP: Final = "belongs in [apps.NAME]"
_SLOT: Final = "belongs in [apps.NAME.bearer] or [apps.NAME.payments.NAME]"
_HOMES: Final = {
    "state_dir": _TOP,
    "socket": _TOP,
    "allow_http_hosts": _TOP,
    "allow_readable_secret": _TOP,
    "base_url": _APP,
    "client_id": _APP,
    "client_secret": _APP,
    "buffer_seconds": _APP,
    "lead_seconds": _APP,
    "calls_per_hour": _APP,
    "timeout_seconds": _APP,
    "proxy": _APP,
    "ca_file": _APP,
    "bearer": _APP,
    "payments": _APP,
    "users": _SLOT,
    "groups": _SLOT,
    "required": _SLOT,
    "roles": "belongs in [apps.NAME.payments.NAME]",
    "apps": "belongs in the main file; here the slot's own keys stand alone, without a [table]",
    "listen": "belongs in [http]",
    "tokens": "belongs in [http]",
    "tokens_beyond_loopback": "belongs in [http]",
    "keys_file": "belongs in [http]",
    "keep": "belongs in [apps.NAME.payments.NAME]; the bearer is always kept",
}
_PARTS_OF_AN_APP: Final = frozenset({"bearer", "client_secret", "payments"})
_UNNAMED: Final = "write it into [apps.default], or whatever the app is named"
_OTHER_WORDS: Final = {
    "consumer_key": "client_id",
    "consumer_secret": "client_secret",
    "secret": "client_secret",
    "host": "base_url",
    "url": "base_url",
    "timeout": "timeout_seconds",
    "socket_path": "socket",
    "address": "listen",
    "port": "listen",
}


class Table:
    """A table being read. Each key is asked for once; `finish` refuses those nobody asked for.

    What is given for a value that was refused is a stand-in: with a problem noted, nothing of
    the result is used.
    """

    def __init__(
        self,
        source: str,
        values: Mapping[str, object],
        problems: list[Problem],
        way: tuple[str, ...] = (),
    ) -> None:
        self.source = source
        self.way = way
        self.problems = problems
        self._values = values
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def take(self, key: str, kind: Kind[T], default: T) -> T:
        """The value of a key that may be left out."""
        self._known.append(key)
        if key not in self._values:
            return default
        value = kind.read(self._values[key])
        if not isinstance(value, Unfit):
            return value
        for fault in value.faults:
            fix = fault.fix or self.assignment(key, fault.write or kind.example)
            self.note(fault.expected, fault.found, fix, key, *fault.below)
        return default

    def need(self, key: str, kind: Kind[T], stand_in: T) -> T:
        """The value of a key that must be there."""
        if key not in self._values:
            self._known.append(key)
            self.note("this key", self.nothing(key), self.assignment(key, kind.example), key)
            return stand_in
        return self.take(key, kind, stand_in)

    def assignment(self, key: str, example: str) -> str:
        """How to write a value here."""
        return f"write: {key_path(key)} = {example}"

    def nothing(self, key: str) -> str:
        """What is found in place of a key that is not there, with one of nearly that name."""
        others = [name for name in self._values if name not in self._known]
        near = difflib.get_close_matches(key, others, n=1, cutoff=_NEAR)
        return f"nothing (but {key_path(near[0])} is there)" if near else "nothing"

    def table(self, key: str) -> "Table":
        """A table within; an empty one where there is none."""
        self._known.append(key)
        return self._inner(key, self._values.get(key, {}))

    def named_tables(self, key: str) -> Iterator[tuple[str, "Table"]]:
        """The tables within a table, each under a name that its writer chose."""
        outer = self.table(key)
        for name, values in outer._values.items():  # noqa: SLF001 - of the same class
            if not isinstance(values, dict):
                header = key_path(*outer.way, "default")
                outer.note("tables only", kind_of(values), f"write it below [{header}]", name)
            elif outer.way == ("apps",) and name in _PARTS_OF_AN_APP:
                outer.note("the name of an app", "a part of one", _UNNAMED, name)
            elif isinstance(NAME.read(name), Unfit):
                outer.note(NAME.expected, "another name", "rename the table", name)
            else:
                yield name, outer._inner(name, values)  # noqa: SLF001 - of the same class

    def _inner(self, key: str, values: object) -> "Table":
        if not isinstance(values, dict):
            header = f"write: [{key_path(*self.way, key)}]"
            self.note("a table", kind_of(values), header, key)
            values = {}
        return Table(self.source, values, self.problems, (*self.way, key))

    def note(self, expected: str, found: str, fix: str, *below: str | int) -> None:
        """Note a problem with this table or what is below it."""
        key = key_path(*self.way, *below)
        self.problems.append(Problem(self.source, key, expected, found, fix))

    def finish(self) -> None:
        """Note every key that nobody asked for. Values are not shown: one may be the secret."""
        for key in self._values:
            if key not in self._known:
                fix = self._meant(key) or f"the keys here are {', '.join(sorted(self._known))}"
                self.note("a key that is known here", "an unknown one", fix, key)

    def _meant(self, key: str) -> str:
        plain = key.lower().replace("-", "_")
        if plain in _HOMES and plain not in self._known:
            return f"{plain} {_HOMES[plain]}"
        if _OTHER_WORDS.get(plain) in self._known:
            return f"did you mean {_OTHER_WORDS[plain]}?"
        near = difflib.get_close_matches(plain, self._known, n=1)
        return f"did you mean {near[0]}?" if near else ""


class Variables(Table):
    """The environment as a table of strings; an empty variable is none."""

    def __init__(
        self, environ: Mapping[str, str], problems: list[Problem], known: Iterable[str] = ()
    ) -> None:
        super().__init__(ENVIRONMENT, {n: v for n, v in environ.items() if v}, problems)
        self._ours = frozenset(known)

    def assignment(self, key: str, example: str) -> str:
        """As a shell writes it."""
        return f"set {key}={example if ' ' in example else example.strip(chr(34))}"

    def nothing(self, key: str) -> str:
        """With the variable of nearly that name, if one is set."""
        others = [name for name in self._values if name not in self._ours]
        near = difflib.get_close_matches(key, others, n=1, cutoff=_NEAR)
        return f"nothing (but {near[0]} is set)" if near else "nothing"
