"""Secrets and directories, by real files of real users."""

import os
import socket

import pytest
from standings import GOOD, status

from usps_token_broker.doctor import Verdict, configuration, files
from usps_token_broker.drivers import probing
from usps_token_broker.drivers.probing import Identity, Room

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
SHOP = Identity(52001, 52001)


@pytest.fixture
def secret(scene):
    """What the check says of the secret."""

    def look():
        [*configuration.look(scene)]
        [finding] = files.look_at_secrets(scene)
        return finding

    return look


@pytest.fixture
def places(scene):
    """What the check says of the directories."""

    def look():
        [*configuration.look(scene)]
        return [(finding.verdict, finding.code) for finding in files.look_at_places(scene)]

    return look


def test_a_secret_of_the_daemon_alone_passes(secret):
    """And is not shown."""
    finding = secret()
    assert finding.verdict is Verdict.PASS
    assert "a-secret-of-a-test" not in str(finding)


@pytest.mark.parametrize("mode", [0o644, 0o602])
def test_a_secret_that_others_can_open_fails(secret, folder, mode):
    """With the mode to give it."""
    (folder / "client-secret").chmod(mode)
    finding = secret()
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "secret_unusable")
    assert "chmod 600" in finding.fix


@pytest.mark.parametrize("content", ["", "two\nlines\n"])
def test_a_file_that_is_no_secret_fails(secret, folder, content):
    """Empty, or of several lines."""
    (folder / "client-secret").write_text(content)
    assert secret().code == "secret_unusable"


def test_a_secret_that_is_not_there_fails(secret, folder):
    """With where to write it."""
    (folder / "client-secret").unlink()
    assert secret().code == "secret_unusable"


def test_a_credential_of_a_unit_is_not_looked_at(secret, config, folder):
    """Only the unit is given it."""
    text = config.read_text()
    config.write_text(text.replace(f'file = "{folder}/client-secret"', 'credential = "usps"'))
    assert secret().verdict is Verdict.UNSEEN


def test_a_variable_of_the_broker_alone_is_not_looked_at(secret, config, folder):
    """Ours is another environment."""
    text = config.read_text()
    config.write_text(text.replace(f'file = "{folder}/client-secret"', 'env = "SOME_SECRET"'))
    assert secret().verdict is Verdict.UNSEEN


@as_root
def test_a_secret_that_the_brokers_user_cannot_read_fails(secret, folder):
    """Root's own view would not show it: the state says whose the broker is."""
    state = folder / "state"
    state.mkdir(0o700)
    os.chown(state, SHOP.uid, SHOP.gid)
    finding = secret()
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "secret_unusable")
    assert f"chown {SHOP.uid}" in finding.fix
    assert "belongs to root and the group 0 (mode 0600)" in str(finding)
    os.chown(folder / "client-secret", SHOP.uid, SHOP.gid)
    assert secret().verdict is Verdict.PASS


@as_root
def test_a_directory_that_the_brokers_user_cannot_pass_is_named(secret, folder):
    """Not the file, which is its own."""
    state = folder / "state"
    state.mkdir(0o700)
    for path in (state, folder / "client-secret"):
        os.chown(path, SHOP.uid, SHOP.gid)
    folder.chmod(0o700)
    finding = secret()
    folder.chmod(0o755)
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "secret_unusable")
    assert f"the directory {folder} on the way is closed to it" in str(finding)
    assert f"chmod o+x {folder}" in finding.fix


def test_directories_as_the_broker_makes_them_pass(places, folder):
    """The one of the socket is open, that of the state is not."""
    (folder / "state").mkdir(0o700)
    assert places() == [(Verdict.PASS, ""), (Verdict.PASS, "")]


def test_a_state_directory_that_is_not_there_yet_is_told(places):
    """Nothing is wrong with that: the broker makes it."""
    assert places()[1] == (Verdict.UNSEEN, "")


@pytest.mark.parametrize("name", ["own/broker.sock", "state"])
def test_a_directory_that_the_broker_cannot_make_fails(config, scene, folder, name):
    """It makes its own, and none above."""
    old = f"{folder}/{name.rpartition('/')[2]}"
    config.write_text(config.read_text().replace(f'"{old}"', f'"{folder}/none/{name}"'))
    [*configuration.look(scene)]
    told = [finding for finding in files.look_at_places(scene) if finding.code == "not_running"]
    assert [finding.fix for finding in told] == [f"`mkdir -p -m 755 {folder}/none`"]


def test_a_state_directory_that_others_can_enter_fails(places, folder):
    """Tokens lie in it."""
    (folder / "state").mkdir()
    (folder / "state").chmod(0o750)
    assert places()[1] == (Verdict.FAIL, "state_exposed")


