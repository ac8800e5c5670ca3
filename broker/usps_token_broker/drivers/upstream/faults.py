"""Every way in which a call can go wrong without an answer, mapped to a failure in one place.

The texts of foreign exceptions are not passed on: h11 quotes headers in them, and so the token.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from usps_token_broker import catalogue
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.drivers.upstream.flight import Flight, Stage
from usps_token_broker.wire.redaction import redact

_PROXY_VARIABLES: Final = (
    *("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"),
    *("https_proxy", "http_proxy", "all_proxy"),
)
_MAX_DEPTH: Final = 50

OUT_OF_TIME: Final = frozenset({9, 10})
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl/x509_vfy.h)."""
_TOO_OLD: Final = frozenset({"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"})
"""What OpenSSL calls it when the two sides have no version in common, whoever finds out first."""


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
            return _unreached(
                "not_connected", f"no connection to {route.peer} within {span}", _network(route)
            )
        case Stage.SECURING:
            detail = f"the TLS handshake with {_host(route.base_url)} did not end within {span}"
            return _unreached("tls_failed", detail, _network(route))
        case Stage.CALLING | Stage.SENT:
            return _transient(
                "call_timed_out", f"timed out after {span} without a whole answer of USPS"
            )


def of_error(error: Exception, flight: Flight, route: Route) -> Failure:
    """An exception of httpx, or of anything below it."""
    import httpx  # noqa: PLC0415 - loaded by now

    if isinstance(error, httpx.ProxyError):
        return _unreached(
            "proxy_refused",
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
        return _transient("answer_broken", "the answer of USPS broke off or was not HTTP")
    if isinstance(error, httpx.NetworkError):
        detail = "the connection to USPS broke before the answer was complete"
        return _transient("answer_broken", detail)
    name = type(error).__name__
    return _transient("broker_failed", f"the call failed in the broker itself ({name})")


def is_distrust(error: Exception) -> bool:
    """Whether a certificate was refused."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _of_preparing(error: Exception, route: Route) -> Failure:
    if isinstance(error, OSError) and route.ca_file is not None:
        why = error.strerror or type(error).__name__
        detail = f"the CA certificates in {route.ca_file} cannot be used: {why}"
        return _unreached("ca_file_unusable", detail)
    name = type(error).__name__
    return _unreached("call_not_made", f"the call to USPS could not be made ({name})")


def _of_connecting(error: Exception, route: Route) -> Failure:
    """The innermost causes know best."""
    told = (_told(cause, route) for cause in _causes(error))
    broke = (
        "not_connected",
        f"the connection to {route.peer} broke before the request was sent",
        _network(route),
    )
    return _unreached(*next((one for one in told if one is not None), broke))


def _told(cause: BaseException, route: Route) -> tuple[str, str, str] | None:
    """The row that this cause is, its words, and what to do; None when it says nothing."""
    server = _host(route.base_url)
    match cause:
        case socket.gaierror():
            said = "dns_failed", f"cannot find {route.peer}: {cause.strerror}", _network(route)
        case ssl.SSLCertVerificationError():
            why = f"the certificate of {server} is refused: {cause.verify_message}"
            timely = cause.verify_code not in OUT_OF_TIME
            said = "certificate_refused" if timely else "certificate_out_of_time", why, ""
        case ssl.SSLError(reason=reason) if reason in _TOO_OLD:
            said = "tls_failed", f"no TLS with {server}: it has no TLS of version 1.2 or later", ""
        case ssl.SSLError():
            said = "tls_failed", f"no TLS with {server}: {cause.reason or 'it broke off'}", ""
        case ConnectionRefusedError():
            said = "not_connected", f"{route.peer} refuses the connection", _network(route)
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            said = "out_of_descriptors", "the broker can open no more connections or files", ""
        case OSError(errno=int(), strerror=str()):
            said = "not_connected", f"cannot reach {route.peer}: {cause.strerror}", _network(route)
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
    network = catalogue.row("not_connected").fix
    if found is None:
        return network
    return (
        f"{network}; {found} is set in the environment, but the broker does not use it: a proxy "
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


def _unreached(reason: str, detail: str, fix: str = "") -> Failure:
    return _failure(FailureKind.UNREACHED, reason, detail, fix)


def _transient(reason: str, detail: str) -> Failure:
    return _failure(FailureKind.TRANSIENT, reason, detail)


def _failure(kind: FailureKind, reason: str, detail: str, fix: str = "") -> Failure:
    """A failure of this row, whose fix stands where the situation does not say a better one."""
    return Failure(
        kind,
        Code.UPSTREAM_UNAVAILABLE,
        redact(detail),
        fix or catalogue.row(reason).fix,
        reason=reason,
    )
