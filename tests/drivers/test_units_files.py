"""Files that may be somebody else's: written whole or not at all, never through a link."""

import errno
import os
import resource
import stat
import subprocess
from pathlib import Path

import pytest
from ordinary_user import as_ordinary_user

from usps_token_broker.drivers.units import files
from usps_token_broker.drivers.units.files import Link, Other, Regular, UnitsError
from usps_token_broker.drivers.units.places import Target


@pytest.fixture
def target(tmp_path):
    return Target(tmp_path, "etc/systemd/x.service")


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_what_is_written_is_there(target):
    """And readable by all, whatever the umask."""
    umask = os.umask(0o077)
    try:
        files.write(target, b"one")
    finally:
        os.umask(umask)
    assert files.look(target) == Regular(b"one")
    assert stat.S_IMODE(target.path.stat().st_mode) == 0o644
    assert stat.S_IMODE(target.path.parent.stat().st_mode) == 0o755
    assert names_in(target.path.parent) == ["x.service"]


def test_directories_that_are_there_keep_their_mode(target):
    """They are somebody else's decision."""
    target.path.parent.mkdir(parents=True)
    target.path.parent.chmod(0o700)
    files.write(target, b"one")
    assert stat.S_IMODE(target.path.parent.stat().st_mode) == 0o700


def test_a_reader_never_sees_half_a_file(target):
    """The old one stays open, whole, for whoever has it."""
    files.write(target, b"old")
    with target.path.open("rb") as reader:
        files.write(target, b"new" * 10_000)
        assert reader.read() == b"old"
    assert files.look(target) == Regular(b"new" * 10_000)


def test_a_second_name_of_the_file_keeps_the_old_text(target):
    """A hard link may be somebody's backup."""
    files.write(target, b"old")
    other = target.path.with_name("backup")
    other.hardlink_to(target.path)
    files.write(target, b"new")
    assert other.read_bytes() == b"old"


def test_nothing_is_there(target):
    """Not even its directories."""
    assert files.look(target) is None
    assert list(target.base.iterdir()) == []


def test_a_link_is_seen_as_one(target, tmp_path):
    """And where it leads is not looked at."""
    target.path.parent.mkdir(parents=True)
    target.path.symlink_to("/dev/null")
    assert files.look(target) == Link("/dev/null")


@pytest.mark.parametrize("kind", ["directory", "fifo", "large"])
def test_what_could_not_be_a_unit_is_said(target, kind):
    """A FIFO is not waited for."""
    target.path.parent.mkdir(parents=True)
    match kind:
        case "directory":
            target.path.mkdir()
        case "fifo":
            os.mkfifo(target.path)
        case _:
            with target.path.open("wb") as file:
                file.truncate(files.MOST_BYTES + 1)
    assert isinstance(files.look(target), Other)


@pytest.mark.parametrize("act", [files.look, lambda t: files.write(t, b"x"), files.remove])
@pytest.mark.parametrize("leads_to", ["elsewhere", "nowhere"])
def test_a_directory_that_is_a_link_is_not_followed(target, tmp_path, act, leads_to):
    """Nothing is written where it leads; the message names it."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "etc").symlink_to(tmp_path / leads_to)
    with pytest.raises(UnitsError, match=f"{tmp_path}/etc is a symbolic link to") as refused:
        act(target)
    assert refused.value.exit_code == 73
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_where_a_directory_should_be_is_said(target, tmp_path):
    """Not a link, so it is called what it is."""
    (tmp_path / "etc").write_text("")
    with pytest.raises(UnitsError, match="etc is no directory"):
        files.write(target, b"x")


def test_the_base_may_be_a_link(tmp_path):
    """/usr/local is one where /usr is immutable."""
    (tmp_path / "real").mkdir()
    (tmp_path / "base").symlink_to("real")
    files.write(Target(tmp_path / "base", "lib/x"), b"one")
    assert (tmp_path / "real" / "lib" / "x").read_bytes() == b"one"


def test_what_a_crash_has_left_is_no_obstacle(target):
    """Not even a link in its place, which is not followed."""
    target.path.parent.mkdir(parents=True)
    victim = target.base / "victim"
    victim.write_text("untouched")
    target.path.with_name(".x.service.new").symlink_to(victim)
    files.write(target, b"one")
    assert victim.read_text() == "untouched"
    assert names_in(target.path.parent) == ["x.service"]


def test_what_is_moved_aside_gets_a_name_of_its_own(target):
    """A link as itself; nothing is ever overwritten."""
    names = []
    for _ in range(3):
        files.write(target, b"one")
        names.append(files.set_aside(target).name)
    assert names == ["x.service.saved-1", "x.service.saved-2", "x.service.saved-3"]
    target.path.symlink_to("/dev/null")
    assert files.set_aside(target).readlink() == Path("/dev/null")


def limited_write(target: Target) -> str:
    """The error of a write when no file may be longer than four bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, resource.RLIM_INFINITY))
    try:
        files.write(target, b"longer than that")
    except UnitsError as error:
        return f"{error.exit_code} {error}"
    return "written"


