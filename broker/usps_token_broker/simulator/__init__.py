"""A fake USPS v3 API on loopback TCP: for our tests, for `demo`, and for the tests of users.

In Python:

    async with running(Settings(life_seconds=60)) as usps:
        usps.inject(Fault("unavailable", 5, endpoint="token", count=2))
        ...  # let a broker or a worker talk to usps.base_url
        usps.revoke("bearer")
        assert usps.calls.total("token") == 1

From a shell: `usps-token-broker simulate`, which says how to go on; while it runs, /sim/ steers it.

Data flow: `reader` (bytes to requests) > `connection` (sockets, and the faults that are about them)
> `service` (which endpoint, quota, faults) > `api_*` (what USPS says, in the `shapes` it says it).
`control` is /sim/, `state` is all there is to change, `fault_table` the one list of faults.
Nothing is imported before it is asked for: the command line needs the names only.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from usps_token_broker.simulator.arguments import (
        add_simulate_arguments as add_simulate_arguments,
    )
    from usps_token_broker.simulator.calls import Call as Call
    from usps_token_broker.simulator.calls import Calls as Calls
    from usps_token_broker.simulator.clock import Clock as Clock
    from usps_token_broker.simulator.clock import HostClock as HostClock
    from usps_token_broker.simulator.clock import ManualClock as ManualClock
    from usps_token_broker.simulator.command import simulate as simulate
    from usps_token_broker.simulator.fault_table import FAULTS as FAULTS
    from usps_token_broker.simulator.fault_values import FaultError as FaultError
    from usps_token_broker.simulator.faults import Fault as Fault
    from usps_token_broker.simulator.names import EXAMPLE_LABEL as EXAMPLE_LABEL
    from usps_token_broker.simulator.names import EXAMPLE_ROLES as EXAMPLE_ROLES
    from usps_token_broker.simulator.names import Api as Api
    from usps_token_broker.simulator.reader import Limits as Limits
    from usps_token_broker.simulator.settings import Settings as Settings
    from usps_token_broker.simulator.settings import SettingsError as SettingsError
    from usps_token_broker.simulator.simulator import Simulator as Simulator
    from usps_token_broker.simulator.simulator import running as running
    from usps_token_broker.simulator.standing import Injected as Injected

_HOMES: Final = {
    "Api": "names",
    "Call": "calls",
    "Calls": "calls",
    "Clock": "clock",
    "EXAMPLE_LABEL": "names",
    "EXAMPLE_ROLES": "names",
    "FAULTS": "fault_table",
    "Fault": "faults",
    "FaultError": "fault_values",
    "HostClock": "clock",
    "Injected": "standing",
    "Limits": "reader",
    "ManualClock": "clock",
    "Settings": "settings",
    "SettingsError": "settings",
    "Simulator": "simulator",
    "add_simulate_arguments": "arguments",
    "running": "simulator",
    "simulate": "command",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
