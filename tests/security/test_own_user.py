"""A broker that runs as a user of its own, as under its unit: who may ask, and who may look in."""

import ctypes
import os
import signal
import socket
from contextlib import contextmanager
from pathlib import Path

import pytest
from identities import Identity, as_identity, exchange, request
from processes import Home, Process, Usps

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")

OWN, NAMED, LABELS, STRANGER = 54001, 54002, 54003, 54004
FAKES = Path(__file__).parents[1] / "fakes"
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206  # linux/ptrace.h
SECRET = "demo-client-secret"

BROKER_ITSELF = Identity(OWN, OWN)
EVERYTHING = {
    "the broker's own user": BROKER_ITSELF,
    "its user in other groups": Identity(OWN, STRANGER, (7,)),
    "root": Identity(0, 0),
}
PEERS = {
    **EVERYTHING,
    "named user": Identity(NAMED, NAMED),
    "primary group": Identity(STRANGER, LABELS),
    "last of 300 groups": Identity(STRANGER, STRANGER, (*range(10_000, 10_299), LABELS)),
    "the broker's own group": Identity(STRANGER, OWN, (OWN,)),
    "nobody": Identity(65534, 65534),
    "stranger": Identity(STRANGER, STRANGER),
}
TABLE = {
    "GET /v1/tokens/bearer": {*EVERYTHING, "named user", "primary group", "last of 300 groups"},
    "GET /v1/tokens/payment": {*EVERYTHING, "primary group", "last of 300 groups"},
    "GET /v1/status": {*EVERYTHING, "named user", "primary group", "last of 300 groups"},
}


@contextmanager
def broker_of_its_own(home, **environ):
    """It owns the folder and what is in it."""
    for path in (home.folder, *home.folder.iterdir()):
        os.chown(path, OWN, OWN)
    command = ("own_user_broker", str(OWN), "run")
    options = () if environ else ("--config", str(home.config))
    with Process(*command, *options, environ={"PYTHONPATH": str(FAKES), **environ}) as broker:
        home.wait_for_socket(broker)
        yield broker


@pytest.fixture(scope="module")
def shop():
    """One broker: who asks is what differs."""
    with Usps() as usps:
        home = Home(
            usps.base_url,
            bearer=f"users = [{NAMED}]\ngroups = [{LABELS}]",
            payment=f"groups = [{LABELS}]",
        )
        with broker_of_its_own(home) as broker:
            home.token("payment")
            yield home, broker
        home.remove()


def status_of(path, identity, call):
    method, target = call.split(" ")
    said = as_identity(identity, lambda: exchange(path, [request(target, method)]))
    return int(said.split(b" ")[1])


@pytest.mark.parametrize("kind", PEERS)
@pytest.mark.parametrize("call", TABLE)
def test_its_own_user_root_and_whom_the_rules_name_may_ask(shop, kind, call):
    """Its own group opens nothing by itself."""
    home, _ = shop
    expected = 200 if kind in TABLE[call] else 403
    assert status_of(str(home.socket), PEERS[kind], call) == expected


@pytest.mark.parametrize("kind", PEERS)
def test_only_its_own_user_and_root_reach_the_admin_socket(shop, kind):
    """The directory is that user's alone."""
    home, _ = shop
    path = str(home.folder / "state" / "admin.sock")

    def ask():
        try:
            return exchange(path, [request("/v1/status")])
        except PermissionError:
            return b"- 0"

    said = as_identity(PEERS[kind], ask)
    assert int(said.split(b" ")[1]) == (200 if kind in EVERYTHING else 0)


@pytest.mark.parametrize("kind", ["root", "the broker's own user", "stranger"])
def test_over_the_workers_socket_it_takes_no_orders(shop, kind):
    """Containers have that socket mounted: not even from its own user."""
    home, _ = shop
    status = status_of(str(home.socket), PEERS[kind], "POST /v1/forget")
    assert status == (403 if kind == "stranger" else 404)


# -- looking in -----------------------------------------------------------------------------------


def outcome(call):
    try:
        call()
    except PermissionError:
        return "refused"
    return "allowed"


