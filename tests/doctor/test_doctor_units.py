"""The service units by what a service manager says, which is a program of ours here."""

import json
import os
import sys
from dataclasses import replace

import pytest
from fake_systemctl import FakeSystemctl
from identities import Identity, as_identity

from usps_token_broker.doctor import Scene, Verdict, units
from usps_token_broker.drivers.units import places

NAME = "usps-token-broker"
NAMES = ("usps-token-broker.socket", "usps-token-broker.service")
UP = {"active": "active", "file": "enabled"}


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """On a host that has none of our units on its disk."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    nowhere = replace(places.of_image(tmp_path), call=("systemctl",))
    monkeypatch.setattr(places, "of_host", lambda: nowhere)
    return FakeSystemctl(directory, sys.executable)


def told(scene):
    return [(finding.verdict, finding.code) for finding in units.look(scene)]


def test_units_that_are_up_pass(systemctl):
    """Socket and service; whom the broker runs as is the service's user then."""
    systemctl.set(units=dict.fromkeys(NAMES, UP))
    scene = Scene()
    assert told(scene) == [(Verdict.PASS, "")] * 2
    assert scene.unit_installed
    assert systemctl.take_record() == []


def test_a_service_that_has_failed_is_told_with_its_journal(systemctl):
    """Beside a socket that is up."""
    systemctl.set(units={NAMES[0]: UP, NAMES[1]: {"active": "failed", "file": "enabled"}})
    found = {finding.saw: finding for finding in units.look(Scene())}
    assert found[f"{NAMES[1]} has failed"].code == "unit_failed"
    assert "journalctl" in found[f"{NAMES[1]} has failed"].fix


def test_a_manager_that_does_not_run_says_nothing_of_units(systemctl):
    """A container with the program alone."""
    systemctl.set(running=False)
    assert told(Scene()) == [(Verdict.UNSEEN, "")]


def test_a_manager_that_hangs_is_told_and_not_waited_for(systemctl):
    """The fence would be patient for longer, and say nothing of systemd."""
    silence = systemctl.directory / "silence"
    os.mkfifo(silence)
    (systemctl.directory / "systemctl").write_text(f"#!/bin/sh\nread line < {silence}\n")
    [finding] = units.look(Scene(), 0.2)
    for _ in ("--version", "show"):  # it may go on now, and end
        with silence.open("w"):
            pass
    assert (finding.verdict, finding.code) == (Verdict.UNSEEN, "")
    assert "systemd gives no answer" in finding.saw


def test_without_systemd_nothing_is_said_of_units(tmp_path, monkeypatch):
    """Something else starts the broker there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert told(Scene()) == [(Verdict.UNSEEN, "")]


@pytest.mark.parametrize(
    ("unit", "start"),
    [
        (None, None),
        ("[Service]", f"`systemctl start {NAME}`"),
        ("/dev/null", f"`systemctl unmask {NAME}`, then `systemctl start {NAME}`"),
    ],
)
@pytest.mark.usefixtures("systemctl")
def test_a_start_is_told_as_the_unit_allows_it(tmp_path, unit, start):
    """A masked one is not started, and one that is not there neither."""
    if unit:
        path = tmp_path / "etc" / "systemd" / "system" / NAMES[1]
        path.parent.mkdir(parents=True)
        path.symlink_to(unit) if unit == os.devnull else path.write_text(unit)
    known = units.commands()
    assert (known and known.start) == start


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
def test_the_units_of_a_user_are_that_users_alone(folder, monkeypatch):
    """With the words for his service manager; whom the broker runs as is himself."""
    directory = folder / "systemd" / "user"
    directory.mkdir(parents=True)
    (directory / NAMES[1]).write_text("[Service]\n")
    # In sh, since this Python may be closed to others.
    program = folder / "systemctl"
    program.write_text(
        f'#!/bin/sh\n[ "$2" = show ] && echo Id={NAMES[1]} && echo ActiveState=failed\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    nowhere = places.of_image(folder)
    monkeypatch.setattr(places, "of_host", lambda: nowhere)

    def look():
        scene = Scene()
        told = {finding.saw: finding.fix for finding in units.look(scene)}
        return json.dumps([scene.unit_installed, told]).encode()

    installed, told = json.loads(as_identity(Identity(52001, 52001), look))
    assert not installed
    assert "`systemctl --user reset-failed" in told[f"{NAMES[1]} has failed"]
    assert "`journalctl --user -u" in told[f"{NAMES[1]} has failed"]
