"""Every way in which a call can go wrong without an answer, mapped to a failure in one place.

The texts of foreign exceptions are not passed on: h11 quotes headers in them, and so the token.
"""

import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.drivers.upstream.flight import Flight, Stage
from usps_token_broker.wire import remedies
from usps_token_broker.wire.redaction import redact

_PROXY_VARIABLES: Final = (
    *("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"),
    *("https_proxy", "http_proxy", "all_proxy"),
)
_MAX_DEPTH: Final = 50

_NETWORK: Final = "check network, firewall and DNS of this host, and base_url"
_CERTIFICATE: Final = (
    "see whether a proxy on the way inspects TLS (then set ca_file to its CA), whether the CA "
    "certificates of this system are up to date, and whether base_url is right"
)
_TLS: Final = (
    "see whether base_url and its port are right, and whether a proxy or firewall on the way "
    "breaks TLS"
)
_CONFIGURATION: Final = "check base_url, proxy, ca_file and roles in the configuration"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes, for the texts."""

    base_url: str
    proxy: str | None
    ca_file: str | None
    timeout_seconds: float

    @property
    def peer(self) -> str:
        """The host that is connected to."""
        if self.proxy is not None:
            return f"the proxy {_host(self.proxy)}"
        return _host(self.base_url)

    @property
    def target(self) -> str:
        """Host and port of USPS, as a proxy is asked for them."""
        host = _host(self.base_url)
        return host if re.search(r":[0-9]+$", host) else f"{host}:443"


def of_deadline(flight: Flight, route: Route) -> Failure:
    """The deadline struck."""
    span = f"{route.timeout_seconds:g} s"
    match flight.stage:
        case Stage.PREPARING | Stage.REACHING:
            return _unreached(f"no connection to {route.peer} within {span}", _network(route))
        case Stage.SECURING:
            detail = f"the TLS handshake with {_host(route.base_url)} did not end within {span}"
            return _unreached(detail, _network(route))
        case Stage.CALLING | Stage.SENT:
            return _transient(f"timed out after {span} without a whole answer of USPS")


def of_error(error: Exception, flight: Flight, route: Route) -> Failure:
    """An exception of httpx, or of anything below it."""
    import httpx  # noqa: PLC0415 - loaded by now

    if isinstance(error, httpx.ProxyError):
        return _unreached(
            f"{route.peer} does not let the call through",
            f"check proxy in the configuration, and that it lets a CONNECT to {route.target} "
            "through without a password",
        )
    if flight.stage is Stage.PREPARING or isinstance(
        error, httpx.InvalidURL | httpx.UnsupportedProtocol
    ):
        return _of_preparing(error, route)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) or flight.unsent:
        return _of_connecting(error, route)
    if isinstance(error, httpx.RemoteProtocolError):
        return _transient("the answer of USPS broke off or was not HTTP")
    if isinstance(error, httpx.NetworkError):
        return _transient("the connection to USPS broke before the answer was complete")
    name = type(error).__name__
    return _transient(f"the call failed in the broker itself ({name})", remedies.UNEXPECTED)


def is_distrust(error: Exception) -> bool:
    """Whether a certificate was refused."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _of_preparing(error: Exception, route: Route) -> Failure:
    if isinstance(error, OSError) and route.ca_file is not None:
        why = error.strerror or type(error).__name__
        return _unreached(
            f"the CA certificates in {route.ca_file} cannot be used: {why}",
            "set ca_file to a readable file of certificates in PEM form",
        )
    name = type(error).__name__
    return _unreached(f"the call to USPS could not be made ({name})", _CONFIGURATION)


def _of_connecting(error: Exception, route: Route) -> Failure:
    """The innermost causes know best."""
    told = (_told(cause, route) for cause in _causes(error))
    broke = f"the connection to {route.peer} broke before the request was sent", _network(route)
    return _unreached(*next((one for one in told if one is not None), broke))


def _told(cause: BaseException, route: Route) -> tuple[str, str] | None:
    """What this cause says, and what to do; None when it says nothing."""
    server = _host(route.base_url)
    match cause:
        case socket.gaierror():
            said = f"cannot find {route.peer}: {cause.strerror}", _network(route)
        case ssl.SSLCertVerificationError():
            why = f"the certificate of {server} is refused: {cause.verify_message}"
            said = why, _CERTIFICATE
        case ssl.SSLError():
            said = f"no TLS with {server}: {cause.reason or 'it broke off'}", _TLS
        case ConnectionRefusedError():
            said = f"{route.peer} refuses the connection", _network(route)
        case OSError(errno=int(), strerror=str()):
            said = f"cannot reach {route.peer}: {cause.strerror}", _network(route)
        case _:
            return None
    return said


def _causes(error: BaseException, depth: int = 0) -> Iterator[BaseException]:
    """What lies behind an exception, the innermost first; then itself."""
    if depth > _MAX_DEPTH:
        return
    inner = error.__cause__ or error.__context__
    if inner is not None:
        yield from _causes(inner, depth + 1)
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one, depth + 1)
    yield error


def _network(route: Route) -> str:
    """What to do, with a word about a proxy that is set where the broker does not look."""
    if route.proxy is not None:
        return "check proxy in the configuration, and the network of this host"
    found = next((name for name in _PROXY_VARIABLES if os.environ.get(name)), None)
    if found is None:
        return _NETWORK
    return (
        f"{_NETWORK}; {found} is set in the environment, but the broker does not use it: a proxy "
        "stands in the configuration, as proxy"
    )


def _host(url: str) -> str:
    """Host and port; never the user and password that a URL may hold."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "the host of base_url"
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def _unreached(detail: str, fix: str) -> Failure:
    kind, code = FailureKind.UNREACHED, Code.UPSTREAM_UNAVAILABLE
    return Failure(kind, code, redact(detail), fix)


def _transient(detail: str, fix: str = remedies.WAIT) -> Failure:
    kind, code = FailureKind.TRANSIENT, Code.UPSTREAM_UNAVAILABLE
    return Failure(kind, code, redact(detail), fix)
