"""What a forked child must not share with its parent: connections, and questions under way.

Ours to the broker last for one question. Those to USPS are an HTTP library's, which keeps them:
parent and child would each read answers that are for the other.
"""

from __future__ import annotations

import os
from _thread import RLock

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Keeping(Protocol):
        """Whoever keeps connections: `forks` is the generation that they are of."""

        forks: int

    class Closable(Protocol):
        """Any socket."""

        def close(self) -> object:
            """Let go of the descriptor."""

        def fileno(self) -> int:
            """The descriptor, -1 once it is closed."""


open_sockets: set[Closable] = set()
"""The connections of this process that are in use just now."""

changing = RLock()
"""Held by whoever opens or closes one, for that system call, and by whoever forks.

Both calls let other threads run, and a child born then would have a descriptor that nobody knows
of: the broker would wait for a client that is gone. A signal handler may ask in between.
"""

_forks = 0


def generation() -> int:
    """How many forks lie between this process and the one that first imported the client.

    What is kept under this number in a parent is not looked at in its child, so a lock that a
    thread of the parent held is simply not there.
    """
    return _forks


def disown(keeping: Keeping, close: Callable[[], object]) -> None:
    """Have a child close what its parent kept open, before its own first use of it.

    Its descriptors alone: nothing is said to the other end, and the parent goes on.
    """
    if keeping.forks != _forks:
        with changing:
            if keeping.forks != _forks:
                close()
                keeping.forks = _forks


def identity() -> tuple[int, int]:
    """Who the broker would take us for: tokens fetched under another uid or gid are not ours."""
    return os.geteuid(), os.getegid()


def _in_child() -> None:
    global _forks  # noqa: PLW0603 - the one thing that a fork counts up
    _forks += 1
    for connection in list(open_sockets):
        connection.close()
    open_sockets.clear()
    changing.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=changing.acquire, after_in_parent=changing.release, after_in_child=_in_child
    )
