"""`top` on a real terminal, against a real broker."""

import os
import pty
import re
import select
import shlex
import signal
import sys
import termios
from contextlib import contextmanager

import pytest
from processes import DEADLINE_SECONDS, Home, Usps

TOP = [sys.executable, "-m", "usps_token_broker", "top"]
ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal of 80 columns with `top` in it, or another command."""

    def __init__(self, environ, *arguments, command=None):
        words = command or [*TOP, *map(str, arguments)]
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(words[0], words, environ)
        self.shown = b""

    def until(self, words):
        """Wait until these words are on it."""
        self.times(words, 1)

    def times(self, words, count):
        """Wait until these words were written so many times."""
        while self.shown.count(words) < count:
            readable, _, _ = select.select([self.master], [], [], DEADLINE_SECONDS)
            assert readable, self.shown
            self.shown += os.read(self.master, 65536)

    def resize(self, columns, lines):
        """As when somebody pulls at the window."""
        termios.tcsetwinsize(self.master, (lines, columns))

    def is_sane(self):
        """Whether it shows what is typed, as a shell needs it."""
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def type(self, keys):
        """Press keys."""
        os.write(self.master, keys)

    def end(self):
        """The exit code, or less than zero for a signal; the rest that it wrote is read."""
        try:
            while True:
                readable, _, _ = select.select([self.master], [], [], DEADLINE_SECONDS)
                assert readable, self.shown
                piece = os.read(self.master, 65536)
                if not piece:
                    break
                self.shown += piece
        except OSError:  # as Linux says that the other side is closed
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)


@contextmanager
def terminal(environ, *arguments):
    """One that is gone afterwards."""
    opened = Terminal({"TERM": "xterm", "COLUMNS": "80", "LINES": "30", **environ}, *arguments)
    try:
        yield opened
    finally:
        if opened.pid:
            os.kill(opened.pid, signal.SIGKILL)
            os.waitpid(opened.pid, 0)
        os.close(opened.master)


@pytest.fixture
def home():
    """A folder with a configuration, and a USPS."""
    with Usps() as usps:
        place = Home(usps.base_url)
        yield place
        place.remove()


def test_it_shows_how_all_stands_until_q(home, clean_environ):
    """Tokens, budget, and who is connected, from the admin socket."""
    with home.broker(), terminal(clean_environ, "--config", home.config) as screen:
        home.token("payment")
        screen.until(b"fresh")
        screen.until(b"clients")
        screen.type(b"q")
        assert screen.end() == 0
    text = ESCAPE.sub(b"", screen.shown).decode()
    assert "in the last hour to payment-authorization" in text
    assert re.search(r"bearer +(█|#)", text)


def test_what_changes_is_shown(home, clean_environ):
    """While one looks on."""
    options = ("--config", home.config, "--every", "0.2")
    with home.broker(), terminal(clean_environ, *options) as screen:
        home.token("payment")
        screen.until(b"fresh")
        home.renew("bearer", 10)
        screen.until(b"default/bearer: another token")
        screen.type(b"q")
        assert screen.end() == 0


def test_a_broker_that_restarts_is_waited_for(home, clean_environ):
    """It says what is wrong meanwhile, and goes on."""
    options = ("--socket", home.socket, "--every", "0.2")
    with home.broker():
        home.token("payment")
        screen = Terminal({"TERM": "xterm", **clean_environ}, *options)
        screen.until(b"fresh")
    screen.until(b"the broker is not running")
    with home.broker():
        screen.until(b"another broker: pid")
        screen.type(b"q")
        assert screen.end() == 0
    os.close(screen.master)


def test_ctrl_c_gives_the_terminal_back(home, clean_environ):
    """130, the other screen left, the cursor shown."""
    with home.broker(), terminal(clean_environ, "--socket", home.socket) as screen:
        screen.until(b"fresh")
        screen.type(b"\x03")
        assert screen.end() == 130
    assert b"\x1b[?1049l" in screen.shown
    assert b"\x1b[?25h" in screen.shown
    assert b"Traceback" not in screen.shown


def test_an_end_from_outside_gives_the_terminal_back(home, clean_environ):
    """SIGTERM: 143, as a shell says, and a terminal that shows what is typed."""
    with home.broker(), terminal(clean_environ, "--socket", home.socket) as screen:
        screen.until(b"fresh")
        os.kill(screen.pid, signal.SIGTERM)
        assert screen.end() == 143
        assert screen.is_sane()
    assert b"\x1b[?1049l" in screen.shown
    assert b"\x1b[?25h" in screen.shown


def test_ctrl_z_gives_the_terminal_back_until_fg(home, clean_environ):
    """The shell gets its own screen, its cursor and its echo; `fg` goes on, and q still ends."""
    environ = {"TERM": "xterm", "PS1": "$ ", **clean_environ}
    command = shlex.join([*TOP, "--socket", str(home.socket)])
    with home.broker():
        shell = Terminal(environ, command=["/bin/sh", "-i"])
        shell.type(command.encode() + b"\n")
        shell.until(b"fresh")
        shell.type(b"\x1a")
        shell.until(b"Stopped")
        assert shell.shown.count(b"\x1b[?1049l") == shell.shown.count(b"\x1b[?25h") == 1
        assert shell.is_sane()
        shell.type(b"fg\n")
        shell.times(b"\x1b[?1049h", 2)
        shell.type(b"q")
        shell.times(b"\x1b[?1049l", 2)
        shell.type(b"exit 7\n")
        assert shell.end() == 7
    os.close(shell.master)


def test_another_size_is_drawn_at_once(home, clean_environ):
    """And not with the next look, which may be an hour away."""
    environ = {"TERM": "xterm", "NO_COLOR": "1", **clean_environ}
    environ = {name: environ[name] for name in environ.keys() - {"COLUMNS", "LINES"}}
    with home.broker():
        home.token("payment")
        screen = Terminal(environ, "--socket", home.socket, "--every", "3600")
        screen.until(b"fresh")
        screen.resize(40, 30)
        screen.until(" █████ 8 h left".encode())
        screen.type(b"q")
        assert screen.end() == 0
    os.close(screen.master)


def test_a_low_window_says_how_much_it_hides(home, clean_environ):
    """In its last line."""
    environ = {**clean_environ, "LINES": "4"}
    with home.broker(), terminal(environ, "--socket", home.socket) as screen:
        home.token("payment")
        screen.until(b"more lines: see `status`")
        screen.type(b"q")
        assert screen.end() == 0


@pytest.mark.parametrize(("encoding", "full"), [("utf-8", "█"), ("ascii", "#")])
def test_bars_are_of_what_the_terminal_can_show(home, clean_environ, encoding, full):
    """Blocks, or ASCII alone."""
    environ = {**clean_environ, "PYTHONIOENCODING": encoding}
    with home.broker(), terminal(environ, "--socket", home.socket) as screen:
        screen.until(b"fresh")
        screen.type(b"q")
        assert screen.end() == 0
    text = ESCAPE.sub(b"", screen.shown).decode()
    assert re.search(rf"bearer +{full * 20}", text)


@pytest.mark.parametrize("name", ["dumb", ""])
def test_a_terminal_that_cannot_be_drawn_on_is_64(clean_environ, folder, name):
    """Emacs's shell, and where nothing is known of it: with what to use instead."""
    with terminal({**clean_environ, "TERM": name}, "--socket", folder / "none") as screen:
        assert screen.end() == 64
    assert b"cannot move its cursor" in screen.shown
    assert b"--follow" in screen.shown


