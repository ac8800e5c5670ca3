"""The manual pages: as the code is, as roff wants them, and in the wheels."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import manual_pages
import pytest
from command_lines import broker, client
from shipped_files import BROKER, CLIENT, files

from usps_token_broker.config import load

FILES = files()
PAGES = sorted(path for path in FILES if "/man/" in str(path))
REMADE = "run `python tests/manuals` and commit what it writes"


def rendered(page):
    """As a person reads it, in lines of 80 columns."""
    if shutil.which("mandoc") is None:
        pytest.skip("there is no mandoc")
    done = subprocess.run(
        ["mandoc", "-T", "utf8", "-O", "width=78", str(page)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return re.sub(".\b", "", done.stdout)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_shipped_is_what_the_code_gives(path):
    """A command or an option that was changed is changed in every file."""
    assert path.read_text("utf-8") == FILES[path], REMADE


def test_nothing_else_is_shipped():
    """A file that nothing makes any more would go stale."""
    there = {path for share in (BROKER, CLIENT) for path in share.rglob("*") if path.is_file()}
    assert there == set(FILES), REMADE


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_mandoc_has_nothing_to_complain_of(path):
    """No warning, let alone an error."""
    if shutil.which("mandoc") is None:
        pytest.skip("there is no mandoc")
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_groff_has_nothing_to_complain_of(path):
    """What `man` uses on most hosts, with all its warnings."""
    if shutil.which("groff") is None:
        pytest.skip("there is no groff")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("program", [broker(), client()], ids=lambda program: program.name)
def test_every_command_and_option_can_be_read(program):
    """In the page as it is shown, after roff has had its way with dashes and backslashes."""
    share = BROKER if program.name == "usps-token-broker" else CLIENT
    text = rendered(share / f"man/man1/{program.name}.1")
    for command in program.commands:
        assert f"\n   {command.name}\n" in text
        for option in command.options:
            assert all(name in text for name in option.names)
    assert " ".join("".join(text.split("COMMANDS")[0]).split()).startswith(program.name.upper())


def test_every_key_of_the_configuration_can_be_read():
    """And every variable."""
    text = rendered(BROKER / "man/man5/usps-token-broker.toml.5")
    keys = [row[0] for row in manual_pages.table("Configuration", "key")]
    names = re.findall(r"`([^`]+)`", " ".join(keys))
    assert len(names) > 20
    assert all(name.rpartition(".")[2] in text for name in names)
    assert "USPS_CLIENT_SECRET_FILE" in text
    assert '{ roleName = "PAYER", CRID = "12345678"' in text


def test_the_example_of_the_page_is_a_configuration(tmp_path):
    """As it stands there, once it is in a file and the names are those of this machine."""
    text = manual_pages.example()
    assert set(tomllib.loads(text)["apps"]["default"]) >= {"client_id", "bearer", "payments"}
    path = tmp_path / "broker.toml"
    for theirs, ours in (("the Consumer Key", "k"), ('"shop"', "1"), ('"labels"', "2")):
        text = text.replace(theirs, ours)
    path.write_text(text)
    [app] = load(path, {}, uid=0).apps
    assert [slot.name for slot in (app.bearer, *app.payments)] == ["bearer", "payment"]


def test_a_text_with_everything_that_roff_takes_for_its_own():
    """Dots and quotes at the beginning of a line, backslashes, dashes and what is no ASCII."""
    assert manual_pages.plain(".x 'y' -z \\n ~^` …") == (
        "\\&.x \\(aqy\\(aq \\-z \\en \\(ti\\(ha\\(ga \\[u2026]"
    )
    assert manual_pages.plain("'x").startswith("\\")
    assert manual_pages.marked("`.x` or `-y`") == "\\fB\\&.x\\fR or \\%\\fB\\-y\\fR"


@pytest.mark.parametrize(
    ("distribution", "share"), [("usps-token-broker", BROKER), ("usps-token-client", CLIENT)]
)
def test_an_installation_has_them_in_share(distribution, share):
    """Where `man` and the shells look, under the environment."""
    installed = {
        Path(file.locate()).resolve(): file
        for file in metadata.distribution(distribution).files or ()
        if "share/" in str(file)
    }
    wanted = {
        (Path(sys.prefix) / "share" / path.relative_to(share)).resolve()
        for path in FILES
        if share in path.parents
    }
    assert set(installed) == wanted
