"""Owning the path of a socket."""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from usps_token_broker.drivers.socket_owner import (
    OwnedSocket,
    SocketError,
    SocketTakenError,
    inherited,
    owning,
)


@pytest.fixture
def directory():
    """A directory whose path is short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="utb-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def umask():
    """Sets the umask for one test."""
    before = os.umask(0)
    yield os.umask
    os.umask(before)


def can_connect(path) -> bool:
    """Whether somebody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def leave_dead_socket(path):
    """What a killed server leaves."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))


def test_bound_socket_listens(directory):
    """Once bound, clients can connect, and nothing but the socket lies in its directory."""
    owned = OwnedSocket.bind(directory / "broker.sock")
    assert can_connect(owned.path)
    assert [path.name for path in directory.iterdir()] == ["broker.sock"]
    assert not owned.listener.getblocking()
    assert not owned.listener.get_inheritable()
    owned.close()


@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [0o666, 0o600])
def test_mode_is_exact_whatever_the_umask(directory, umask, mask, mode):
    """The umask of whoever starts the daemon decides nothing."""
    umask(mask)
    owned = OwnedSocket.bind(directory / "s", mode=mode)
    found = owned.path.stat().st_mode
    assert stat.S_ISSOCK(found)
    assert stat.S_IMODE(found) == mode
    owned.close()


@pytest.mark.parametrize("mask", [0, 0o077])
def test_directory_is_made(directory, umask, mask):
    """A missing directory is made with its mode, whatever the umask."""
    umask(mask)
    owned = OwnedSocket.bind(directory / "made" / "s")
    assert stat.S_IMODE(owned.path.parent.stat().st_mode) == 0o755
    owned.close()
    assert owned.path.parent.is_dir()


def test_directory_is_not_made_in_nowhere(directory):
    """Only one directory is made: a path whose parents are missing is a mistake."""
    with pytest.raises(SocketError, match="cannot make the directory") as refused:
        OwnedSocket.bind(directory / "a" / "b" / "s")
    assert "choose another path" in refused.value.fix


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o2777])
def test_directory_others_can_write_to_is_refused(directory, mode):
    """Whoever can write to the directory could put a socket of theirs there."""
    directory.chmod(mode)
    with pytest.raises(SocketError, match="others can put a socket of theirs") as refused:
        OwnedSocket.bind(directory / "s")
    assert f"{mode:04o}" in refused.value.what
    assert not list(directory.iterdir())


def test_sticky_directory_is_fine(directory):
    """In a sticky directory nobody can remove what is ours."""
    directory.chmod(0o1777)
    OwnedSocket.bind(directory / "s").close()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a directory away needs root")
def test_directory_of_another_user_is_refused(directory):
    """The owner of the directory could put a socket of theirs there."""
    os.chown(directory, 12345, 0)
    with pytest.raises(SocketError, match="belongs to uid 12345"):
        OwnedSocket.bind(directory / "s")


def test_directory_that_is_a_file_is_refused(directory):
    """A path beneath a file is a mistake."""
    (directory / "file").touch()
    with pytest.raises(SocketError, match="is not a directory"):
        OwnedSocket.bind(directory / "file" / "s")


def test_daemons_that_bind_at_once_take_turns(directory):
    """Whoever comes while another binds waits for it; the other is then there, and is named."""
    turn = os.open(directory, os.O_RDONLY)
    fcntl.flock(turn, fcntl.LOCK_EX)
    said = []

    def second():
        try:
            OwnedSocket.bind(directory / "s")
        except SocketTakenError as error:
            said.append(str(error))

    binding = threading.Thread(target=second)
    binding.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first:
        first.bind(str(directory / "s"))
        first.listen()
        os.close(turn)
        binding.join(30)
        [refused] = said
        assert f"another broker (pid {os.getpid()}) listens on {directory / 's'}" in refused


def test_a_turn_that_never_comes_is_not_waited_for(directory, monkeypatch):
    """Whoever may read the directory can hold the lock, and must not keep the broker from it."""
    monkeypatch.setattr(owning, "_TURN_PAUSE_SECONDS", 0.0)
    turn = os.open(directory, os.O_RDONLY)
    fcntl.flock(turn, fcntl.LOCK_EX)
    OwnedSocket.bind(directory / "s").close()
    os.close(turn)


def test_dead_socket_is_replaced(directory):
    """What a killed server left is in nobody's way."""
    leave_dead_socket(directory / "s")
    owned = OwnedSocket.bind(directory / "s")
    assert can_connect(owned.path)
    assert owned.still_ours()
    owned.close()


def test_socket_left_half_made_is_in_nobodys_way(directory):
    """A daemon killed while binding leaves a socket beside the path; the next one removes it."""
    leave_dead_socket(directory / "~s")
    OwnedSocket.bind(directory / "s").close()
    assert not list(directory.iterdir())


