"""`install-units` and `uninstall-units` as a person meets them, on the root of an image."""

import contextlib
import io
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from fake_systemctl import FakeSystemctl
from ordinary_user import ORDINARY_UID, as_ordinary_user

from usps_token_broker.cli import (
    install_units,  # noqa: F401 - `main` imports it late, when an ordinary user may not read it
    main,
    uninstall_units,  # noqa: F401 - as above
)
from usps_token_broker.config import load
from usps_token_broker.drivers.units import shipped
from usps_token_broker.drivers.units.texts import stamped

UNITS = "usr/local/lib/systemd/system"
SERVICE = f"{UNITS}/usps-token-broker.service"
SOCKET = f"{UNITS}/usps-token-broker.socket"
SYSUSERS = "etc/sysusers.d/usps-token-broker.conf"
CONFIG = "etc/usps-token-broker/broker.toml"
PROGRAM = "/opt/usps-token-broker/bin/usps-token-broker"
ALL = {SERVICE, SOCKET, SYSUSERS, CONFIG}


@pytest.fixture
def root(folder):
    place = folder / "root"
    place.mkdir()
    return place


@pytest.fixture
def install(command, root):
    def run(*arguments, **more):
        return command("install-units", "--root", root, "--program", PROGRAM, *arguments, **more)

    return run


@pytest.fixture
def uninstall(command, root):
    def run(*arguments):
        return command("uninstall-units", "--root", root, *arguments)

    return run


def tree(place: Path) -> dict[str, tuple[int, str | bytes]]:
    """Everything below: modes, contents, where links lead."""
    found: dict[str, tuple[int, str | bytes]] = {}
    for path in sorted(place.rglob("*")):
        status = path.lstat()
        content: str | bytes = ""
        if stat.S_ISLNK(status.st_mode):
            content = str(path.readlink())
        elif stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        found[str(path.relative_to(place))] = (status.st_mode, content)
    return found


def files(place: Path) -> set[str]:
    return {name for name, (mode, _) in tree(place).items() if not stat.S_ISDIR(mode)}


def older(path: Path) -> None:
    """What an earlier release wrote there."""
    path.write_bytes(stamped("# an older text\n"))


# Writing


def test_it_writes_units_user_and_example(install, root):
    """And says each, and how to go on."""
    done = install()
    assert (done.returncode, done.stderr) == (0, "")
    assert files(root) == ALL
    assert {line for line in done.stdout.splitlines() if line.startswith("created")} == {
        f"created {root}/{name}" for name in ALL
    }
    assert f"next: fill in {root}/{CONFIG}" in done.stdout
    assert f"systemctl --root={root} enable usps-token-broker.service" in done.stdout


def test_the_service_starts_the_program_that_was_named(install, root):
    """In the Exec lines; the rest is the shipped text."""
    install("--program", "/srv/a b/bin/usps-token-broker")
    lines = (root / SERVICE).read_text().splitlines()
    assert [line for line in lines if line.startswith("Exec")] == [
        'ExecStart="/srv/a b/bin/usps-token-broker" run',
        'ExecReload="/srv/a b/bin/usps-token-broker" reload',
    ]
    text = shipped.read(for_user=False).units["usps-token-broker.service"]
    assert set(text.splitlines()) - set(lines) == {
        f"ExecStart={PROGRAM} run",
        f"ExecReload={PROGRAM} reload",
    }


def test_without_a_name_it_is_the_program_that_was_called(command, root):
    """The one beside this Python."""
    command("install-units", "--root", root)
    program = Path(sys.executable).with_name("usps-token-broker")
    assert f"\nExecStart={program} run\n" in (root / SERVICE).read_text()


def test_everybody_can_read_what_is_written(clean_environ, root):
    """Under the closest of umasks."""
    subprocess.run(
        [sys.executable, "-m", "usps_token_broker", "install-units", "--root", root],
        env=clean_environ,
        preexec_fn=lambda: os.umask(0o777),
        check=True,
        capture_output=True,
    )
    modes = {stat.S_IMODE(mode) for mode, _ in tree(root).values()}
    assert modes == {0o644, 0o755}


