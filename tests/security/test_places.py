"""What a broker makes and where it refuses to make it, as a real process meets it."""

import os
import signal
import stat

import pytest
from identities import Identity, as_identity
from processes import Home, Process, Usps

STRANGER = 54104
VICTIM = "precious"


@pytest.fixture(scope="module")
def usps():
    """One for all."""
    with Usps("--quota", "token=none", "--quota", "payment-authorization=none") as process:
        yield process


@pytest.fixture
def home(usps):
    """A folder whose socket lies in a directory that the broker makes."""
    made = Home(usps.base_url)
    made.change(f'socket = "{made.folder}/', f'socket = "{made.folder}/run/')
    made.socket = made.folder / "run" / "broker.sock"
    yield made
    made.remove()


@pytest.fixture
def victim(home):
    """A file of the broker's own user that somebody would like to see overwritten."""
    path = home.folder / "victim"
    path.write_text(VICTIM)
    path.chmod(0o644)
    return path


def refused(home, *words):
    """What a broker says that does not start; it is no traceback, and says what to do."""
    done = home.command("run")
    assert done.returncode in {73, 75, 77}, done
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not home.socket.exists()
    return done.stderr


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
def test_the_umask_has_no_effect_on_any_mode(home, umask):
    """State, lock, sockets and directories, over a restart as well."""
    command = ("usps_token_broker", "run", "--config", str(home.config))
    for _ in range(2):
        with Process(*command, preexec_fn=lambda: os.umask(umask)) as broker:
            home.wait_for_socket(broker)
            home.token("payment")
            modes = {
                str(path.relative_to(home.folder)): oct(stat.S_IMODE(path.lstat().st_mode))
                for parent in (home.folder / "run", home.folder / "state")
                for path in (parent, *parent.iterdir())
            }
            assert broker.kill(signal.SIGTERM) == 0
        assert modes.pop("run") == "0o755"
        assert modes.pop("run/broker.sock") == "0o666"
        assert modes.pop("state") == "0o700"
        assert {"state/state", "state/admin.sock"} <= set(modes)
        assert set(modes.values()) == {"0o600"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_state_directory_of_another_user_is_refused(home):
    """With whose it is."""
    state = home.folder / "state"
    state.mkdir(0o700)
    os.chown(state, STRANGER, STRANGER)
    refused(home, f"the state directory {state} belongs to uid {STRANGER}", "`chown` it")
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o755])
def test_a_state_directory_that_others_use_is_refused(home, mode):
    """It is left as it is, whether it is sticky or not."""
    state = home.folder / "state"
    state.mkdir()
    state.chmod(mode)
    (state / "theirs").touch()
    refused(home, f"the state directory {state} is open to others", "set state_dir to a directory")
    assert stat.S_IMODE(state.stat().st_mode) == mode
    assert [path.name for path in state.iterdir()] == ["theirs"]


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o755])
def test_an_empty_state_directory_is_closed_and_that_is_said(home, mode):
    """Whatever was let in before it was closed is looked at anew."""
    state = home.folder / "state"
    state.mkdir()
    state.chmod(mode)
    with home.broker() as broker:
        home.token()
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        assert f"{state} was open to others (mode {mode:04o})" in broker.errors()


@pytest.mark.parametrize("kind", ["the directory", "lock", "dangling lock", "admin.sock"])
def test_a_link_in_a_place_of_ours_is_refused(home, victim, kind):
    """With what lies there; what it leads to stays as it was."""
    state = home.folder / "state"
    elsewhere = home.folder / "elsewhere"
    if kind == "the directory":
        elsewhere.mkdir(0o700)
        state.symlink_to(elsewhere)
        refused(home, f"the state directory {state} is a symbolic link to {elsewhere}")
        assert list(elsewhere.iterdir()) == []
    else:
        state.mkdir(0o700)
        (state / kind.split()[-1]).symlink_to(elsewhere if "dangling" in kind else victim)
        told = refused(home)
        assert "remove it" in told
        assert not elsewhere.exists()
    assert victim.read_text() == VICTIM
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["state", "state.new", "lock.pid"])
@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_link_where_a_file_is_written_is_replaced(home, victim, name, kind):
    """What it leads to is neither read nor written."""
    state = home.folder / "state"
    state.mkdir(0o700)
    if kind == "hard":
        os.link(victim, state / name)
    else:
        (state / name).symlink_to(victim)
    with home.broker() as broker:
        home.token()
        assert broker.kill(signal.SIGTERM) == 0
        assert VICTIM not in broker.errors()
    assert victim.read_text() == VICTIM
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644
    assert not (state / "state").is_symlink()
    assert b"demo" not in victim.read_bytes()


@pytest.mark.parametrize("mode", [0o775, 0o777, 0o770])
def test_a_socket_directory_that_others_can_write_to_is_refused(home, mode):
    """They could put a socket of theirs there."""
    directory = home.socket.parent
    directory.mkdir()
    directory.chmod(mode)
    refused(home, f"the directory {directory} has mode {mode:04o}", "with mode 0755")
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_a_socket_directory_of_another_user_is_refused(home, mode):
    """Sticky or not: its owner may remove anything."""
    directory = home.socket.parent
    directory.mkdir()
    directory.chmod(mode)
    os.chown(directory, STRANGER, STRANGER)
    refused(home, f"the directory {directory} belongs to uid {STRANGER}", "owned by uid")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
def test_in_a_sticky_directory_nobody_can_take_the_socket_away(home):
    """So that one is as good as any; what a stranger put there before is not removed."""
    directory = home.socket.parent
    directory.mkdir()
    directory.chmod(0o1777)

    def take_away():
        try:
            home.socket.rename(directory / "mine")
        except PermissionError:
            return b"refused"
        return b"taken"

    with home.broker() as broker:
        assert as_identity(Identity(STRANGER, STRANGER), take_away) == b"refused"
        home.token()
        broker.kill(signal.SIGTERM)
    as_identity(Identity(STRANGER, STRANGER), lambda: home.socket.symlink_to("/x") or b"")
    done = home.command("run")
    assert done.returncode == 73
    assert f"{home.socket} is there and is not a socket" in done.stderr


def test_a_link_where_the_socket_should_be_is_not_followed(home, victim):
    """Nor removed: it may be somebody's."""
    home.socket.parent.mkdir()
    home.socket.symlink_to(victim)
    done = home.command("run")
    assert done.returncode == 73
    assert f"{home.socket} is there and is not a socket" in done.stderr
    assert home.socket.is_symlink()
    assert victim.read_text() == VICTIM