def test_a_file_in_the_place_of_the_state_fails(places, folder):
    """Nothing could be saved."""
    (folder / "state").write_text("")
    assert places()[1] == (Verdict.FAIL, "state_not_saved")


def test_a_link_that_leads_nowhere_in_the_place_of_the_state_fails_once(places, folder):
    """Of what is no directory the room is not asked for."""
    (folder / "state").symlink_to(folder / "state")
    assert places()[1:] == [(Verdict.FAIL, "state_not_saved")]


@pytest.mark.parametrize(
    ("room", "words"),
    [
        (Room(10**9, files=True, read_only=False), None),
        (Room(10**9, files=True, read_only=True), "can only be read"),
        (Room(10**9, files=False, read_only=False), "takes no more files"),
        (Room(4096, files=True, read_only=False), "has 4 KiB left"),
    ],
)
def test_a_file_system_that_takes_nothing_more_fails(folder, room, words):
    """Whatever it lacks is named."""
    found = [finding.saw for finding in files.judge_room(folder, room)]
    assert found == ([] if words is None else [f"the file system of {folder} {words}"])


def test_room_is_what_the_kernel_says(folder):
    """A folder that tests write to has some."""
    room = probing.room(folder)
    assert room.free > 0
    assert room.files
    assert not room.read_only


def test_a_socket_that_workers_cannot_connect_to_is_told(places, scene, folder):
    """The broker makes it open to all, and its rules decide."""
    (folder / "state").mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "broker.sock"))
    (folder / "broker.sock").chmod(0o600)
    assert (Verdict.WARN, "no_permission") not in places()  # nobody listens: that is told
    scene.is_heard = True
    assert (Verdict.WARN, "no_permission") in places()
    (folder / "broker.sock").chmod(0o666)
    assert (Verdict.WARN, "no_permission") not in places()


def test_a_directory_of_the_socket_that_workers_cannot_pass_is_told(places, folder):
    """It may be meant, where workers are of its group."""
    (folder / "state").mkdir(0o700)
    folder.chmod(0o700)
    assert places()[0] == (Verdict.WARN, "no_permission")


def test_a_directory_of_the_socket_that_everybody_can_write_fails(places, folder):
    """Somebody may put a socket of his there."""
    (folder / "state").mkdir(0o700)
    folder.chmod(0o777)
    assert places()[0] == (Verdict.FAIL, "socket_replaceable")


@as_root
def test_a_state_directory_of_another_user_is_not_the_brokers(folder):
    """By whose process it is."""
    state = folder / "state"
    state.mkdir(0o700)
    finding = files.judge_state_directory(state, state.lstat(), SHOP)
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "state_not_saved")


@as_root
def test_the_kernel_says_what_another_user_may(folder):
    """With every directory on the way."""
    path = folder / "file"
    path.write_text("x")
    assert probing.may(SHOP, "r", path) is True
    path.chmod(0o600)
    assert probing.may(SHOP, "r", path) is False
    path.chmod(0o644)
    folder.chmod(0o700)
    assert probing.may(SHOP, "r", path) is False


def test_a_new_file_is_of_its_owner_alone_and_never_another(folder):
    """Whatever the umask; a link is another file."""
    path = folder / "new"
    probing.write_new(path, b"x")
    assert path.stat().st_mode & 0o777 == 0o600
    (folder / "link").symlink_to(folder / "elsewhere")
    for taken in (path, folder / "link", folder):
        with pytest.raises(FileExistsError):
            probing.write_new(taken, b"y")
    assert not (folder / "elsewhere").exists()
    assert path.read_bytes() == b"x"


def test_the_listener_is_known_by_the_kernels_word(folder):
    """The process that called listen()."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "s"))
        listening.listen()
        assert probing.listener(folder / "s", 5.0) == os.getpid()
    running = probing.process(os.getpid())
    assert running.identity.uid == os.geteuid()
    assert not running.is_stopped
    assert probing.process(2**30) is None


def test_a_pid_of_somebody_else_is_not_taken_for_the_brokers(scene, folder):
    """A broker in a container tells a number of its own."""
    state = folder / "state"
    state.mkdir(0o700)
    [*configuration.look(scene)]
    owner = state.stat().st_uid
    scene.status = status(GOOD, pid=1)
    assert scene.daemon().uid == owner
    assert not probing.is_broker(2**30)


def test_the_kernel_is_asked_about_the_clock():
    """One of the three, and nothing raises: a sandbox may forbid to ask."""
    assert probing.clock_synchronised() in probing.Synchronised
