"""What the simulator tells people: its index page and the lines it prints at its start."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from usps_token_broker.simulator.fault_table import table_text
from usps_token_broker.simulator.faults import GRAMMAR
from usps_token_broker.simulator.names import EXAMPLE_ROLES, Api
from usps_token_broker.simulator.service import SERVED
from usps_token_broker.simulator.settings import rules_text


@dataclass(frozen=True, slots=True)
class Greeting:
    """What somebody needs to know to use a simulator that has just started."""

    base_url: str
    client_id: str
    client_secret: str
    """The secret, or what to write in its place when it is not to be shown."""
    life_seconds: int
    standing: Sequence[str] = ()
    is_open: bool = False
    """Whether others than this host can reach it."""


def index(base_url: str) -> str:
    """The page at /sim/: all that can be done, each with a line to copy."""
    served = "\n".join(f"  {method:<7}{path}" for method, path, _ in SERVED)
    return f"""\
This is usps-token-broker's simulator of the USPS v3 API. Nothing here is real. It answers:
{served}

In a shell, first: SIM={base_url}/sim

Faults, written {GRAMMAR}: at one endpoint or at
all it can happen at, so many times or without end, for so long or until it is taken away.
  curl -d 'rate_limited=30@tokenx2' $SIM/faults     # the next two token calls get a 429
  curl -d 'hang@labels/20s' $SIM/faults             # label calls hang for 20 seconds
  curl -d '{{"name": "delay", "value": 2, "endpoint": "token", "count": 1}}' $SIM/faults
  curl $SIM/faults                                  # those that stand, and all there are
  curl -X DELETE $SIM/faults                        # take all away; one: $SIM/faults/ID
Endpoints are {", ".join(Api)}, all. Faults are,
{table_text()}

Revocation: live tokens die at once.
  curl -d '{{"what": "bearer"}}' $SIM/revocations     # or payment, or all
  curl -d '{{"what": "all", "client_id": "demo-client-id"}}' $SIM/revocations

Settings: those not named stay, and so do tokens granted before.
  curl $SIM/settings
  curl -X PUT -d '{{"client_secret": "rotated"}}' $SIM/settings
  curl -X PUT -d '{{"life_seconds": 60, "quotas": {{"token": null}}}}' $SIM/settings
There are:{rules_text()}

Time: USPS's clock is moved forwards; tokens grow old, faults and quotas run out.
  curl -d '{{"advance_seconds": 28800}}' $SIM/clock   # every token so far is past its life

Calls: counters by endpoint, status and outcome, and the last calls, without tokens or secrets.
most_at_once is, by client id, how many calls for the same scopes or roles were under way together:
1 at the token endpoints unless somebody fetches what is being fetched already.
  curl $SIM/calls
  curl -X POST $SIM/reset                           # counters to zero, quotas anew
"""


def greeting(given: Greeting) -> str:
    """The lines printed at the start: how to reach it, set a broker up for it, and break it."""
    roles = json.dumps(EXAMPLE_ROLES, separators=(",", ":"))
    standing = "".join(f"  {text}\n" for text in given.standing) or "  none\n"
    allow = ""
    if given.is_open:
        allow = (
            "\nOther hosts can reach this one, and nothing guards /sim/. "
            "There a broker needs the\nname of this host in allow_http_hosts.\n"
        )
    return f"""\
A simulated USPS listens on {given.base_url} (tokens live {given.life_seconds} s).
{allow}
A broker for it, by environment:
  export USPS_BASE_URL={given.base_url}
  export USPS_CLIENT_ID={given.client_id}
  export USPS_CLIENT_SECRET={given.client_secret}
  export USPS_PAYMENT_ROLES='{roles}'
  usps-token-broker run

or in its file:
  [apps.default]
  base_url = "{given.base_url}"
  client_id = "{given.client_id}"
  client_secret = {{ env = "USPS_CLIENT_SECRET" }}

Break it:
  curl -d 'unavailable=5@tokenx2' {given.base_url}/sim/faults
  curl -d '{{"what": "bearer"}}' {given.base_url}/sim/revocations
  curl {given.base_url}/sim/    # says what else there is

Faults that stand:
{standing}"""
