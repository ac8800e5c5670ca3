"""What the service manager is told, by a systemctl that obeys and keeps a record."""

import os
import sys
from dataclasses import replace

import pytest
from fake_systemctl import FakeSystemctl

from usps_token_broker.drivers.units import (
    Layout,
    Shipped,
    UnitsError,
    carry_out,
    manager,
    places,
    survey_install,
    survey_removal,
)

PROGRAM = ("/opt/x/bin/usps-token-broker",)
SERVICE, SOCKET = "usps-token-broker.service", "usps-token-broker.socket"
SHIPPED = Shipped(
    units={
        SOCKET: "[Socket]\n",
        SERVICE: "[Service]\nExecStart=/opt/usps-token-broker/bin/usps-token-broker run\n",
    },
    sysusers={"usps-token-broker.conf": "u usps-token-broker -\n"},
    example="# nothing\n",
)
NEWER = replace(SHIPPED, units={**SHIPPED.units, SERVICE: SHIPPED.units[SERVICE] + "UMask=0077\n"})
NEWER_SOCKET = replace(NEWER, units={**NEWER.units, SOCKET: "[Socket]\nBacklog=1\n"})


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return FakeSystemctl(directory, sys.executable)


@pytest.fixture
def layout(tmp_path):
    """A host whose directories are elsewhere."""
    (tmp_path / "root").mkdir()
    return replace(places.of_image(tmp_path / "root"), call=("systemctl",))


def install(layout: Layout, shipped: Shipped = SHIPPED, **options) -> list[str]:
    """Survey and do; what was told."""
    told: list[str] = []
    host = manager.survey(shipped.units, layout.call, for_user=not layout.is_system)
    if not options.pop("user_missing", False):
        host = replace(host, has_user=True)
    carry_out(survey_install(layout, shipped, PROGRAM, host, **options), told.append)
    return told


def uninstall(layout: Layout, **options) -> list[str]:
    told: list[str] = []
    host = manager.survey(SHIPPED.units, layout.call, for_user=not layout.is_system)
    carry_out(survey_removal(layout, SHIPPED, host, **options), told.append)
    return told


def test_it_reloads_and_starts_nothing(layout, systemctl):
    """Starting is a decision of its own."""
    install(layout)
    assert systemctl.take_record() == ["daemon-reload"]


def test_now_enables_and_starts(layout, systemctl):
    """Both units, in the order of reload, enable, start."""
    install(layout, now=True)
    assert systemctl.take_record() == [
        "daemon-reload",
        f"enable {SOCKET} {SERVICE}",
        f"start {SOCKET} {SERVICE}",
    ]


def test_a_second_time_there_is_nothing_to_do(layout, systemctl):
    """Neither with --now nor without."""
    install(layout, now=True)
    systemctl.take_record()
    assert install(layout, now=True) == []
    assert install(layout) == []
    assert systemctl.take_record() == []


def test_now_after_a_run_without_it_starts(layout, systemctl):
    """The files are there already."""
    install(layout)
    systemctl.take_record()
    install(layout, now=True)
    assert systemctl.take_record() == [f"enable {SOCKET} {SERVICE}", f"start {SOCKET} {SERVICE}"]


def test_a_newer_service_is_restarted_without_its_socket(layout, systemctl):
    """Clients wait in the socket meanwhile."""
    install(layout, now=True)
    systemctl.take_record()
    install(layout, NEWER, now=True)
    assert systemctl.take_record() == ["daemon-reload", f"restart {SERVICE}"]


def test_a_newer_socket_is_restarted_with_the_service(layout, systemctl):
    """systemd refuses to start a socket under a running service."""
    install(layout, NEWER, now=True)
    systemctl.take_record()
    install(layout, NEWER_SOCKET, now=True)
    assert systemctl.take_record() == ["daemon-reload", f"restart {SOCKET} {SERVICE}"]


def test_without_now_a_person_is_told_of_the_restart(layout, systemctl):
    """What runs is not touched."""
    install(layout, now=True)
    host = manager.survey(SHIPPED.units, layout.call, for_user=False)
    plan = survey_install(layout, NEWER, PROGRAM, host)
    assert any(note.endswith(f"systemctl restart {SERVICE}") for note in plan.notes)


def test_a_reload_that_did_not_happen_is_made_up_for(layout, systemctl):
    """The run before was cut short between writing and reloading."""
    install(layout)
    systemctl.set(units={SERVICE: {"stale": "yes"}})
    systemctl.take_record()
    assert install(layout) == ["ran systemctl daemon-reload"]


def test_the_user_is_made_when_it_is_not_there(layout, systemctl):
    """By the file that was written."""
    host = replace(manager.survey(SHIPPED.units, layout.call, for_user=False), has_user=False)
    plan = survey_install(layout, SHIPPED, PROGRAM, host)
    assert layout.sysusers is not None
    conf = layout.sysusers.path / "usps-token-broker.conf"
    assert str(plan.last[0]) == f"systemd-sysusers {conf}"


