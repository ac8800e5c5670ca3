"""Listening on a TCP port, and knowing callers there by their addresses alone."""

import errno
import ipaddress
import socket
from typing import Final

_BACKLOG: Final = 128
_NEEDS_ROOT_BELOW: Final = 1024  # net.ipv4.ip_unprivileged_port_start, as Linux has it

Listener = socket.socket
"""As opened by `listen`."""


class ListenError(Exception):
    """The port cannot be had. Says what happened, why, and what to do; ends the program."""


class Visitor:
    """Whoever has connected. Who that is the kernel does not say; the address can be anybody's.

    `uid` is no user's but what limits are counted by: a number for the address. Of IPv6 it is
    that of the network (64 bits), since one machine may have all of its addresses.
    """

    __slots__ = ("groups", "uid")

    def __init__(self, uid: int) -> None:
        self.uid = uid
        self.groups: frozenset[int] | None = frozenset()


def identify(connected: socket.socket) -> Visitor:
    """The visitor at the other end. One that has left already is as good as any."""
    try:
        name = connected.getpeername()[0]
    except OSError:
        return Visitor(0)
    address = ipaddress.ip_address(name.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return Visitor(int(address) >> 64 if mapped is None else int(mapped))
    return Visitor(int(address))


def listen(address: str, port: int, key: str) -> Listener:
    """A socket that listens there. `key` is what the configuration calls it.

    The unspecified address of IPv6 takes IPv4 too, as in a pod with both. Raises ListenError.
    """
    try:
        listener = bind(address, port)
    except OSError as error:
        raise _refused(error, address, port, key) from error
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _refused(error, address, port, key) from error
    return listener


def bind(address: str, port: int) -> socket.socket:
    """A socket that has that address and does not listen: as long as nobody listens there.

    It keeps nobody else from listening there. Raises OSError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.settimeout(0)
        # Connections of the process before linger in the kernel for a minute.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound


def _refused(error: OSError, address: str, port: int, key: str) -> ListenError:
    shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return ListenError(
        f"{key}: cannot listen on {shown}: {error.strerror}; {_fix(error, port, key)}"
    )


def _fix(error: OSError, port: int, key: str) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"stop what listens there (`ss -ltnp sport = :{port}` says what it is), or set "
                f"{key} to another port"
            )
        case errno.EADDRNOTAVAIL:
            return f"set {key} to an address that this machine has (`ip address` says which)"
        case errno.EACCES if port < _NEEDS_ROOT_BELOW:
            return f"set {key} to a port from {_NEEDS_ROOT_BELOW} on: those below are for root"
        case errno.EPERM | errno.EACCES:
            return (
                "the unit allows port 9842 alone: add SocketBindAllow="
                f"tcp:{port} to its [Service] in a drop-in (systemctl edit usps-token-broker)"
            )
        case errno.EAFNOSUPPORT:
            return f"this machine has no IPv6: set {key} to an address of IPv4"
        case _:
            return f"set {key} to another address, or take it out"
