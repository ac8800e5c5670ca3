"""A TCP port that nobody else is given while a test uses it."""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def free_port(address: str = "127.0.0.1") -> Iterator[int]:
    """Its number. The port is bound, and not listened on: so whoever sets SO_REUSEADDR can."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, 0))
        yield bound.getsockname()[1]


def has_ipv6() -> bool:
    """Whether this machine has a loopback address of IPv6."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False
