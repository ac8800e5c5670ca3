"""The port of `http.listen`: does the broker answer there, and may it listen there at all?"""

import errno
import http.client
import ipaddress
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import msgspec

from usps_token_broker.config import HttpListen
from usps_token_broker.doctor.findings import Finding, failed, passed, unseen, warned
from usps_token_broker.doctor.scene import ASK_SECONDS, Scene
from usps_token_broker.drivers import tcp_listener
from usps_token_broker.wire.status import AliveMessage

CHECK: Final = "http"
_ALIVE: Final = "/healthz"
_MOST_BYTES: Final = 4096
_RESTART: Final = "a change of http.listen takes a restart: `systemctl restart usps-token-broker`"


def look(scene: Scene) -> Iterator[Finding]:
    """Whether the port is the broker's, free, or another program's. Blocks.

    No other machine is called: an address that is none of this one's is not even tried.
    """
    if scene.settings is None:
        yield unseen(CHECK, "without a configuration nobody says whether it is served over TCP")
    elif scene.settings.http is None:
        yield passed(CHECK, "nothing is served over TCP: http.listen is not set")
    else:
        yield _judge(scene.settings.http, runs=scene.socket is not None)


def _judge(listen: HttpListen, *, runs: bool) -> Finding:
    try:
        with closing(tcp_listener.bind(listen.address, listen.port)):
            pass
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                return _judge_listener(listen, runs=runs)
            case errno.EACCES:
                return unseen(CHECK, f"{listen}: only root may look at this port", "as root")
            case _:
                return failed(CHECK, "port_taken", f"{listen}: {error.strerror}")
    if runs:
        saw = f"the broker that runs does not listen on {listen}"
        return warned(CHECK, "port_taken", saw, _RESTART)
    return passed(CHECK, f"{listen}: nobody listens there, so the broker can")


def _judge_listener(listen: HttpListen, *, runs: bool) -> Finding:
    """Whose port it is, by the answer to `GET /healthz`."""
    alive = _ask(listen)
    if alive is None:
        return failed(CHECK, "port_taken", f"what listens on {listen} answers no /healthz of ours")
    if not alive.alive:
        return failed(CHECK, "broker_stuck", f"the broker on {listen} says that it is stuck")
    if not runs:
        return failed(CHECK, "port_taken", f"{listen} is another broker's")
    return passed(CHECK, f"http://{listen}: usps-token-broker {alive.version} answers")


def _ask(listen: HttpListen) -> AliveMessage | None:
    """Its word; None where it does not speak as a broker does."""
    connection = http.client.HTTPConnection(_within(listen), listen.port, timeout=ASK_SECONDS)
    try:
        with closing(connection):
            connection.request("GET", _ALIVE)
            body = connection.getresponse().read(_MOST_BYTES)
            return msgspec.json.decode(body, type=AliveMessage)
    except (OSError, http.client.HTTPException, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _within(listen: HttpListen) -> str:
    """The address itself, or where one that stands for all of them is reached from here."""
    address = ipaddress.ip_address(listen.address)
    if not address.is_unspecified:
        return listen.address
    return "127.0.0.1" if isinstance(address, ipaddress.IPv4Address) else "::1"
