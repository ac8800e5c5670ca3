"""A connection to USPS without a call: TCP, the proxy's leave, TLS. It costs no quota."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from usps_token_broker.drivers.upstream import trust

_MOST_HEAD_BYTES: Final = 16_384
_OK: Final = 200


class ProxyRefusedError(Exception):
    """The proxy does not let us through. `status` is what it answered, 0 for something else."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy answered {status}" if status else "the proxy speaks no HTTP")
        self.status = status


class SilentError(TimeoutError):
    """Somebody took the connection, and then said nothing in time. Its text says when."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """What came of it."""

    version: str
    """Of TLS; empty where the URL is one of http."""
    ends_at: float | None
    """The end of the host's certificate, Unix seconds."""


def shake_hands(
    base_url: str, timeout_seconds: float, *, proxy: str | None = None, ca_file: str | None = None
) -> Handshake:
    """Connect as a call would, and hang up. Blocks.

    Raises OSError (SilentError, ssl.SSLError and ssl.SSLCertVerificationError among them) and
    ProxyRefusedError.
    """
    url = urlsplit(base_url)
    host, port = _end(url)
    if proxy is None:
        raw = socket.create_connection((host, port), timeout_seconds)
        return _secured(raw, url, ca_file)
    by_proxy = urlsplit(proxy)
    raw = socket.create_connection(_end(by_proxy), timeout_seconds)
    try:
        if by_proxy.scheme == "https":
            context = trust.context_for(ca_file)
            with _no_silence("the proxy takes connections and does not finish TLS"):
                raw = context.wrap_socket(raw, server_hostname=by_proxy.hostname)
        if url.scheme == "https":
            with _no_silence("the proxy takes connections and does not answer CONNECT"):
                _have_it_connect(raw, f"{_bracketed(host)}:{port}")
    except BaseException:
        raw.close()
        raise
    return _secured(raw, url, ca_file)


@contextlib.contextmanager
def _no_silence(saw: str) -> Iterator[None]:
    """Tells a silence after the connection from none at all, which has other causes."""
    try:
        yield
    except TimeoutError:
        raise SilentError(saw) from None


def _end(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or {"http": 80, "https": 443}[url.scheme]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _have_it_connect(raw: socket.socket, authority: str) -> None:
    raw.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MOST_HEAD_BYTES:
        # One by one: what follows the head belongs to TLS.
        piece = raw.recv(1)
        if not piece:
            break
        head += piece
    words = head.split(b"\r\n", 1)[0].split()
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    if status != _OK:
        raise ProxyRefusedError(status)


def _secured(raw: socket.socket, url: SplitResult, ca_file: str | None) -> Handshake:
    with raw:
        if url.scheme != "https":
            return Handshake("", None)
        if isinstance(raw, ssl.SSLSocket):  # TLS within the proxy's own takes more than a socket
            return Handshake("", None)
        context = trust.context_for(ca_file)
        with _no_silence("it takes connections and does not finish TLS"):
            secured = context.wrap_socket(raw, server_hostname=url.hostname)
        with secured:
            certificate = secured.getpeercert() or {}
            end = certificate.get("notAfter")
            ends_at = float(ssl.cert_time_to_seconds(end)) if isinstance(end, str) else None
            return Handshake(secured.version() or "", ends_at)
