"""Ctrl-C while modules are loaded, where an exception can do harm."""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Final

_EX_SIGINT: Final = 130


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Within, Ctrl-C ends the process on the spot; nothing may have been begun.

    As an exception it would come up in the midst of an import, and msgspec 0.22 crashes when one
    does while it makes a class.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored, as in the background, or somebody else's
        return
    try:
        signal.signal(signal.SIGINT, lambda *_: os._exit(_EX_SIGINT))
    except ValueError:  # not the main thread, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
