"""Which program the service starts, and whether it could."""

import sys
from pathlib import Path

import pytest

from usps_token_broker.drivers.units import program


@pytest.fixture
def scripts(tmp_path):
    """A virtual environment's scripts, as far as they are looked at."""
    directory = tmp_path / "venv" / "bin"
    directory.mkdir(parents=True)
    for name in ("usps-token-broker", "python"):
        (directory / name).write_text("")
        (directory / name).chmod(0o755)
    return directory


def test_it_is_the_path_that_was_called(scripts, monkeypatch):
    """Made absolute."""
    monkeypatch.chdir(scripts.parent)
    called = program.called_as("bin/usps-token-broker", "/usr/bin/python3")
    assert called == (f"{scripts}/usps-token-broker",)


def test_a_link_is_kept(scripts, tmp_path):
    """It may lead to the environment of the day."""
    link = tmp_path / "usps-token-broker"
    link.symlink_to(scripts / "usps-token-broker")
    assert program.called_as(str(link), "/usr/bin/python3") == (str(link),)


def test_a_module_is_found_beside_its_python(scripts):
    """`python -m usps_token_broker` is the same program."""
    called = program.called_as("/x/usps_token_broker/__main__.py", str(scripts / "python"))
    assert called == (f"{scripts}/usps-token-broker",)


def test_a_module_without_a_script_is_started_as_one(scripts):
    """As under `pip install --target`."""
    (scripts / "usps-token-broker").unlink()
    python = str(scripts / "python")
    called = program.called_as("/x/usps_token_broker/__main__.py", python)
    assert called == (python, "-m", "usps_token_broker")


@pytest.fixture
def system_python(monkeypatch):
    """A Python that every user can start."""
    monkeypatch.setattr(sys, "executable", "/usr/bin/env")
    monkeypatch.setattr(sys, "base_prefix", "/usr")


def test_a_program_that_all_can_reach_has_no_obstacle(system_python):
    """Such as one of the system's."""
    assert program.obstacle(["/usr/bin/env"]) is None


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/home/me/venv/bin/usps-token-broker", "ProtectHome= hides /home"),
        ("/root/venv/bin/usps-token-broker", "ProtectHome= hides /root"),
        ("/tmp/venv/bin/usps-token-broker", "PrivateTmp= hides /tmp"),
    ],
)
def test_what_the_sandbox_hides_is_said(system_python, path, word):
    """With where to put it instead."""
    told = program.obstacle([path])
    assert told is not None
    assert word in told
    assert "/opt/usps-token-broker" in told


def test_a_python_in_a_home_is_said(monkeypatch):
    """As those of pyenv and uv are, under an environment that lies well."""
    monkeypatch.setattr(sys, "executable", "/usr/bin/env")
    monkeypatch.setattr(sys, "base_prefix", "/root/.local/share/uv/python/cpython-3.13")
    told = program.obstacle(["/usr/bin/env"])
    assert told is not None
    assert "ProtectHome= hides /root" in told


def test_a_directory_that_others_cannot_enter_is_said(system_python, tmp_path, monkeypatch):
    """As a umask of 077 makes them."""
    monkeypatch.setattr(program, "_HIDDEN", {})
    for place in (*reversed(tmp_path.parents), tmp_path):
        if not place.stat().st_mode & 1:
            place.chmod(0o711)
    closed = tmp_path / "venv"
    (closed / "bin").mkdir(parents=True)
    (closed / "bin" / "usps-token-broker").write_text("")
    (closed / "bin" / "usps-token-broker").chmod(0o755)
    closed.chmod(0o700)
    told = program.obstacle([str(closed / "bin" / "usps-token-broker")])
    assert told is not None
    assert told.endswith(f"chmod o+x {closed}")


def test_this_python_is_judged_by_its_real_place(system_python, tmp_path):
    """A link to the program hides nothing."""
    link = tmp_path / "usps-token-broker"
    link.symlink_to(Path("/root/venv/bin/usps-token-broker"))
    told = program.obstacle([str(link)])
    assert told is not None
    assert "ProtectHome= hides /root" in told