def test_a_broker_that_hangs_is_said_to_hang(home, clean_environ):
    """Of the admin socket that is there, not that there is none elsewhere."""
    options = ("--config", home.config, "--every", "0.2")
    with home.broker() as broker, terminal(clean_environ, *options) as screen:
        screen.until(b"fresh")
        broker.process.send_signal(signal.SIGSTOP)
        screen.until(b"what follows is as it was at")
        broker.process.send_signal(signal.SIGCONT)
        screen.type(b"q")
        assert screen.end() == 0
    said = ESCAPE.sub(b"", screen.shown)
    assert b"admin.sock is there, but no answer came in time" in said
    assert b"there is no socket at" not in said


def test_without_colour_there_is_none(home, clean_environ):
    """NO_COLOR is obeyed (no-color.org)."""
    environ = {**clean_environ, "NO_COLOR": "1"}
    with home.broker(), terminal(environ, "--socket", home.socket) as screen:
        screen.until(b"fresh")
        screen.type(b"q")
        assert screen.end() == 0
    assert not re.search(rb"\x1b\[[0-9;]*3[0-9]m", screen.shown)


def test_no_broker_is_69_before_anything_is_drawn(clean_environ, folder):
    """As of `status`."""
    with terminal(clean_environ, "--socket", folder / "none") as screen:
        assert screen.end() == 69
    assert b"no broker here" in screen.shown
    assert b"\x1b[?1049h" not in screen.shown


def test_what_is_no_terminal_is_64(command, folder):
    """With what to use instead."""
    done = command("top", "--socket", folder / "s")
    assert done.returncode == 64
    assert "--follow" in done.stderr


def test_a_span_that_is_none_is_64(command):
    """With what is taken."""
    done = command("top", "--every", "never")
    assert done.returncode == 64
    assert "0.2 to 3600" in done.stderr
