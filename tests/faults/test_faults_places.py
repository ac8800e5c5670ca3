"""The socket's and the state's places, removed or replaced under a running broker."""

import contextlib
import shutil
import signal
import socket

import pytest
from processes import Home, Process, Usps, until

EX_CANTCREAT, EX_TEMPFAIL = 73, 75
LOOKS_OFTEN = {"WATCHDOG_USEC": "400000", "NOTIFY_SOCKET": "@usps-token-broker-nobody"}
"""As under a watchdog: it looks after its socket twice in that time, and not each ten seconds."""


@pytest.fixture(scope="module")
def usps():
    """One USPS for all, which takes as many calls as they make."""
    with Usps("--quota", "token=none", "--quota", "payment-authorization=none") as process:
        yield process


@pytest.fixture
def home(usps):
    """A folder in which the socket has a directory of its own."""
    home = Home(usps.base_url)
    home.change(f'socket = "{home.socket}"', f'socket = "{home.folder}/run/broker.sock"')
    home.socket = home.folder / "run" / "broker.sock"
    yield home
    home.remove()


# -- the socket -----------------------------------------------------------------------------------


def removed(path):
    path.unlink()


def a_file(path):
    path.unlink()
    path.write_text("precious")


def a_link(path):
    path.unlink()
    path.symlink_to("/nowhere")


def a_directory(path):
    path.unlink()
    path.mkdir()


def a_dead_socket(path):
    beside = path.with_name("other")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(beside))
    beside.replace(path)


def a_live_socket(path):
    beside = path.with_name("other")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(beside))
    listener.listen()
    beside.replace(path)
    return listener


def directory_removed(path):
    shutil.rmtree(path.parent)


def directory_renamed(path):
    path.parent.rename(path.parent.with_name("moved"))


def directory_replaced(path):
    directory_renamed(path)
    path.parent.mkdir(0o755)


def directory_a_file(path):
    directory_renamed(path)
    path.parent.write_text("precious")


FREE = (removed, a_dead_socket, directory_removed, directory_renamed, directory_replaced)
"""Then the next broker finds a place for its own."""
TAKEN = (a_file, a_link, a_directory, a_live_socket, directory_a_file)
"""Then what lies there is somebody's, and a person must look."""


def looks(path):
    """What lies there: to be the same afterwards."""
    found = path.lstat() if path.parent.is_dir() else path.parent.lstat()
    return found.st_ino, found.st_mode, found.st_size


def test_a_stolen_socket_is_said_and_ends_with_75(usps, home, dice, rounds, tried):
    """What was put in its place stays as it is; with the place free again no call is made."""
    cases = [*FREE, *TAKEN]
    with home.broker():
        serial = home.token("payment")["serial"]
    calls = usps.calls("token")
    for act in dice.sample(cases, rounds(2, len(cases))):
        print(act.__name__)  # noqa: T201 - beside a failure
        with contextlib.ExitStack() as stack:
            broker = stack.enter_context(home.broker(LOOKS_OFTEN))
            assert home.token("payment")["serial"] == serial
            listener = act(home.socket)
            stack.enter_context(contextlib.closing(listener or socket.socket()))
            before = looks(home.socket) if act in TAKEN else None
            assert broker.process.wait(30) == EX_TEMPFAIL, broker.errors()
            said = broker.errors()
            assert said.count("was removed or replaced by somebody else, so no client finds") == 1
            assert "Traceback" not in said
            if act in TAKEN:
                start = Process("usps_token_broker", "run", "--config", str(home.config))
                second = stack.enter_context(start)
                assert second.process.wait(30) == EX_CANTCREAT, second.errors()
                assert str(home.socket.parent) in second.errors()
                assert "Traceback" not in second.errors()
                assert looks(home.socket) == before
        tried("the place of the socket taken away", 1, 4 + 4 * (act in TAKEN))
        make_room(home)
    with home.broker():
        assert home.token("payment")["serial"] == serial
    assert usps.calls("token") == calls


def make_room(home):
    """As a person would."""
    place = home.socket.parent
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    shutil.rmtree(home.folder / "moved", ignore_errors=True)


# -- the state ------------------------------------------------------------------------------------


def state_removed(path):
    shutil.rmtree(path)


def state_renamed(path):
    path.rename(path.with_name("moved"))


def state_replaced(path):
    state_renamed(path)
    path.mkdir(0o700)


def state_a_file(path):
    state_renamed(path)
    path.write_text("precious")


def state_emptied(path):
    for entry in path.iterdir():
        entry.unlink()


def state_open_to_all(path):
    path.chmod(0o777)


STATE_CASES = (
    *(state_removed, state_renamed, state_replaced),
    *(state_a_file, state_emptied, state_open_to_all),
)


def test_a_state_directory_taken_away_costs_no_token(usps, home, dice, rounds, tried):
    """Served and renewed on, at most one line each about state and admin socket, ended with 0."""
    for act in dice.sample(STATE_CASES, rounds(1, len(STATE_CASES))):
        print(act.__name__)  # noqa: T201 - beside a failure
        state = home.folder / "state"
        with home.broker(LOOKS_OFTEN) as broker:
            serial = home.token("payment")["serial"]
            old = home.token()["serial"]
            until(lambda: home.status()["state_trouble"] is None)
            act(state)
            if act is not state_open_to_all:
                until(lambda one=broker: "the admin socket" in one.errors())
            report = {"status": 401, "path": "/x", "serials": {"bearer": old}}
            home.ask("POST", "/v1/answers?wait=10", report)
            until(lambda old=old: home.token()["serial"] != old, home.slot)
            assert home.token("payment")["serial"] == serial
            assert home.get("/readyz")[0] == 200
            assert broker.kill(signal.SIGTERM) == 0
            said = broker.errors()
            assert said.count("the admin socket") <= 1
            assert said.count("the state is not saved") <= 1
            assert "Traceback" not in said
        if state.is_file():
            assert state.read_text() == "precious"
            state.unlink()
        shutil.rmtree(home.folder / "moved", ignore_errors=True)
        calls = usps.calls("token")
        with home.broker():
            home.token("payment")
        assert usps.calls("token") <= calls + 1
        shutil.rmtree(state)  # and with it what was charged: each has its budget
        tried("the state directory taken away", 1, 8)


def test_a_second_broker_beside_a_moved_state_is_refused(usps, home):
    """The lock went away with the directory: the socket still says who is there."""
    with home.broker() as first:
        home.token("payment")
        state_renamed(home.folder / "state")
        with Process("usps_token_broker", "run", "--config", str(home.config)) as second:
            assert second.process.wait(30) == EX_CANTCREAT
            assert f"(pid {first.process.pid}) listens on {home.socket}" in second.errors()
        home.token("payment")
    assert usps.calls("token") >= 1