def test_live_server_is_left_alone(directory):
    """A path where somebody listens is refused with their pid, and they go on listening."""
    first = OwnedSocket.bind(directory / "s")
    with pytest.raises(SocketTakenError) as refused:
        OwnedSocket.bind(directory / "s")
    assert refused.value.pid == os.getpid()
    assert f"another broker (pid {os.getpid()}) listens on {first.path}" in str(refused.value)
    assert first.still_ours()
    assert can_connect(first.path)
    first.close()


def test_socket_unit_is_named_for_what_it_is(directory):
    """When pid 1 listens, the message speaks of the service manager and its unit."""
    with pytest.raises(SocketTakenError, match="service manager") as refused:
        owning._refuse_taken(directory / "s", 1)
    assert refused.value.pid == 1
    assert "socket" in refused.value.fix


def test_busy_server_is_left_alone(directory):
    """A server whose queue is full is alive."""
    path = directory / "s"
    clients = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as busy:
        busy.bind(str(path))
        busy.listen(0)
        while True:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(0)
            clients.append(client)
            if client.connect_ex(str(path)) == errno.EAGAIN:
                break
        with pytest.raises(SocketTakenError, match="pid unknown"):
            OwnedSocket.bind(path)
    for client in clients:
        client.close()


def test_socket_of_another_kind_is_left_alone(directory):
    """A socket that cannot be asked who listens is not ours to remove."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(directory / "s"))
        with pytest.raises(SocketError, match="cannot tell whether anybody listens"):
            OwnedSocket.bind(directory / "s")
    assert (directory / "s").exists()


@pytest.mark.parametrize("kind", ["file", "directory", "link", "fifo"])
def test_what_is_no_socket_is_left_alone(directory, kind):
    """Anything but a socket at the path is somebody's, and stays."""
    path = directory / "s"
    make = {
        "file": path.touch,
        "directory": path.mkdir,
        "link": lambda: path.symlink_to("/nowhere"),
        "fifo": lambda: os.mkfifo(path),
    }
    make[kind]()
    with pytest.raises(SocketError, match="is there and is not a socket"):
        OwnedSocket.bind(path)
    assert path.lstat()


@pytest.mark.parametrize("name_length", [1, 2, 20])
def test_longest_path(directory, name_length):
    """A path of 107 bytes works, however short its last name; one of 108 is refused by name."""
    room = 107 - len(os.fsencode(directory)) - 2 - name_length
    parent = directory / ("d" * room)
    owned = OwnedSocket.bind(parent / ("n" * name_length))
    assert len(os.fsencode(owned.path)) == 107
    assert can_connect(owned.path)
    owned.close()
    with pytest.raises(SocketError, match="is 108 bytes long, and a Unix socket's is at most 107"):
        OwnedSocket.bind(parent / ("n" * (name_length + 1)))


def test_length_is_counted_in_bytes(directory):
    """Letters that take several bytes count as such."""
    with pytest.raises(SocketError, match="bytes long"):
        OwnedSocket.bind(directory / ("ü" * 50))


def test_theft_is_noticed(directory):
    """Another socket at the path, or none, is noticed; and another's is not removed."""
    owned = OwnedSocket.bind(directory / "s")
    assert owned.still_ours()
    owned.path.unlink()
    assert not owned.still_ours()
    thief = OwnedSocket.bind(directory / "s")
    assert not owned.still_ours()
    owned.close()
    assert thief.still_ours()
    assert can_connect(thief.path)
    thief.close()


def test_own_socket_is_removed(directory):
    """The path goes with its owner, once."""
    owned = OwnedSocket.bind(directory / "s")
    owned.close()
    assert not list(directory.iterdir())
    owned.close()


def test_no_client_meets_a_socket_half_made(directory):
    """From the moment the path is there, it can be connected to and has its mode."""
    path = directory / "s"
    script = (
        "import os, socket, sys\n"
        "print('go', flush=True)\n"
        "met = set()\n"
        "while True:\n"
        "    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)\n"
        "    error = s.connect_ex(sys.argv[1])\n"
        "    s.close()\n"
        "    met.add(error)\n"
        "    if error == 0: break\n"
        "print(sorted(met))\n"
    )
    for _ in range(10):
        client = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert client.stdout.readline() == "go\n"
        owned = OwnedSocket.bind(path)
        met, _ = client.communicate(timeout=10)
        owned.close()
        assert met.strip() in ("[0]", f"[0, {errno.ENOENT}]")


def test_unwritable_directory_is_explained():
    """A directory that cannot be written to is named, with what to do."""
    with pytest.raises(SocketError) as refused:
        OwnedSocket.bind(Path("/proc/self/s"))
    assert "/proc/self" in refused.value.what
    assert refused.value.fix


def test_adopted_socket_keeps_its_path(directory, passed):
    """A path made by the service manager is watched like our own, and left to it."""
    adopted = OwnedSocket.adopt(passed[0])
    assert adopted.path == directory / "0"
    assert adopted.still_ours()
    adopted.close()
    assert adopted.path.is_socket()
    adopted.path.unlink()
    assert not adopted.still_ours()


