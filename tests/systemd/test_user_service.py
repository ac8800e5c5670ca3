"""The units for a developer's machine, under a real service manager of that user's own."""

import re

import pytest
from installed import CLIENT, GOOD_SECRET, PROGRAM, PYTHON, SERVICE, SOCKET, UNITS
from processes import until

DEVELOPER = "dev"
RUNTIME = "/run/user/2014"
HOME = "/home/dev"
MANAGER = "user@2014.service"
MINE = f"{HOME}/.config"


class Desk:
    """What the developer types."""

    def __init__(self, installed):
        self.installed = installed

    def type(self, *command, check=True):
        environ = {"XDG_RUNTIME_DIR": RUNTIME, "HOME": HOME}
        return self.installed.machine.run(*command, user=DEVELOPER, check=check, environ=environ)

    def systemctl(self, *arguments, check=True):
        return self.type("systemctl", "--user", *arguments, check=check).stdout

    def show(self, name):
        return self.systemctl("show", SERVICE, f"--property={name}").strip().partition("=")[2]

    def bearer(self):
        return self.type(CLIENT, "bearer", "--timeout", "20").stdout


@pytest.fixture
def desk(installed):
    """The units where the first lines of the service say, and a configuration of the user's own."""
    machine = installed.machine
    installed.systemctl("stop", MANAGER, "user-runtime-dir@2014.service", check=False)
    machine.run("rm", "-rf", HOME)
    for path in (UNITS / "user").iterdir():
        machine.write(f"{MINE}/systemd/user/{path.name}", path.read_bytes())
    secret = f"{MINE}/usps-token-broker/client-secret"
    config = f"{MINE}/usps-token-broker/broker.toml"
    installed.configure(secret=f'{{ file = "{secret}" }}', place=config)
    machine.write(secret, GOOD_SECRET, 0o600)
    machine.run("chown", "-R", f"{DEVELOPER}:", HOME)
    installed.systemctl("start", MANAGER)
    desk = Desk(installed)
    desk.systemctl("enable", "--now", SOCKET)
    yield desk
    installed.systemctl("stop", MANAGER)


def test_the_first_question_starts_it(desk):
    """The client finds this user's broker by itself; nobody had to be root."""
    assert desk.show("ActiveState") == "inactive"
    assert desk.bearer().startswith("eyJ")
    assert desk.show("ActiveState") == "active"
    status = desk.installed.machine.path(f"/proc/{desk.show('MainPID')}/status").read_text()
    assert "\nUid:\t2014\t2014\t" in status
    assert "\nSeccomp:\t2\n" in status


def test_it_says_how_it_stands_and_reloads(desk):
    """The same words as the system's."""
    desk.bearer()
    until(lambda: "payment good" in desk.show("StatusText"), lambda: desk.show("StatusText"))
    assert re.match(r"ready: bearer good until \d\d:\d\d, ", desk.show("StatusText"))
    desk.systemctl("reload", SERVICE)
    assert "reloaded at" in desk.show("StatusText")
    assert "ready" in desk.type(PROGRAM, "status").stdout


def test_a_restart_loses_nothing(desk):
    """Neither a token nor a call."""
    before = desk.bearer()
    desk.systemctl("restart", SERVICE)
    assert desk.bearer() == before
    desk.systemctl("stop", SERVICE)
    assert desk.bearer() == before
    assert desk.installed.calls()[0] == 1


def test_nobody_else_can_reach_it(desk):
    """Another user's programs do not even find the socket."""
    desk.bearer()
    place = f"{RUNTIME}/usps-token-broker/broker.sock"
    code = f"import socket; socket.socket(socket.AF_UNIX).connect({place!r})"
    done = desk.installed.machine.run(PYTHON, "-c", code, user="eve", check=False)
    assert "PermissionError" in done.stderr


def test_systemd_has_nothing_to_remark_on_the_users_units(desk):
    """No unknown key, no bad value, no missing program."""
    units = [f"{MINE}/systemd/user/{name}" for name in (SERVICE, SOCKET)]
    done = desk.type("systemd-analyze", "verify", "--user", "--man=no", *units, check=False)
    assert [line for line in done.stderr.splitlines() if "usps-token-broker" in line] == []
    assert done.returncode == 0
