"""Where socket and state lie, for root, under systemd, by hand, and by order."""

from pathlib import Path

import pytest
from configs import APP, HOME

from usps_token_broker.config import ConfigError, load

SYSTEM = (
    Path("/run/usps-token-broker/broker.sock"),
    Path("/run/usps-token-broker-state"),
)


@pytest.fixture
def places(folder):
    """Socket and state directory for this environment and these lines at the top of the file."""

    def find(environ, lines="", *, uid=1000):
        settings = folder.load(f"{lines}\n{APP}", environ, uid=uid)
        return settings.socket_path, settings.state_dir

    return find


def test_root_uses_the_system_places(places):
    """Whatever login left in the environment."""
    assert places({}, uid=0) == SYSTEM
    assert places(HOME, uid=0) == SYSTEM


def test_the_unit_uses_the_system_places(places):
    """RUNTIME_DIRECTORY is what our RuntimeDirectory= comes to."""
    assert places({"RUNTIME_DIRECTORY": "/run/usps-token-broker-state"}) == SYSTEM
    assert places({"RUNTIME_DIRECTORY": "/run/x:/run/usps-token-broker-state"}) == SYSTEM


def test_a_unit_of_a_user_uses_that_users_places(places):
    """`systemctl --user` has its RuntimeDirectory below XDG_RUNTIME_DIR."""
    environ = {"RUNTIME_DIRECTORY": "/run/user/7/usps-token-broker-state"}
    assert places(environ) == (
        Path("/run/user/7/usps-token-broker/broker.sock"),
        Path("/run/user/7/usps-token-broker-state"),
    )


@pytest.mark.parametrize("value", ["/run/ci-runner", "usps-token-broker-state", ""])
def test_the_runtime_directory_of_another_unit_is_not_taken_over(places, value):
    """A shell inside of a service inherits it."""
    assert places({**HOME, "RUNTIME_DIRECTORY": value}) == places(HOME)


def test_by_hand_they_lie_with_the_user(places):
    """Where the client looks."""
    assert places(HOME) == (
        Path("/run/user/1000/usps-token-broker/broker.sock"),
        Path("/run/user/1000/usps-token-broker-state"),
    )


def test_the_file_decides_first(places):
    """Over variables and custom."""
    lines = 'socket = "/srv/s.sock"\nstate_dir = "/srv/state"'
    environ = {**HOME, "USPS_TOKEN_SOCKET": "/a", "USPS_TOKEN_STATE_DIR": "/b"}
    assert places(environ, lines) == (Path("/srv/s.sock"), Path("/srv/state"))


def test_then_the_environment_as_for_clients(places):
    """One variable, and both ends agree."""
    environ = {**HOME, "USPS_TOKEN_SOCKET": "/a/s", "USPS_TOKEN_STATE_DIR": "/b"}
    assert places(environ) == (Path("/a/s"), Path("/b"))
    assert places({"USPS_TOKEN_SOCKET": "/a/s", "USPS_TOKEN_STATE_DIR": "/b"})


@pytest.mark.parametrize("xdg", [None, "", "relative"])
def test_without_a_place_the_error_says_how_to_give_one(places, xdg):
    """Cron jobs and `su` have no XDG_RUNTIME_DIR."""
    environ = {} if xdg is None else {"XDG_RUNTIME_DIR": xdg}
    with pytest.raises(ConfigError) as caught:
        places(environ)
    assert [problem.key for problem in caught.value.problems] == ["socket", "state_dir"]
    text = str(caught.value)
    assert 'write: socket = "/run/usps-token-broker/broker.sock"' in text
    assert "set USPS_TOKEN_SOCKET=/run/usps-token-broker/broker.sock" in text
    assert "set XDG_RUNTIME_DIR" in text


def test_only_the_missing_place_is_asked_for(places):
    """The other one was given."""
    with pytest.raises(ConfigError) as caught:
        places({}, 'socket = "/srv/s.sock"')
    assert [problem.key for problem in caught.value.problems] == ["state_dir"]


def test_the_environment_form_is_told_its_variables(tmp_path):
    """It has no file to write a key into."""
    environ = {"USPS_CLIENT_ID": "x", "USPS_CLIENT_SECRET": "y"}
    with pytest.raises(ConfigError) as caught:
        load(None, environ, uid=1000, default_path=tmp_path / "none")
    keys = [problem.key for problem in caught.value.problems]
    assert keys == ["USPS_TOKEN_SOCKET", "USPS_TOKEN_STATE_DIR"]
    assert "write:" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('socket = "broker.sock"', "socket: expected a full path"),
        ('socket = "~/broker.sock"', "socket: expected a full path"),
        ("socket = 1", "socket: expected a full path, from / on, found 1"),
        ('socket = ""', "socket: expected a full path"),
        ('state_dir = "a\\u0000"', "state_dir: expected a full path"),
        ('state_dir = "/a\\u0000"', "found a NUL in it"),
        (f'socket = "/{"x" * 107}"', "a path of at most 107 bytes, found 108 bytes"),
        (f'state_dir = "/{"ä" * 48}"', "a path of at most 96 bytes, found 97 bytes"),
        ('socket = "/s/state/b.sock"\nstate_dir = "/s/state"', "closed to workers"),
        ('socket = "/s/b.sock"\nstate_dir = "/"', "closed to workers"),
    ],
)
def test_places_that_cannot_work_are_refused(places, lines, words):
    """Before anything is made."""
    with pytest.raises(ConfigError) as caught:
        places(HOME, lines)
    assert words in str(caught.value)


@pytest.mark.parametrize("length", [107, 108])
def test_the_longest_socket_path_is_the_kernels(places, tmp_path, monkeypatch, length):
    """What is accepted can be bound, what is refused could not: sun_path, unix(7)."""
    import socket  # noqa: PLC0415 - this test alone

    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        if length > 107:
            with pytest.raises(OSError, match="too long"):
                listener.bind("x" * length)
        else:
            listener.bind("x" * length)


def test_a_run_directory_too_deep_is_refused(places):
    """Also when nobody wrote the path."""
    with pytest.raises(ConfigError, match="at most 107 bytes"):
        places({"XDG_RUNTIME_DIR": "/" + "x" * 100})


def test_a_variable_that_cannot_work_is_named(places):
    """By its own name."""
    with pytest.raises(ConfigError, match="the environment: USPS_TOKEN_SOCKET: expected a full"):
        places({**HOME, "USPS_TOKEN_SOCKET": "broker.sock"})


def test_what_lies_side_by_side_is_fine(places):
    """A directory each, or one above both."""
    assert places(HOME, 'socket = "/s/b.sock"\nstate_dir = "/s/state"')
    assert places(HOME, 'socket = "/s/state-x/b.sock"\nstate_dir = "/s/state"')
