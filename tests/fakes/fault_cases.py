"""Every fault of the simulator at some endpoints, from its own table, and how one begins."""

from collections.abc import Mapping
from typing import NamedTuple

from processes import Usps

from usps_token_broker.simulator.fault_table import FAULTS
from usps_token_broker.simulator.fault_values import Choice
from usps_token_broker.simulator.names import Api


class Case(NamedTuple):
    """A fault, one of its values where those are words, and the endpoint it happens at."""

    name: str
    value: str | None
    api: str


def cases(*apis: Api) -> list[Case]:
    """All there are at these endpoints; a new row of the table is a new case."""
    return [
        Case(kind.name, value, api.value)
        for kind in FAULTS.values()
        for value in (kind.value.options if isinstance(kind.value, Choice) else (None,))
        for api in kind.apis
        if api in apis
    ]


def play(usps: Usps, case: Case, gentler: Mapping[str, float]) -> None:
    """Begin a fault; `gentler` are values that show it as well and take less of a test's time."""
    value = gentler.get(case.name) if case.value is None else case.value
    body = {"name": case.name, "endpoint": case.api}
    usps.ask("POST", "/sim/faults", body if value is None else {**body, "value": value})