def test_a_second_time_there_is_nothing_to_do(install, root):
    """And nothing is touched."""
    install()
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    done = install()
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing to do\n", "")
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == before


def test_an_older_text_is_replaced(install, root):
    """That nobody has changed."""
    install()
    fresh = (root / SERVICE).read_bytes()
    older(root / SERVICE)
    done = install()
    assert done.returncode == 0
    assert f"replaced {root}/{SERVICE}\n" in done.stdout
    assert (root / SERVICE).read_bytes() == fresh


def test_another_program_is_an_upgrade(install, root):
    """The environment has moved."""
    install()
    done = install("--program", "/srv/new/bin/usps-token-broker")
    assert done.stdout.startswith(f"replaced {root}/{SERVICE}\n")


def test_a_configuration_that_is_there_stays(install, root):
    """Whatever is in it."""
    (root / CONFIG).parent.mkdir(parents=True)
    (root / CONFIG).write_text("# mine\n")
    install("--force")
    assert (root / CONFIG).read_text() == "# mine\n"


def test_an_example_that_was_taken_away_does_not_come_back(install, root):
    """A file beside a configuration in the environment would be refused by `run`."""
    install()
    (root / CONFIG).unlink()
    older(root / SERVICE)
    install()
    assert files(root) == ALL - {CONFIG}


def test_the_example_is_good_once_it_is_filled_in(install, root):
    """Its lines, without the # before them."""
    install()
    text = (root / CONFIG).read_text()
    head, lines = text.split("\n\n", 1)
    filled = re.sub(r"^# (?!The service)", "", lines, flags=re.MULTILINE)
    filled = filled.replace('["shop"]', "[1]").replace('["labels"]', "[2]")
    filled = filled.replace("the Consumer Key", "a-key")
    (root / CONFIG).write_text(filled)
    settings = load(root / CONFIG, {"RUNTIME_DIRECTORY": "/run/usps-token-broker-state"}, uid=995)
    [app] = settings.apps
    assert [slot.name for slot in app.payments] == ["payment"]
    assert not settings.broken
    assert "usps-token-broker check" in head


# What is somebody's own


@pytest.mark.parametrize("name", [SERVICE, SOCKET, SYSUSERS])
@pytest.mark.parametrize("kind", ["changed", "foreign", "link", "mask", "directory"])
def test_what_is_somebodys_own_is_not_touched(install, root, name, kind):
    """Nor anything else then: all or nothing."""
    install()
    older(root / SERVICE if name != SERVICE else root / SOCKET)
    path = root / name
    if kind == "changed":
        path.write_bytes(path.read_bytes() + b"# mine\n")
    else:
        path.unlink()
    match kind:
        case "foreign":
            path.write_text("[Unit]\n")
        case "link":
            path.symlink_to("elsewhere")
        case "mask":
            path.symlink_to("/dev/null")
        case "directory":
            path.mkdir()
    before = tree(root)
    done = install()
    assert done.returncode == 78
    assert f"not touched: {path} " in done.stderr
    assert done.stderr.endswith("nothing was changed\n")
    assert done.stdout == ""
    assert tree(root) == before


def test_the_way_on_is_said(install, root):
    """A drop-in, or --force."""
    install()
    (root / SERVICE).write_text("[Service]\n")
    done = install()
    assert "systemctl edit usps-token-broker.service" in done.stderr
    assert "--force" in done.stderr


def test_force_keeps_what_was_there(install, root):
    """Under another name, which systemd does not read."""
    install()
    (root / SERVICE).write_text("[Service]\n# mine\n")
    done = install("--force")
    assert done.returncode == 0
    assert (root / f"{SERVICE}.saved-1").read_text() == "[Service]\n# mine\n"
    assert install().stdout == "nothing to do\n"


def test_force_moves_a_link_and_not_what_it_leads_to(install, root):
    """It is the link that is in the way."""
    install()
    (root / SERVICE).unlink()
    (root / "mine").write_text("mine")
    (root / SERVICE).symlink_to(root / "mine")
    assert install("--force").returncode == 0
    assert (root / f"{SERVICE}.saved-1").readlink() == root / "mine"
    assert (root / "mine").read_text() == "mine"


