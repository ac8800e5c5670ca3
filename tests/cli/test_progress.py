"""A line about what is being waited for, on a real terminal."""

import contextlib
import os
import pty
import select
import threading

import pytest

from usps_token_broker.cli.progress import Progress

LINE = "...  dns          still looking"


@pytest.fixture
def terminal():
    """Both ends: a person's, and ours."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as ours:
        yield master, ours
    os.close(master)


def shown(master):
    """What came, as far as it has come; waits for the first of it."""
    assert select.select([master], [], [], 10)[0]
    return os.read(master, 65536).decode()


def test_what_takes_long_is_shown_and_taken_away(terminal):
    """By blanks, which every terminal knows."""
    master, ours = terminal
    progress = Progress(ours, 0)
    progress.begin(LINE)
    assert shown(master) == LINE
    progress.end()
    assert shown(master) == f"\r{' ' * len(LINE)}\r"


def test_what_is_over_soon_is_never_shown(terminal):
    """A line that flickers says nothing."""
    master, ours = terminal
    progress = Progress(ours, 3600)
    progress.begin(LINE)
    progress.end()
    assert not select.select([master], [], [], 0)[0]


def test_where_there_is_no_terminal_nothing_is_begun(tmp_path):
    """A log would be full of it."""
    threads = threading.active_count()
    with (tmp_path / "log").open("w") as log:
        progress = Progress(log, 3600)
        progress.begin(LINE)
        assert threading.active_count() == threads
        progress.end()


def test_a_terminal_that_is_gone_ends_nothing():
    """Whoever waited may have closed the window."""
    master, slave = pty.openpty()
    ours = os.fdopen(slave, "w")
    progress = Progress(ours, 0)
    progress.begin(LINE)
    assert shown(master) == LINE
    os.close(master)
    progress.end()
    with contextlib.suppress(OSError):
        ours.close()
