"""The units as systemd reads them, and as the code expects them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from usps_token_broker.config import load

UNITS = Path(__file__).parents[2] / "systemd"
SERVICE = UNITS / "usps-token-broker.service"
SOCKET = UNITS / "usps-token-broker.socket"
SYSUSERS = UNITS / "sysusers.d" / "usps-token-broker.conf"
WORST_EXPOSURE = "15"
"""Tenths. 14 is what a daemon that reads peers' uids and names and calls HTTPS can reach on systemd
252."""


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed here")
    return path


class Unit:
    """A unit file; keys that may be repeated hold all their values."""

    def __init__(self, path: Path) -> None:
        self.sections: dict[str, dict[str, list[str]]] = {}
        section: dict[str, list[str]] = {}
        for line in path.read_text().splitlines():
            if line.startswith("["):
                section = self.sections.setdefault(line.strip("[]"), {})
            elif line and not line.startswith("#"):
                key, value = line.split("=", 1)
                section.setdefault(key, []).append(value)

    def __getitem__(self, place: tuple[str, str]) -> str:
        section, key = place
        [value] = self.sections[section][key]
        return value


@pytest.fixture
def service():
    return Unit(SERVICE)


@pytest.fixture
def copies(tmp_path):
    """The units, with a program that exists on every machine in place of ours."""
    text = SERVICE.read_text()
    text, count = re.subn(r"^(Exec\w+)=.*", r"\1=/bin/true", text, flags=re.MULTILINE)
    assert count == 2
    (tmp_path / SERVICE.name).write_text(text)
    (tmp_path / SOCKET.name).write_text(SOCKET.read_text())
    return tmp_path


def remarks(directory: Path) -> list[str]:
    """What `systemd-analyze verify` says of our units; those of the machine are not our matter."""
    command = [tool("systemd-analyze"), "verify", "--man=no"]
    command += [str(directory / SERVICE.name), str(directory / SOCKET.name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    lines = [line for line in done.stderr.splitlines() if "usps-token-broker" in line]
    return lines + ([f"exit code {done.returncode}"] if done.returncode and lines else [])


# As systemd reads them


def test_systemd_has_nothing_to_remark(copies):
    """No unknown key, no bad value, no missing unit."""
    assert remarks(copies) == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("WatchdogSec=90", "WatchdogSecs=90"),
        ("RuntimeDirectoryMode=0700", "RuntimeDirectoryMode=rwx"),
        ("ExecStart=/bin/true", "ExecStart=/nowhere/true"),
    ],
)
def test_systemd_would_have_noticed(copies, line, wrong):
    """The test above bites: a slip in the unit is remarked upon."""
    unit = copies / SERVICE.name
    assert f"\n{line}\n" in unit.read_text()
    unit.write_text(unit.read_text().replace(line, wrong))
    assert remarks(copies)


def test_the_sandbox_stays_tight(copies):
    """systemd's own measure of what the service could do to the host."""
    command = [tool("systemd-analyze"), "security", "--no-pager", "--offline=true"]
    command += [f"--threshold={WORST_EXPOSURE}", str(copies / SERVICE.name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_the_user_is_made_as_systemd_wants_it(tmp_path):
    """In an empty root: one locked system user without a home or a shell."""
    (tmp_path / "etc").mkdir()
    command = [tool("systemd-sysusers"), f"--root={tmp_path}", str(SYSUSERS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    line = (tmp_path / "etc" / "passwd").read_text().strip()
    assert re.fullmatch(r"usps-token-broker:[^:]*:\d+:\d+:USPS token broker:/:/\S*nologin", line)


# As the code expects them


def test_socket_and_state_lie_where_the_broker_looks(service, tmp_path):
    """Under this unit the configuration comes to the same two places."""
    config = tmp_path / "broker.toml"
    config.write_text('[apps.default]\nclient_id = "x"\nclient_secret = { env = "X" }')
    config.chmod(0o644)
    runtime = f"/run/{service['Service', 'RuntimeDirectory']}"
    settings = load(config, {"RUNTIME_DIRECTORY": runtime}, uid=995)
    assert str(settings.state_dir) == runtime
    assert str(settings.socket_path) == Unit(SOCKET)["Socket", "ListenStream"]


def test_the_socket_is_open_and_its_directory_can_be_mounted():
    """Everybody may connect, nobody but root may put anything beside it."""
    socket = Unit(SOCKET)
    assert socket["Socket", "SocketMode"] == "0666"
    assert socket["Socket", "DirectoryMode"] == "0755"
    assert socket["Socket", "FileDescriptorName"] == "broker"
    assert socket["Socket", "RemoveOnStop"] == "yes"


def test_the_state_is_closed_and_kept(service):
    """Over stop and start, for the broker's user alone."""
    assert service["Service", "RuntimeDirectoryMode"] == "0700"
    assert service["Service", "RuntimeDirectoryPreserve"] == "yes"


def test_peers_keep_their_uids_and_the_boot_its_id(service):
    """PrivateUsers= would make every worker 65534; ProcSubset=pid would hide boot_id."""
    keys = service.sections["Service"]
    assert "PrivateUsers" not in keys
    assert "ProcSubset" not in keys
    assert "DynamicUser" not in keys


def test_the_service_runs_as_the_user_that_is_made(service):
    """One name in two files."""
    kind, name, *_ = SYSUSERS.read_text().splitlines()[-1].split()
    assert (kind, name) == ("u", service["Service", "User"])


def test_nothing_of_a_token_reaches_a_disk(service):
    """Neither as a core nor by swap."""
    assert service["Service", "LimitCORE"] == "0"
    assert service["Service", "MemorySwapMax"] == "0"
    assert service["Service", "LimitMEMLOCK"] == "infinity"


def test_errors_that_stay_are_tried_again_slowly(service):
    """A service that systemd gives up on is started by each client that waits, without a pause."""
    assert "RestartPreventExitStatus" not in service.sections["Service"]
    assert int(service["Service", "RestartSec"]) >= 5


def test_a_broker_that_cannot_start_never_hits_the_limit(service):
    """Start limit hit, the socket closes and a person has to come."""
    interval = int(service["Unit", "StartLimitIntervalSec"])
    restarts = interval / int(service["Service", "RestartSec"])
    assert restarts < int(service["Unit", "StartLimitBurst"])


def test_the_watchdog_outlasts_two_heartbeats(service):
    """The core looks at the clock at least every 30 s."""
    assert int(service["Service", "WatchdogSec"]) > 2 * 30


def test_every_hardening_line_stands_once(service):
    """But for the system call filter, which is a list to add to and one to take away."""
    repeated = {key for key, values in service.sections["Service"].items() if len(values) > 1}
    assert repeated == {"SystemCallFilter"}
