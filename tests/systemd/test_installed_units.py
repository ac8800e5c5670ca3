"""The units as `install-units` writes them: systemd reads them, an old one too."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from usps_token_broker.drivers.units import places, shipped, survey_install
from usps_token_broker.drivers.units.plans import Manager, Step
from usps_token_broker.drivers.units.texts import SINCE, for_program

FOLDER = Path(__file__).parents[2] / "systemd"
KNOWN_TO_247 = set(
    # One directive a line would be as many lines as all tests of this file.
    """
    After Also AmbientCapabilities Backlog CapabilityBoundingSet Description DevicePolicy
    DirectoryMode ExecReload ExecStart FileDescriptorName KeyringMode LimitCORE LimitMEMLOCK
    LimitNOFILE
    ListenStream LoadCredential LockPersonality MemoryDenyWriteExecute MemoryMax MemorySwapMax
    NoNewPrivileges NotifyAccess OOMScoreAdjust PrivateDevices PrivateMounts PrivateTmp
    ProtectClock ProtectControlGroups ProtectHome ProtectHostname ProtectKernelLogs
    ProtectKernelModules ProtectKernelTunables ProtectProc ProtectSystem RemoveIPC
    RemoveOnStop Requires Restart RestartPreventExitStatus RestartSec RestrictAddressFamilies
    RestrictNamespaces RestrictRealtime RestrictSUIDSGID RuntimeDirectory RuntimeDirectoryMode
    RuntimeDirectoryPreserve SocketMode StartLimitBurst StartLimitIntervalSec
    SystemCallArchitectures SystemCallErrorNumber SystemCallFilter TasksMax TimeoutStartSec
    TimeoutStopSec Type UMask User WantedBy WatchdogSec
    """.split()  # noqa: SIM905 - as above
)
"""systemd 247's own list (--dump-configuration-items), as far as the units use it."""


def steps(tmp_path: Path, program: str, version: int | None = None) -> dict[str, Step]:
    """What would be written, by name."""
    plan = survey_install(
        places.of_image(tmp_path), shipped.read(for_user=False), (program,), Manager(version)
    )
    return {step.path.name: step for step in plan.steps}


@pytest.fixture
def program(tmp_path):
    """A program that exists, in a directory that needs quoting."""
    path = tmp_path / "a $b 50% c; \N{LATIN SMALL LETTER U WITH DIAERESIS}" / "usps-token-broker"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def remarks(directory: Path, units: dict[str, Step]) -> list[str]:
    """What `systemd-analyze verify` says of them."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed here")
    paths = []
    for name, step in units.items():
        if step.is_unit:
            (directory / name).write_bytes(step.after)
            paths.append(str(directory / name))
    done = subprocess.run(
        [tool, "verify", "--man=no", *paths],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return [line for line in done.stderr.splitlines() if "usps-token-broker" in line]


def test_systemd_has_nothing_to_remark(tmp_path, program):
    """Of the whole text, with a path that must be quoted."""
    (tmp_path / "units").mkdir()
    assert remarks(tmp_path / "units", steps(tmp_path, program)) == []


def test_systemd_has_nothing_to_remark_of_an_old_ones_text(tmp_path, program):
    """What is left out is left out well."""
    (tmp_path / "units").mkdir()
    assert remarks(tmp_path / "units", steps(tmp_path, program, 247)) == []


def test_systemd_would_have_noticed_a_wrong_path(tmp_path, program):
    """The tests above bite: it looks for the program that the quotes name."""
    (tmp_path / "units").mkdir()
    units = steps(tmp_path, program)
    Path(program).unlink()
    assert remarks(tmp_path / "units", units)


@pytest.mark.parametrize("for_user", [False, True])
def test_every_call_of_ours_is_of_the_program_that_is_there(for_user):
    """Whatever path the shipped text names; the arguments stay."""
    units = shipped.read(for_user=for_user).units
    calls = []
    for text in units.values():
        lines = zip(text.splitlines(), for_program(text, ["/a/b"]).splitlines(), strict=True)
        calls += [pair for pair in lines if re.match(r"Exec\w+=\S*usps-token-broker", pair[0])]
    for before, after in calls:
        assert after.split("=", 1)[1].lstrip("-@:+!").split() == ["/a/b", *before.split()[1:]]
    assert calls or not units


def test_every_directive_is_known_to_247_or_has_its_version():
    """A new one needs an entry in one of the two lists, by what systemd's NEWS says."""
    used = set()
    for path in FOLDER.rglob("usps-token-broker*"):
        if path.suffix in places.UNIT_SUFFIXES:
            used |= set(re.findall(r"^([A-Z]\w*)=", path.read_text(), re.MULTILINE))
    assert used - KNOWN_TO_247 == SINCE.keys()


def test_the_stamped_user_file_makes_the_user(tmp_path):
    """As systemd-sysusers reads it, comments and all."""
    tool = shutil.which("systemd-sysusers")
    if tool is None:
        pytest.skip("systemd-sysusers is not installed here")
    (tmp_path / "etc").mkdir()
    command = [sys.executable, "-m", "usps_token_broker", "install-units", "--root", tmp_path]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    subprocess.run([tool, f"--root={tmp_path}"], check=True, capture_output=True, timeout=60)
    assert "usps-token-broker:" in (tmp_path / "etc" / "passwd").read_text()