@pytest.fixture
def passed(directory):
    """Two sockets as the service manager makes them, bound to their very paths."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as two,
    ):
        for number, listening in enumerate((one, two)):
            listening.bind(str(directory / str(number)))
            listening.listen()
        yield one, two


INHERIT = """
import os, sys
from usps_token_broker.drivers.socket_owner import SocketError, inherited
os.environ["LISTEN_PID"] = str(os.getpid() + int(sys.argv[1]))
try:
    found = inherited(os.environ)
except SocketError as error:
    print("refused:", error)
else:
    print({n: (s.getsockname(), s.get_inheritable(), s.getblocking()) for n, s in found.items()})
print([key for key in os.environ if key.startswith("LISTEN_")])
"""


def run_with(descriptors, names=None, *, count=None, wrong_pid=False):
    """What a process finds that is started with these descriptors from 3 on."""
    # Through the shell, for descriptors to be 3, 4, … and nothing else.
    moves = " ".join(f"{3 + n}<&{d}" for n, d in enumerate(high(descriptors)))
    environment = {**os.environ, "LISTEN_FDS": str(len(descriptors) if count is None else count)}
    if names is not None:
        environment["LISTEN_FDNAMES"] = names
    done = subprocess.run(
        ["bash", "-c", f'exec "$@" {moves}', "bash", sys.executable, "-c", INHERIT,
         "1" if wrong_pid else "0"],
        env=environment, pass_fds=HIGH[: len(descriptors)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


HIGH = range(60, 70)


def high(descriptors):
    """Copies of descriptors out of the way of those they become."""
    for descriptor, number in zip(descriptors, HIGH, strict=False):
        os.dup2(descriptor, number)
        yield number


@pytest.fixture(autouse=True)
def _tidy():
    yield
    for number in HIGH:
        try:
            os.close(number)
        except OSError:
            continue


def test_inherited_sockets_by_name(passed):
    """Sockets come by their names, closed on exec, and what told of them is gone."""
    one, two = passed
    found, left = run_with([one.fileno(), two.fileno()], "broker:admin")
    assert found == str(
        {
            "broker": (one.getsockname(), False, False),
            "admin": (two.getsockname(), False, False),
        }
    )
    assert left == "[]"


def test_inherited_socket_without_a_name(passed):
    """Without names, a socket is called what systemd calls it (sd_listen_fds_with_names(3))."""
    assert "'unknown'" in run_with([passed[0].fileno()])[0]


def test_what_is_meant_for_another_process_is_not_taken(passed):
    """Descriptors announced to another pid are not ours, nor is the announcement passed on."""
    assert run_with([passed[0].fileno()], "broker", wrong_pid=True) == ["{}", "[]"]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("connected", "does not listen"),
        ("datagram", "is no Unix stream socket"),
        ("internet", "is no Unix stream socket"),
        ("file", "is no socket"),
        ("missing", "is no socket"),
    ],
)
def test_inherited_descriptor_of_another_kind(kind, what):
    """What is not a listening Unix stream socket is refused, naming it and the unit's setting."""
    one, two = socket.socketpair()
    made = {
        "connected": one,
        "datagram": socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        "internet": socket.create_server(("127.0.0.1", 0)),
    }
    with one, two, Path("/dev/null").open() as null:
        held = {**{name: s.fileno() for name, s in made.items()}, "file": null.fileno()}
        descriptors = [held[kind]] if kind in held else []
        said = run_with(descriptors, "broker", count=1)[0]
    for each in made.values():
        each.close()
    assert said.startswith("refused:")
    assert what in said
    assert "'broker'" in said


def test_inherited_name_must_be_its_own(passed):
    """Two sockets of one name cannot be told apart."""
    said = run_with([each.fileno() for each in passed], "broker:broker")[0]
    assert "is passed twice" in said


@pytest.mark.parametrize(
    "environment",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": "x", "LISTEN_FDS": "1"}, {"LISTEN_FDS": "x"}],
)
def test_nothing_is_inherited(environment):
    """Without a sound announcement there are no sockets."""
    given = {"LISTEN_PID": str(os.getpid())} if "x" in environment.values() else {}
    kept = {**given, **environment, "HOME": "/"}
    assert inherited(kept) == {}
    assert kept == {"HOME": "/"}


def test_adopted_socket_that_others_could_replace_is_refused(directory, passed):
    """A service manager takes a directory as it finds it; who may write there could pose as us."""
    directory.chmod(0o777)
    with pytest.raises(SocketError, match="others can put a socket of theirs in its place"):
        OwnedSocket.adopt(passed[0])


def test_the_remedy_for_a_stolen_socket_is_its_unit_where_that_made_it(directory, passed):
    """Another start of the service takes over the same socket, which nobody finds."""
    assert "usps-token-broker.socket" in OwnedSocket.adopt(passed[0]).remedy
    with contextlib.closing(OwnedSocket.bind(directory / "own")) as bound:
        assert bound.remedy == "start the broker again"