def test_a_directory_that_is_a_link_is_never_followed(install, root, folder):
    """Not by force either: an image's link leads out of it."""
    (folder / "out").mkdir()
    (root / "usr").symlink_to(folder / "out")
    for force in ((), ("--force",)):
        done = install(*force)
        assert done.returncode == 73
        assert f"{root}/usr is a symbolic link to {folder}/out" in done.stderr
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize("directory", ["etc/systemd/system", "run/systemd/system"])
def test_a_unit_that_hides_ours_is_told(install, root, directory):
    """As one copied by hand does; it is not touched."""
    (root / directory).mkdir(parents=True)
    copy = root / directory / "usps-token-broker.service"
    copy.write_text("[Service]\n")
    done = install()
    assert done.returncode == 0
    assert f"warning: systemd reads {copy} and not what is written here" in done.stderr
    assert copy.read_text() == "[Service]\n"


def test_a_mask_stays(install, root):
    """And is told, since the service would not start."""
    (root / "etc/systemd/system").mkdir(parents=True)
    mask = root / "etc/systemd/system/usps-token-broker.service"
    mask.symlink_to("/dev/null")
    done = install()
    assert done.returncode == 0
    assert "usps-token-broker.service is masked" in done.stderr
    assert mask.is_symlink()


def test_what_would_steer_a_terminal_is_shown_as_text(install, root):
    """A file that somebody changed may hold anything."""
    install()
    (root / SERVICE).write_bytes(b"\x1b[2J\xff\n")
    done = install("--dry-run")
    assert "\x1b" not in done.stdout + done.stderr
    assert "[2J" in done.stdout


# Looking only


@pytest.mark.parametrize("state", ["nothing", "installed", "older", "changed"])
@pytest.mark.parametrize("options", [(), ("--force",), ("--json",)])
def test_a_dry_run_changes_nothing(install, uninstall, root, state, options):
    """Nor does that of the undoing."""
    if state != "nothing":
        install()
    if state == "older":
        older(root / SERVICE)
    if state == "changed":
        (root / SERVICE).write_text("mine")
    before = tree(root)
    code = 78 if state == "changed" and "--force" not in options else 0
    assert install("--dry-run", *options).returncode == code
    assert uninstall("--dry-run", *options).returncode == code
    assert tree(root) == before


def test_a_dry_run_shows_the_difference(install, root):
    """As diff -u does."""
    install()
    older(root / SERVICE)
    done = install("--dry-run")
    assert f"would replace {root}/{SERVICE}\n" in done.stdout
    assert f"--- {root}/{SERVICE}\n+++ {root}/{SERVICE}\n" in done.stdout
    assert "\n-# an older text\n" in done.stdout
    assert "\n+[Unit]\n" in done.stdout
    assert done.stdout.endswith("nothing was changed\n")


def test_a_dry_run_with_nothing_to_do_says_so(install):
    """The same word as a run."""
    install()
    assert install("--dry-run").stdout == "nothing to do\n"


def test_it_fits_the_systemd_of_the_host(command, folder):
    """Here one of Debian 11, which knows two directives less."""
    systemctl = FakeSystemctl(folder, sys.executable)
    systemctl.set(version=247)
    environ = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = command("install-units", "--dry-run", environ=environ)
    assert "systemd 247 does not know PrivateIPC, SocketBindAllow, SocketBindDeny" in done.stderr
    assert systemctl.take_record() == []


# Taking away


def test_the_undoing_takes_what_was_written_and_leaves_the_rest(install, uninstall, root):
    """Configuration above all; and says so."""
    install()
    dropin = root / "etc/systemd/system/usps-token-broker.service.d/mine.conf"
    dropin.parent.mkdir(parents=True)
    dropin.write_text("[Service]\n")
    done = uninstall()
    assert (done.returncode, done.stderr) == (0, "")
    assert files(root) == {CONFIG, str(dropin.relative_to(root))}
    assert f"left as they are: {root}/etc/usps-token-broker, the state" in done.stdout
    assert uninstall().stdout == "nothing to do\n"