def test_an_order_that_fails_says_what_systemd_said(layout, systemctl):
    """What came before it is told as done."""
    systemctl.set(fails=["start"])
    told: list[str] = []
    host = replace(manager.survey(SHIPPED.units, layout.call, for_user=False), has_user=True)
    with pytest.raises(UnitsError, match=r"failed: Failed to start: it would not\.") as failed:
        carry_out(survey_install(layout, SHIPPED, PROGRAM, host, now=True), told.append)
    assert failed.value.exit_code == 69
    assert "journalctl -u usps-token-broker" in str(failed.value)
    assert told[-1] == f"ran systemctl enable {SOCKET} {SERVICE}"


def test_without_a_running_systemd_nothing_is_reloaded(layout, systemctl):
    """As while an image is built: the files alone."""
    systemctl.set(running=False)
    assert all(line.startswith("created ") for line in install(layout))
    assert systemctl.take_record() == []


def test_units_fit_the_systemd_that_is_there(layout, systemctl):
    """An older one is spared what it would complain of, and a person is told."""
    systemctl.set(version=247)
    text = SHIPPED.units[SERVICE] + "PrivateIPC=yes\n"
    shipped = replace(SHIPPED, units={**SHIPPED.units, SERVICE: text})
    host = manager.survey(shipped.units, layout.call, for_user=False)
    plan = survey_install(layout, shipped, PROGRAM, host)
    assert plan.warnings == (f"systemd 247 does not know PrivateIPC: left out of {SERVICE}",)
    [step] = [step for step in plan.steps if step.path.name == SERVICE]
    assert b"\n# Not known to systemd 247: PrivateIPC=yes\n" in step.after


def test_a_newer_systemd_gets_back_what_was_left_out(layout, systemctl):
    """After an upgrade of the host, at the next run."""
    text = SHIPPED.units[SERVICE] + "PrivateIPC=yes\n"
    shipped = replace(SHIPPED, units={**SHIPPED.units, SERVICE: text})
    systemctl.set(version=247)
    install(layout, shipped)
    systemctl.set(version=257)
    assert install(layout, shipped)[0] == f"replaced {layout.units.path / SERVICE}"


def test_removal_stops_and_disables_first(layout, systemctl):
    """Then the files, then a reload."""
    install(layout, now=True)
    systemctl.take_record()
    told = uninstall(layout)
    assert systemctl.take_record() == [f"disable --now {SERVICE} {SOCKET}", "daemon-reload"]
    assert told[0].startswith("ran systemctl disable")
    assert told[-1] == "ran systemctl daemon-reload"


def test_a_failed_unit_is_forgotten(layout, systemctl):
    """Else it would be listed as failed without being there."""
    install(layout)
    systemctl.set(units={SERVICE: {"active": "failed"}})
    systemctl.take_record()
    uninstall(layout)
    assert f"reset-failed {SERVICE}" in systemctl.take_record()


def test_a_stop_that_fails_removes_nothing(layout, systemctl):
    """A unit without its file could not be stopped any more."""
    install(layout, now=True)
    systemctl.set(fails=["disable"])
    with pytest.raises(UnitsError, match="stop them by hand"):
        uninstall(layout)
    assert (layout.units.path / SERVICE).exists()


def test_a_unit_that_stays_is_not_stopped(layout, systemctl):
    """It is somebody's own."""
    install(layout, now=True)
    (layout.units.path / SERVICE).write_text("[Service]\nExecStart=/bin/own\n")
    systemctl.take_record()
    uninstall(layout)
    assert systemctl.take_record() == [f"disable --now {SOCKET}", "daemon-reload"]


def test_a_users_units_are_the_users_managers(tmp_path, systemctl):
    """No system user, no configuration; every call says --user."""
    layout = places.of_user(tmp_path / "config")
    install(layout, now=True)
    assert {call.split()[0] for call in systemctl.take_record()} == {"--user"}
    there = {p.name for p in (tmp_path / "config").rglob("*") if p.is_file()}
    assert there == {SERVICE, SOCKET}
    uninstall(layout)
    assert not [p for p in (tmp_path / "config").rglob("*") if p.is_file()]
    assert systemctl.take_record()[0] == f"--user disable --now {SERVICE} {SOCKET}"


@pytest.mark.parametrize("meanwhile", ["appeared", "changed", "gone"])
def test_what_changes_between_looking_and_writing_is_not_overwritten(layout, systemctl, meanwhile):
    """It was not asked about."""
    shipped = SHIPPED
    if meanwhile != "appeared":
        install(layout)
        shipped = NEWER
    plan = survey_install(layout, shipped, PROGRAM)
    path = layout.units.path / SERVICE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink() if meanwhile == "gone" else path.write_text("mine")
    with pytest.raises(UnitsError, match="has just been changed by somebody else; run this again"):
        carry_out(plan, lambda _: None)
    assert path.read_text() == "mine" if path.exists() else meanwhile == "gone"


def test_units_of_a_host_go_where_an_administrator_installs():
    """systemd.unit(5); only the directories themselves may be links."""
    layout = places.of_host()
    assert (str(layout.units.base), layout.units.inner) == ("/usr/local", "lib/systemd/system")
    assert layout.sysusers is not None
    assert str(layout.sysusers.path) == "/etc/sysusers.d"
    assert layout.config is not None
    assert str(layout.config.path) == "/etc/usps-token-broker"


def test_no_systemctl_is_no_version(layout, monkeypatch, tmp_path):
    """And no complaint: a dry run shows all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    host = manager.survey(SHIPPED.units, layout.call, for_user=False)
    assert (host.version, host.running) == (None, False)
