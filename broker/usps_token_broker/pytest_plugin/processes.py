"""Our own commands as processes beside a test: started, waited for, and ended by their id."""

import os
import selectors
import subprocess
import sys
from typing import Final

from usps_token_broker.drivers import clock

_LIFELINE: Final = """\
import os, runpy, signal, sys, threading
def follow():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=follow, daemon=True).start()
runpy.run_module("usps_token_broker", run_name="__main__", alter_sys=True)
"""
"""Runs our command, and ends it when standard input does: a pytest that is killed, or leaves by
os._exit as pytest-timeout has it do, comes to no fixture's end."""
START_SECONDS: Final = 30.0
END_SECONDS: Final = 10.0


def start(*command: str) -> subprocess.Popen[bytes]:
    """Start `usps-token-broker COMMAND` without this environment's USPS_ variables."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("USPS_", "NOTIFY_", "LISTEN_"))
    }
    return subprocess.Popen(  # noqa: S603 - our own command
        # -P: a shop's folder may have any names in it.
        [sys.executable, "-P", "-c", _LIFELINE, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # To our own standard error: pytest captures it, and shows it when a test fails.
        stderr=None,
        env=environ,
        # Ctrl-C is for pytest: the fixtures end each in its turn.
        start_new_session=True,
    )


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    """The first line it prints.

    Raises:
        RuntimeError: It ended, or has printed nothing in `START_SECONDS`.
    """
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(START_SECONDS) else b""
    if not line:
        raise RuntimeError("the simulated USPS does not start; its standard error says why")
    return line


def wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it has ended after so many seconds, or before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def end(process: subprocess.Popen[bytes], *, by_force: bool = False) -> None:
    """End it, kindly first unless told otherwise, and wait for it."""
    if by_force:
        process.kill()
    else:
        process.terminate()
    if not wait(process, END_SECONDS):
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def deadline() -> float:
    """When something that was just started has had its time, on CLOCK_BOOTTIME."""
    return clock.boot() + START_SECONDS
