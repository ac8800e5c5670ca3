"""Symbolic links planted where the broker puts its files: none is followed, no target is touched.

Only its own user and root can plant one there; it is a slip of theirs, or a trap for root.
"""

import signal

import pytest
from processes import Home, Process, Usps

EX_CANTCREAT = 73
PRECIOUS = b"precious"


@pytest.fixture(scope="module")
def usps():
    """One USPS for all."""
    with Usps("--quota", "token=none", "--quota", "payment-authorization=none") as process:
        yield process


@pytest.fixture
def home(usps):
    """A folder with an empty state directory."""
    home = Home(usps.base_url)
    home.folder.joinpath("state").mkdir(0o700)
    yield home
    home.remove()


@pytest.fixture(params=["a file", "nothing", "itself"])
def target(request, home):
    """Where a link leads, and what is there."""
    path = home.folder / "target"
    if request.param == "a file":
        path.write_bytes(PRECIOUS)
        path.chmod(0o644)
    return None if request.param == "itself" else path


def plant(link, target):
    link.symlink_to(link if target is None else target)


def what_is_at(target):
    """Content, mode and owner of what a link leads to; None where nothing is."""
    if target is None or not target.exists():
        return None
    status = target.stat()
    return target.read_bytes(), status.st_mode, status.st_uid


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("state/lock", "is a symbolic link, which the broker neither made nor follows"),
        ("state/admin.sock", "is there and is not a socket; remove it if nobody needs it"),
        ("broker.sock", "is there and is not a socket; remove it if nobody needs it"),
    ],
)
def test_a_link_in_the_place_of_a_lock_or_socket_keeps_it_from_starting(home, target, name, words):
    """It ends with 73 and names the link, which stays as it was planted."""
    link = home.folder / name
    plant(link, target)
    before = what_is_at(target)
    with Process("usps_token_broker", "run", "--config", str(home.config)) as broker:
        assert broker.process.wait(30) == EX_CANTCREAT, broker.errors()
        assert f"{link} {words}" in broker.errors()
        assert "Traceback" not in broker.errors()
    assert link.is_symlink()
    assert what_is_at(target) == before


@pytest.mark.parametrize("name", ["state", "state.new", "lock.pid"])
def test_a_link_in_the_place_of_a_file_is_replaced(home, target, name):
    """What the broker writes there lies there, and not where the link leads."""
    link = home.folder / "state" / name
    plant(link, target)
    before = what_is_at(target)
    with home.broker() as broker:
        serial = home.token("payment")["serial"]
        assert "Traceback" not in broker.errors()
        if name == "state":
            assert "it is a symbolic link; tokens are fetched anew" in broker.errors()
        assert broker.kill(signal.SIGTERM) == 0
    assert not link.is_symlink()
    assert what_is_at(target) == before
    with home.broker():
        assert home.token("payment")["serial"] == serial


def test_a_link_planted_as_the_state_while_it_runs_is_replaced(home, target):
    """The next save puts a file in its place."""
    state = home.folder / "state" / "state"
    before = what_is_at(target)
    with home.broker() as broker:
        home.token("payment")
        state.unlink()
        plant(state, target)
        assert broker.kill(signal.SIGTERM) == 0
    assert state.is_file()
    assert not state.is_symlink()
    assert what_is_at(target) == before
