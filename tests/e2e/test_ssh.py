"""`status` and `top` over ssh, as an operator uses them: with a real sshd and a real client."""

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import termios
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import DEADLINE_SECONDS, until

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PRIVILEGES = Path("/run/sshd")
"""Where Debian's sshd, run by root, wants an empty directory; its service makes it."""

SERVER = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
"""
CLIENT = """\
Host broker
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/user
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  StrictHostKeyChecking accept-new
  LogLevel ERROR
"""


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    """Words that begin a command on the other side."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if not sshd or not shutil.which("ssh"):
        pytest.skip("there is no sshd here")
    if os.geteuid() == 0:
        PRIVILEGES.mkdir(mode=0o755, exist_ok=True)
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(words, check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for name, text in (("server", SERVER), ("client", CLIENT)):
        (folder / name).write_text(text.format(port=port, folder=folder))
    log = folder / "log"
    with log.open("wb") as errors:
        words = [sshd, "-D", "-e", "-f", folder / "server"]
        server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=errors)
    until(lambda: "listening" in log.read_text() or server.poll() is not None, log.read_text)
    assert server.poll() is None, log.read_text()
    yield ["ssh", "-F", str(folder / "client")]
    server.terminate()
    server.wait(DEADLINE_SECONDS)


def ours(name, *options):
    """What the other side's shell is to run."""
    words = [sys.executable, "-m", "usps_token_broker", name, *map(str, options)]
    return f"cd / && exec {' '.join(words)}"


@contextmanager
def far_terminal(words, columns=80, lines=24, term="xterm"):
    """An ssh client on a terminal of this size: its process, and the terminal."""
    near, far = pty.openpty()
    termios.tcsetwinsize(far, (lines, columns))
    environ = {**os.environ, "TERM": term}
    process = subprocess.Popen(
        words, stdin=far, stdout=far, stderr=far, env=environ, start_new_session=True
    )
    try:
        yield process, near
    finally:
        process.kill()
        process.wait(DEADLINE_SECONDS)
        os.close(far)
        os.close(near)


def shown(near, words):
    """Everything on the terminal until these words."""
    text = b""
    while words.encode() not in text:
        readable, _, _ = select.select([near], [], [], DEADLINE_SECONDS)
        assert readable, text
        text += os.read(near, 65536)
    return text.decode()


def running(socket_path):
    """The processes on this machine that look at this broker."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if os.fsencode(socket_path) in words and b"usps_token_broker" in words:
            found.append(int(entry.name))
    return found


def test_top_fits_and_gives_the_terminal_back(ssh, home):
    """80 columns: no line is wider, and q leaves the other screen with the cursor shown."""
    command = ours("top", "--socket", home.socket)
    with home.broker(), far_terminal([*ssh, "-t", "broker", command]) as (process, near):
        home.token("payment")
        first = shown(near, "q ends")
        os.write(near, b"q")
        last = shown(near, "\x1b[?1049l")
        assert process.wait(DEADLINE_SECONDS) == 0
    assert "\x1b[?25h" in last
    assert all(len(line.rstrip()) < 80 for line in ESCAPE.sub("", first).splitlines())


def test_status_is_a_picture_on_a_far_terminal_and_plain_lines_without_one(ssh, home):
    """Both with the exit code of the command."""
    command = ours("status", "--socket", home.socket)
    with home.broker():
        home.token("payment")
        plain = subprocess.run(
            [*ssh, "broker", command], capture_output=True, text=True, check=False, timeout=60
        )
        with far_terminal([*ssh, "-t", "broker", command]) as (process, near):
            drawn = shown(near, "to payment-authorization")
            assert process.wait(DEADLINE_SECONDS) == 0
    assert (plain.returncode, plain.stderr) == (0, "")
    assert "\x1b" not in plain.stdout
    assert "\x1b[" in drawn
    assert re.search(r"bearer +(█|#){10}", ESCAPE.sub("", drawn))


@pytest.mark.parametrize("term", ["dumb", "vt100"])
def test_a_simple_terminal_gets_what_it_can_show(ssh, home, term):
    """No escape sequence at all, or an old terminal's."""
    command = ours("status", "--socket", home.socket)
    with home.broker(), far_terminal([*ssh, "-t", "broker", command], term=term) as (_, near):
        drawn = shown(near, "to payment-authorization")
    assert ("\x1b" in drawn) == (term != "dumb")


@pytest.mark.parametrize(
    ("terminal", "command"),
    [("-t", ["top"]), ("-t", ["status", "--follow"]), ("-T", ["status", "--follow"])],
)
def test_a_connection_that_is_cut_leaves_nothing_behind(ssh, home, command, terminal):
    """The client is killed: what ran on the other side ends by itself."""
    words = [*ssh, terminal, "broker", ours(*command, "--socket", home.socket)]
    with home.broker(), far_terminal(words) as (process, near):
        shown(near, "bearer")
        assert running(home.socket)
        process.send_signal(signal.SIGKILL)
        until(lambda: not running(home.socket))