def test_the_undoing_leaves_what_was_changed(install, uninstall, root):
    """The rest goes; the exit code says that not all is gone."""
    install()
    (root / SYSUSERS).write_text("u usps-token-broker 901\n")
    done = uninstall()
    assert done.returncode == 78
    assert f"not touched: {root}/{SYSUSERS} is not of install-units" in done.stderr
    assert files(root) == {CONFIG, SYSUSERS}


def test_force_moves_what_was_changed_aside(install, uninstall, root):
    """It is not lost either."""
    install()
    (root / SERVICE).write_text("mine")
    assert uninstall("--force").returncode == 0
    assert files(root) == {CONFIG, f"{SERVICE}.saved-1"}


def test_an_older_release_is_undone_too(install, uninstall, root):
    """What an earlier one wrote is ours."""
    install()
    older(root / SERVICE)
    uninstall()
    assert files(root) == {CONFIG}


# Who and where


def as_ordinary(*arguments: object) -> tuple[int, str]:
    """The exit code and all words, when somebody who is not root runs it."""

    def call() -> str:
        words = io.StringIO()
        with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
            code = main([str(argument) for argument in arguments])
        return f"{code} {words.getvalue()}"

    code, _, words = as_ordinary_user(call).partition(" ")
    return int(code), words


def test_anybody_may_look_at_the_host():
    """Without being root, and whatever systemd there is."""
    code, words = as_ordinary("install-units", "--dry-run")
    assert code in {0, 78}
    assert words.rstrip().endswith(("nothing was changed", "nothing to do"))


@pytest.mark.parametrize("name", ["install-units", "uninstall-units"])
def test_only_root_may_change_the_host(name):
    """It is said how to go on."""
    code, words = as_ordinary(name)
    assert code == 77
    assert words.startswith("only root can change the units of this host (you are uid ")
    assert f" {name}, or --dry-run, --user or --root DIR" in words


def test_an_image_may_be_anybodys(folder):
    """Whose directory it is."""
    folder.chmod(0o777)
    code, words = as_ordinary("install-units", "--root", folder)
    assert (code, files(folder)) == (0, ALL), words


def test_an_image_of_somebody_else_is_77(root):
    """And says whose hand it takes."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a directory that is somebody else's")
    code, words = as_ordinary("install-units", "--root", root)
    assert code == 77
    assert f"cannot write {root}/{SYSUSERS}: no permission for uid" in words


def test_a_users_units_under_sudo_are_refused(folder):
    """They would be root's files in somebody's home."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    os.chown(folder, ORDINARY_UID, ORDINARY_UID)
    done = run_with({"XDG_CONFIG_HOME": str(folder)}, "install-units", "--user")
    assert done.returncode == 77
    assert f"{folder} belongs to uid {ORDINARY_UID}" in done.stderr
    assert list(folder.iterdir()) == []