def traced(pid, how):
    if ctypes.CDLL(None, use_errno=True).ptrace(how, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def read_memory(pid):
    """By the call that debuggers use (process_vm_readv(2)), from the top of the stack."""

    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    buffer = ctypes.create_string_buffer(8)
    here, there = Vector(ctypes.addressof(buffer), 8), Vector(0x400000, 8)
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    if done < 0:
        raise OSError(ctypes.get_errno(), "process_vm_readv")


def ways_in(pid):
    proc = Path(f"/proc/{pid}")
    return {
        "mem": lambda: (proc / "mem").open("rb").close(),
        "environ": (proc / "environ").read_bytes,
        "maps": (proc / "maps").read_bytes,
        "fd": lambda: list((proc / "fd").iterdir()),
        "mem of a thread": lambda: (proc / "task" / str(pid) / "mem").open("rb").close(),
        "PTRACE_ATTACH": lambda: traced(pid, PTRACE_ATTACH),
        "PTRACE_SEIZE": lambda: traced(pid, PTRACE_SEIZE),
        "process_vm_readv": lambda: read_memory(pid),
    }


@pytest.mark.parametrize("way", ways_in(0))
def test_another_process_of_its_user_cannot_look_into_it(shop, way):
    """Not by a file of /proc, which would hold its secret, and not as a debugger."""
    _, broker = shop
    pid = broker.process.pid
    said = as_identity(BROKER_ITSELF, lambda: outcome(ways_in(pid)[way]).encode())
    assert said == b"refused"


@pytest.mark.parametrize("way", ["environ", "maps", "fd", "mem"])
def test_into_an_ordinary_process_of_that_user_it_could(way):
    """Else nothing would be shown above."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setresgid(OWN, OWN, OWN)
        os.setresuid(OWN, OWN, OWN)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE
        os.write(writing, b".")
        signal.pause()
    try:
        os.read(reading, 1)
        said = as_identity(BROKER_ITSELF, lambda: outcome(ways_in(child)[way]).encode())
        assert said == b"allowed"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_a_secret_in_its_environment_is_for_root_alone():
    """It stays in /proc/PID/environ, where nobody else can read it, and goes nowhere else."""
    with Usps() as usps:
        home = Home(usps.base_url)
        environ = {
            "USPS_CLIENT_ID": "demo-client-id",
            "USPS_CLIENT_SECRET": SECRET,
            "USPS_BASE_URL": usps.base_url,
            "USPS_TOKEN_SOCKET": str(home.socket),
            "USPS_TOKEN_STATE_DIR": str(home.folder / "state"),
        }
        (home.folder / "client-secret").unlink()
        with broker_of_its_own(home, **environ) as broker:
            home.token()
            proc = Path(f"/proc/{broker.process.pid}")
            assert SECRET.encode() in (proc / "environ").read_bytes()
            for identity in (BROKER_ITSELF, Identity(STRANGER, STRANGER)):
                look = ways_in(broker.process.pid)["environ"]
                assert as_identity(identity, lambda look=look: outcome(look).encode()) == b"refused"
            assert SECRET.encode() not in (proc / "cmdline").read_bytes()
            assert not "".join(path.read_text() for path in proc.glob("task/*/children"))
            files = [path for path in home.folder.rglob("*") if path.is_file()]
            assert files
            assert not any(SECRET.encode() in path.read_bytes() for path in files)
        home.remove()


def test_its_socket_and_state_belong_to_it(shop):
    """The socket is open to all, since the rules decide; the rest is for that user."""
    home, _ = shop
    found = {
        path.name: (path.lstat().st_uid, oct(path.lstat().st_mode & 0o7777))
        for path in (home.socket, *(home.folder / "state").iterdir(), home.folder / "state")
    }
    assert {uid for uid, _ in found.values()} == {OWN}
    assert found.pop("broker.sock")[1] == "0o666"
    assert found.pop("state")[1] == "0o700"
    assert {mode for _, mode in found.values()} == {"0o600"}


def test_a_stranger_cannot_take_its_place(shop):
    """A second one of another user ends, and says that the directory is not its own."""
    home, _ = shop
    command = ("own_user_broker", str(STRANGER), "run", "--config", str(home.config))
    with Process(*command, environ={"PYTHONPATH": str(FAKES)}) as second:
        assert second.process.wait(30) in {73, 78}
        assert "Traceback" not in second.errors()
    with socket.socket(socket.AF_UNIX) as connected:
        connected.connect(str(home.socket))
