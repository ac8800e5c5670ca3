"""A fault as somebody asks for it: in Python, in one line of text, or in JSON."""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Final, Self

from usps_token_broker.simulator.fault_table import FaultKind, kind_of
from usps_token_broker.simulator.fault_values import LONGEST_SECONDS, FaultError, Number
from usps_token_broker.simulator.names import EVERYWHERE, Api

GRAMMAR: Final = "NAME[=VALUE][@ENDPOINT][xCOUNT][/SECONDSs]"

_SPEC: Final = re.compile(
    r"(?P<name>[a-z0-9_]+?)"
    r"(?:=(?P<value>[^@\s]+?))?"
    r"(?:@(?P<endpoint>[a-z-]+?))?"
    r"(?:x(?P<count>\d{1,9}))?"
    r"(?:/(?P<for_seconds>\d{1,9}(?:\.\d+)?)s)?"
)
_KEYS: Final = ("name", "value", "endpoint", "count", "for_seconds")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to inject; `value` None is the default of its kind.

    It stands until it has shown `count` times, until `for_seconds` of the simulator's time have
    passed, or until it is taken away, whichever is first.

    Raises:
        FaultError: Name, value, endpoint, count or span do not fit; the text says what does.
    """

    name: str
    value: float | str | None = None
    _: KW_ONLY
    endpoint: str = EVERYWHERE
    count: int | None = None
    for_seconds: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _value(self.kind, self.value))
        _check_endpoint(self.kind, self.endpoint)
        _check_count(self.count)
        if self.for_seconds is not None:
            span = Number("for_seconds", 1.0, 0.001, LONGEST_SECONDS)
            try:
                object.__setattr__(self, "for_seconds", span.read(self.for_seconds))
            except FaultError as error:
                raise FaultError(f"for_seconds: {error}") from None

    @property
    def kind(self) -> FaultKind:
        """Its row in the table.

        Raises:
            FaultError: There is no such fault.
        """
        return kind_of(self.name)

    @property
    def number(self) -> float:
        """The value of a fault whose value is a number."""
        if not isinstance(self.value, float):
            raise TypeError(f"the value of {self.name} is {self.value!r}, not a number")
        return self.value

    def applies_to(self, api: Api) -> bool:
        """Whether calls of this endpoint meet it."""
        return api in self.kind.apis and self.endpoint in (EVERYWHERE, api)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The fault written as `NAME[=VALUE][@ENDPOINT][xCOUNT][/SECONDSs]`.

        Raises:
            FaultError: The text is not of that form, or what it says does not fit.
        """
        found = _SPEC.fullmatch(text.strip())
        if found is None:
            raise FaultError(
                f"{text!r} is not of the form {GRAMMAR}, such as rate_limited=30@tokenx2"
            )
        part = found.groupdict()
        return cls(
            part["name"],
            part["value"],
            endpoint=part["endpoint"] or EVERYWHERE,
            count=None if part["count"] is None else int(part["count"]),
            for_seconds=None if part["for_seconds"] is None else float(part["for_seconds"]),
        )

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> Self:
        """The fault given as decoded JSON.

        Raises:
            FaultError: A key is unknown or missing, or a value does not fit.
        """
        unknown = sorted(set(fields) - set(_KEYS))
        if unknown:
            raise FaultError(f"unknown key {unknown[0]!r}; a fault has: {', '.join(_KEYS)}")
        value, endpoint, count, for_seconds = (fields.get(key) for key in _KEYS[1:])
        if value is not None and not isinstance(value, int | float | str):
            raise FaultError(f"value: {value!r} is neither a number nor a text")
        if count is not None and not isinstance(count, int):
            raise FaultError(f"count: {count!r} is not a whole number from 1")
        if for_seconds is not None and not isinstance(for_seconds, int | float):
            raise FaultError(f"for_seconds: {for_seconds!r} is not a number")
        return cls(
            kind_of(fields.get("name")).name,
            value,
            endpoint=EVERYWHERE if endpoint is None else str(endpoint),
            count=count,
            for_seconds=for_seconds,
        )


def _value(kind: FaultKind, value: object) -> float | str | None:
    if kind.value is None:
        if value is not None:
            raise FaultError(f"the fault {kind.name} takes no value, but was given {value!r}")
        return None
    try:
        return kind.value.read(kind.value.default if value is None else value)
    except FaultError as error:
        raise FaultError(f"{kind.name}={kind.value.label}: {error}") from None


def _check_endpoint(kind: FaultKind, endpoint: str) -> None:
    if endpoint != EVERYWHERE and endpoint not in kind.apis:
        allowed = ", ".join((*kind.apis, EVERYWHERE))
        raise FaultError(f"the fault {kind.name} has no endpoint {endpoint!r}; it has: {allowed}")


def _check_count(count: object) -> None:
    if count is None:
        return
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise FaultError(f"count: {count!r} is not a whole number from 1")