def run_with(environ: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "usps_token_broker", *map(str, arguments)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_root_that_is_not_there_is_73(command, folder):
    """A slip of the pen makes no directory."""
    done = command("install-units", "--root", folder / "nowhere")
    assert (done.returncode, done.stdout) == (73, "")
    assert not (folder / "nowhere").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--root", ""),
        ("--root", "/tmp", "--user"),
        ("--root", "/tmp", "--now"),
        ("--program", "bin/usps-token-broker"),
        ("--program", ""),
        ("extra",),
    ],
)
def test_wrong_usage_is_64(command, arguments):
    """An empty --root is a variable that was not set."""
    done = command("install-units", "--dry-run", *arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert "try: usps-token-broker" in done.stderr


def test_a_program_that_no_unit_can_name_is_refused(install, root):
    """It would become a line of its own."""
    done = install("--program", "/opt/x\nExecStartPre=/bin/sh")
    assert done.returncode == 73
    assert "no unit can hold" in done.stderr
    assert files(root) == set()


def test_now_without_a_running_systemd_does_nothing(command, folder):
    """It could not keep the promise."""
    FakeSystemctl(folder, sys.executable).set(running=False)
    environ = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = command("install-units", "--dry-run", "--now", environ=environ)
    assert done.returncode == 69
    assert "systemd does not run here" in done.stderr


# When it goes wrong halfway


def test_a_failure_halfway_says_what_is_done(install, root):
    """And another run finishes it."""
    (root / "usr/local/lib/systemd").mkdir(parents=True)
    (root / UNITS).write_text("a file where a directory should be")
    blocked = install()
    assert blocked.returncode == 73  # seen before anything is written
    assert files(root) == {UNITS}
    (root / UNITS).unlink()
    (root / "etc").mkdir()
    (root / "etc/usps-token-broker").symlink_to("/nowhere")
    assert install().returncode == 73
    (root / "etc/usps-token-broker").unlink()
    assert install().returncode == 0
    assert files(root) == ALL


def test_a_write_that_fails_is_told_after_what_was_done(clean_environ, root):
    """The service is the first file that is longer than this limit."""
    code = (
        "import resource, sys; from usps_token_broker.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY));"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "install-units", "--root", str(root)]
    done = subprocess.run(
        command, env=clean_environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 73
    assert done.stdout.splitlines() == [f"created {root}/{SYSUSERS}", f"created {root}/{SOCKET}"]
    assert f"cannot write {root}/{SERVICE}: this process may not write" in done.stderr
    assert "what is told above is done, the rest is not" in done.stderr
    assert files(root) == {SYSUSERS, SOCKET}


@pytest.mark.parametrize(("place", "code"), [("pipe", 141), ("/dev/full", 74)])
def test_it_is_done_even_if_nobody_reads_of_it(clean_environ, root, place, code):
    """`| true` must not leave half of it."""
    if place == "pipe":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open(place, os.O_WRONLY)
    with os.fdopen(writing, "wb") as unread:
        done = subprocess.run(
            [sys.executable, "-m", "usps_token_broker", "install-units", "--root", root],
            env=clean_environ,
            stdout=unread,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, files(root)) == (code, ALL)


def test_two_at_once_do_no_harm(clean_environ, root):
    """As two tools that set a host up."""
    command = [sys.executable, "-m", "usps_token_broker", "install-units", "--root", str(root)]
    runs = [
        subprocess.Popen(command, env=clean_environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for run in runs:
        run.communicate(timeout=60)
    # Whoever came second may have found it changed under its hands, and says to run it again.
    assert 0 in {run.returncode for run in runs} <= {0, 73}
    assert files(root) == ALL
    done = subprocess.run([*command], env=clean_environ, capture_output=True, text=True, check=True)
    assert done.stdout == "nothing to do\n"


# For programs


def test_one_object_for_a_program(install, root):
    """What is done, file by file; nothing else on either stream."""
    done = install("--json")
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (told["exit_code"], told["error"], told["dry_run"]) == (0, None, False)
    assert {(file["path"], file["deed"]) for file in told["files"]} == {
        (f"{root}/{name}", "create") for name in ALL
    }
    assert told["done"] == [f"created {file['path']}" for file in told["files"]]


def test_a_program_is_told_what_is_in_the_way(install, root):
    """With the difference."""
    install()
    (root / SERVICE).write_text("mine\n")
    done = install("--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_code"], told["done"]) == (78, 78, [])
    [refused] = [file for file in told["files"] if file["deed"] == "refuse"]
    assert refused["path"] == f"{root}/{SERVICE}"
    assert "\n-mine\n" in refused["diff"]
    assert refused["fix"]


def test_a_program_is_told_an_error(command, folder):
    """In the same object."""
    done = command("install-units", "--json", "--root", folder / "nowhere")
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_code"]) == (73, 73)
    assert "no directory" in told["error"]


def test_a_path_of_any_bytes_is_told(command, folder):
    """To a person and to a program."""
    root = Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))
    root.mkdir()
    assert command("install-units", "--dry-run", "--root", root).returncode == 0
    done = command("install-units", "--json", "--root", root)
    assert json.loads(done.stdout)["exit_code"] == 0