def in_child(call) -> str:
    """What `call` returns in a process of its own."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(writing, call().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    return told


def test_a_write_that_fails_leaves_what_was_there(target):
    """And nothing beside it."""
    files.write(target, b"old")
    assert in_child(lambda: limited_write(target)).startswith(f"73 cannot write {target.path}")
    assert files.look(target) == Regular(b"old")
    assert names_in(target.path.parent) == ["x.service"]


def can_mount() -> bool:
    """Whether we have CAP_SYS_ADMIN (bit 21, capabilities(7)); root of a container may not."""
    status = Path("/proc/self/status").read_text()
    [effective] = [line for line in status.splitlines() if line.startswith("CapEff:")]
    return bool(int(effective.split()[1], 16) >> 21 & 1)


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for one page."""
    if not can_mount():
        pytest.skip("this machine lets nobody mount a file system")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_is_said_so(small_disk):
    """And what was there is unharmed."""
    target = Target(small_disk, "x.service")
    files.write(target, b"old")
    with pytest.raises(UnitsError, match="the disk is full; make room and run this again"):
        files.write(target, b"x" * 10_000)
    assert files.look(target) == Regular(b"old")
    assert names_in(small_disk) == ["x.service"]


def test_a_read_only_disk_is_said_so(small_disk):
    """With the way on."""
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(UnitsError, match="read-only file system; mount it writable"):
        files.write(Target(small_disk, "x.service"), b"x")


@pytest.mark.parametrize(
    ("number", "words", "code"),
    [
        (errno.EPERM, "forbidden even to root" if os.geteuid() == 0 else "no permission", 77),
        (errno.EACCES, "forbidden even to root" if os.geteuid() == 0 else "no permission", 77),
        (errno.EDQUOT, "the disk is full", 73),
        (errno.EROFS, "mount it writable", 73),
        (errno.EIO, "Input/output error; mend that", 73),
    ],
)
def test_every_error_says_why_and_what_to_do(target, number, words, code):
    """Those that no test can bring about among them."""
    told = files._explain("write", target, OSError(number, os.strerror(number)))
    assert str(told).startswith(f"cannot write {target.path}: ")
    assert words in str(told)
    assert told.exit_code == code


def told_of(call) -> str:
    """The exit code and the words of what it raises."""
    try:
        call()
    except UnitsError as error:
        return f"{error.exit_code} {error}"
    return "done"


def test_without_permission_it_is_77(folder):
    """For writing, removing and moving."""
    target = Target(folder, "x.service")
    files.write(target, b"old")
    for act in (lambda: files.write(target, b"x"), lambda: files.remove(target)):
        told = as_ordinary_user(lambda act=act: told_of(act))
        assert told.startswith("77 cannot ")
        assert "no permission for uid" in told
    assert files.look(target) == Regular(b"old")


@pytest.fixture
def folder(tmp_path_factory):
    """One that an ordinary user can reach and not write to."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a directory that is somebody else's")
    place = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    place.chmod(0o755)
    yield place
    subprocess.run(["rm", "-rf", place], check=True)
