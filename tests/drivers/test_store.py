"""The state directory and its file: crashes, damage, full disks, attacks, second instances."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from ordinary_user import as_ordinary_user

from usps_token_broker.drivers.store import (
    MOST_SET_ASIDE,
    Damaged,
    Nothing,
    Step,
    Store,
    Stored,
    StoreError,
    directory,
)
from usps_token_broker.drivers.store import format as state_format

OLD, NEW = b'{"token":"old"}', b'{"token":"new"}' * 10_000
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

CHILD = """
import os, signal, sys
from pathlib import Path
from usps_token_broker.drivers.store import Store
directory, fatal, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def reached(step):
    if step == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
store = Store(directory, reached=reached)
store.open()
store.save(b"n" * size)
"""

HOLDER = """
import sys
from pathlib import Path
from usps_token_broker.drivers.store import Store
store = Store(Path(sys.argv[1]))
store.open()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path):
    """A place for a state directory that does not exist yet."""
    return tmp_path / "state-home"


@pytest.fixture
def store(home):
    """An open store."""
    store = Store(home)
    store.open()
    yield store
    store.close()


@pytest.fixture
def umask():
    """Sets the umask for one test."""
    before = os.umask(0o077)
    yield os.umask
    os.umask(before)


def reopened(home: Path) -> Stored | Nothing | Damaged:
    """What the next process finds."""
    store = Store(home)
    store.open()
    try:
        return store.load()
    finally:
        store.close()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# The plain way


def test_an_empty_directory_holds_nothing(store):
    """Nothing saved is a value, not an error."""
    assert store.load() == Nothing()


def test_what_was_saved_is_loaded_by_the_next_process(home, store):
    """Any bytes survive, line ends and NULs included."""
    store.save(b"\n\x00\xff one\n")
    store.close()
    assert reopened(home) == Stored(b"\n\x00\xff one\n")


def test_an_empty_payload_is_a_payload(store):
    """No bytes saved is not the same as nothing saved."""
    store.save(b"")
    assert store.load() == Stored(b"")


def test_the_newest_save_counts(store):
    """A save replaces what was there."""
    store.save(NEW)
    store.save(OLD)
    assert store.load() == Stored(OLD)


def test_nothing_is_left_beside_the_state(home, store):
    """A save that went well leaves one file, beside the lock."""
    store.save(OLD)
    assert sorted(p.name for p in home.iterdir()) == ["lock", "lock.pid", "state"]


def test_loaded_bytes_are_not_shown(store):
    """The payload holds tokens, so its repr does not."""
    store.save(OLD)
    assert "old" not in repr(store.load())


def test_the_first_line_says_what_the_file_is(home, store):
    """A person who meets the file can tell whose it is and check it with sha256sum."""
    store.save(b"x")
    assert home.joinpath("state").read_bytes() == (
        b"usps-token-broker state 1 "
        b"sha256=2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 length=1\nx"
    )


def test_a_state_beyond_the_bound_is_not_written(store):
    """What could not be loaded again is refused when it is saved, and harms nothing."""
    store.save(OLD)
    with pytest.raises(StoreError, match="more than 16777216"):
        store.save(bytes(state_format.MOST_BYTES))
    assert store.load() == Stored(OLD)


def test_a_closed_store_says_so(store):
    """Using it after close is a StoreError, not a stray file."""
    store.close()
    for use in (store.load, lambda: store.save(b""), lambda: store.set_aside("")):
        with pytest.raises(StoreError, match="is not open"):
            use()


def test_closing_twice_is_harmless(store):
    """Shutdown paths meet."""
    store.close()
    store.close()


def test_opening_twice_is_refused_and_harms_nothing(store):
    """The second open does not close the first."""
    with pytest.raises(StoreError, match="open already"):
        store.open()
    store.save(OLD)
    assert store.load() == Stored(OLD)


def test_an_open_that_failed_can_be_tried_again(home):
    """A store whose directory was mended opens."""
    home.write_text("a file")
    store = Store(home)
    with pytest.raises(StoreError):
        store.open()
    home.unlink()
    store.open()
    store.close()


def test_close_waits_for_a_save_under_way(home):
    """A save whose caller has gone must not find its descriptor closed under it."""
    inside, go_on = threading.Event(), threading.Event()

    def reached(step: Step) -> None:
        if step is Step.CREATED:
            inside.set()
            go_on.wait(30)

    store = Store(home, reached=reached)
    store.open()
    saving = threading.Thread(target=store.save, args=(OLD,))
    closing = threading.Thread(target=store.close)
    saving.start()
    assert inside.wait(30)
    closing.start()
    assert closing.is_alive()
    go_on.set()
    saving.join(30)
    closing.join(30)
    assert reopened(home) == Stored(OLD)


def test_an_open_store_leaks_no_descriptor(home):
    """Opening, failing, saving and closing leaves as many open files as before."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        store = Store(home)
        store.open()
        with pytest.raises(StoreError):
            Store(home).open()
        store.save(OLD)
        store.load()
        store.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# Crashes


@pytest.mark.parametrize("step", list(Step))
def test_a_kill_leaves_the_old_state_or_the_new(home, step):
    """Killed at any step of a save, the next process finds one of the two, whole."""
    store = Store(home)
    store.open()
    store.save(OLD)
    store.close()
    child = subprocess.run([sys.executable, "-c", CHILD, home, step, "150000"], check=False)
    assert child.returncode == -signal.SIGKILL
    renamed = step in (Step.RENAMED, Step.RECORDED)
    assert reopened(home) == Stored(b"n" * 150_000 if renamed else OLD)


@pytest.mark.parametrize("step", [Step.CREATED, Step.WRITING, Step.WRITTEN, Step.SYNCED])
def test_the_leftover_of_a_crash_is_cleaned_at_open(home, step):
    """An unfinished state holds tokens: it does not stay, and open tells of it."""
    subprocess.run([sys.executable, "-c", CHILD, home, step, "150000"], check=False)
    assert home.joinpath("state.new").exists()
    store = Store(home)
    assert "crash" in " ".join(store.open())
    assert not home.joinpath("state.new").exists()
    assert store.load() == Nothing()
    store.close()


def test_a_leftover_that_appears_later_does_not_stop_a_save(home, store):
    """Something under the name of the file beside is replaced."""
    home.joinpath("state.new").write_bytes(b"junk")
    store.save(OLD)
    assert store.load() == Stored(OLD)


# Damage


def test_a_state_cut_anywhere_is_damaged(home, store):
    """No prefix of a state is taken for one."""
    whole = state_format.encode(OLD)
    for length in range(len(whole)):
        home.joinpath("state").write_bytes(whole[:length])
        assert isinstance(store.load(), Damaged), length


def test_a_state_with_any_byte_flipped_is_damaged(home, store):
    """No bit of a state can change unnoticed."""
    whole = bytearray(state_format.encode(OLD))
    for index in range(len(whole)):
        for bit in range(8):
            whole[index] ^= 1 << bit
            home.joinpath("state").write_bytes(whole)
            assert isinstance(store.load(), Damaged), (index, bit)
            whole[index] ^= 1 << bit


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "first line"),
        (b"\n", "first line"),
        (state_format.encode(OLD) + b"x", "checksum"),
        (state_format.encode(OLD)[:-3], "12 of 15 bytes"),
        (state_format.encode(OLD).replace(b"old", b"odd"), "checksum"),
        (state_format.encode(OLD).replace(b"state 1", b"state 01"), "first line"),
        (state_format.encode(OLD).replace(b"length=15", b"length=015"), "checksum"),
        (b"usps-token-broker state 1 sha256=" + b"0" * 100_000, "checksum"),
    ],
)
def test_what_is_wrong_is_named(home, store, data, reason):
    """The reason tells a cut from a change from a foreign file."""
    home.joinpath("state").write_bytes(data)
    found = store.load()
    assert isinstance(found, Damaged)
    assert reason in found.reason


def test_a_damaged_state_is_kept_for_a_person(home, store):
    """It is moved to the name that the result gives, and the place is free."""
    home.joinpath("state").write_bytes(b"junk")
    found = store.load()
    assert found.moved_to == home / "state.damaged-1"
    assert found.moved_to.read_bytes() == b"junk"
    assert store.load() == Nothing()


@pytest.mark.parametrize(
    "line",
    [
        b"usps-token-broker state 2 sha256=" + b"0" * 64 + b" length=3\nabc",
        b"usps-token-broker state 3\n",
        b"usps-token-broker state 12 crc=1234\n\x00",
    ],
)
def test_a_state_of_a_later_version_is_kept_apart(home, store, line):
    """After a downgrade the newer state is set aside under a name that says so."""
    home.joinpath("state").write_bytes(line)
    found = store.load()
    assert found.newer
    assert "later version" in found.reason
    assert found.moved_to == home / "state.newer-1"


def test_only_the_last_few_damaged_states_are_kept(home, store):
    """A disk that damages every state does not fill up with them."""
    for number in range(1, MOST_SET_ASIDE + 4):
        home.joinpath("state").write_bytes(b"junk %d" % number)
        assert store.load().moved_to == home / f"state.damaged-{number}"
    kept = sorted(p.name for p in home.glob("state.damaged-*"))
    assert kept == [f"state.damaged-{n}" for n in range(4, 4 + MOST_SET_ASIDE)]


def test_names_that_only_look_like_ours_are_left_alone(home, store):
    """A number out of bounds is nobody's we know, and does not break the counting."""
    odd = home / f"state.damaged-{'9' * 100}"
    odd.write_bytes(b"")
    home.joinpath("state").write_bytes(b"junk")
    assert store.load().moved_to == home / "state.damaged-1"
    assert odd.exists()


def test_content_that_makes_no_sense_can_be_set_aside(home, store):
    """The app may find whole bytes that it cannot decode."""
    store.save(OLD)
    found = store.set_aside("no field `slots`")
    assert found == Damaged("no field `slots`", home / "state.damaged-1")
    assert store.load() == Nothing()


def test_a_state_that_cannot_be_moved_is_reported_all_the_same(home, store):
    """With nothing to move, the reason still comes back and nothing raises."""
    assert store.set_aside("gone") == Damaged("gone", None)


# Things in the state's place


@pytest.mark.parametrize("kind", ["directory", "fifo", "link", "dangling link"])
def test_what_is_no_regular_file_is_moved_aside(home, store, tmp_path, kind):
    """Whatever stands under the state's name neither blocks, nor is followed, nor is fatal."""
    place, target = home / "state", tmp_path / "target"
    match kind:
        case "directory":
            place.mkdir()
        case "fifo":
            os.mkfifo(place)
        case "link":
            target.write_bytes(state_format.encode(OLD))
            place.symlink_to(target)
        case _:
            place.symlink_to(target)
    found = store.load()
    assert isinstance(found, Damaged)
    assert found.moved_to is not None
    store.save(NEW)
    assert store.load() == Stored(NEW)
    assert not target.exists() or target.read_bytes() == state_format.encode(OLD)


def test_a_file_larger_than_the_bound_is_not_read_in(home, store):
    """A sparse giant is damaged, and costs no memory beyond the bound."""
    with home.joinpath("state").open("wb") as file:
        file.truncate(1 << 40)
    assert "more than" in store.load().reason


def test_a_link_planted_beside_is_not_written_through(home, store, tmp_path):
    """A link under the name of the file beside is replaced; its target is unharmed."""
    target = tmp_path / "precious"
    target.write_text("precious")
    home.joinpath("state.new").symlink_to(target)
    store.save(OLD)
    assert target.read_text() == "precious"
    assert not home.joinpath("state").is_symlink()


def test_a_link_planted_for_the_holder_is_not_written_through(home, tmp_path):
    """Nor is one under the name of the file with the holder's pid."""
    target = tmp_path / "precious"
    target.write_text("precious")
    home.mkdir(mode=0o700)
    home.joinpath("lock.pid").symlink_to(target)
    assert reopened(home) == Nothing()
    assert target.read_text() == "precious"


def test_a_link_planted_as_the_lock_is_refused_and_its_target_left_alone(home, tmp_path):
    """Neither followed nor opened, wherever it leads; the message names it."""
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    home.mkdir(mode=0o700)
    for leads_to in (target, tmp_path / "nowhere", home / "lock"):
        home.joinpath("lock").symlink_to(leads_to)
        with pytest.raises(StoreError, match=rf"{home}/lock is a symbolic link.* remove it"):
            Store(home).open()
        assert home.joinpath("lock").is_symlink()
        home.joinpath("lock").unlink()
    assert target.read_bytes() == b"precious"
    assert sorted(tmp_path.iterdir()) == [target, home]
    assert reopened(home) == Nothing()


@as_root
def test_a_state_of_another_user_is_not_believed(home, store):
    """Who could write it could name any token."""
    store.save(OLD)
    os.chown(home / "state", 12345, 12345)
    found = store.load()
    assert "belongs to uid 12345" in found.reason


# Who can look in


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o377])
def test_only_the_owner_can_open_what_is_made(home, umask, mask):
    """0700 and 0600 whatever the umask."""
    umask(mask & 0o077)
    store = Store(home)
    store.open()
    umask(mask)
    store.save(OLD)
    umask(0o077)
    modes = {p.name: mode_of(p) for p in (home, *home.iterdir())}
    assert modes == {home.name: 0o700, "lock": 0o600, "lock.pid": 0o600, "state": 0o600}
    store.close()


def test_the_new_file_is_never_open_to_others(home, umask):
    """Not even for the moment before its mode could be changed: each step is looked at."""
    seen = []
    store = Store(home, reached=lambda _step: seen.extend(map(mode_of, home.glob("state*"))))
    umask(0)
    store.open()
    store.save(NEW)
    store.close()
    assert set(seen) == {0o600}


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o777, 0o1777])
def test_our_own_directory_is_closed_to_others(home, mode):
    """A directory made by hand is mended, and open says so."""
    home.mkdir()
    home.chmod(mode)
    home.joinpath("state.damaged-3").touch()
    home.joinpath("admin.sock").touch()
    store = Store(home)
    assert f"{mode:04o}" in " ".join(store.open())
    assert mode_of(home) == 0o700
    store.close()


def test_a_directory_in_order_is_not_remarked_upon(home):
    """Nothing mended, nothing said."""
    home.mkdir(mode=0o700)
    store = Store(home)
    assert store.open() == ()
    store.close()


def test_a_shared_directory_is_refused_and_left_as_it_is(home):
    """`state_dir = "/tmp"` must not close /tmp to everybody."""
    home.mkdir()
    home.chmod(0o1777)
    home.joinpath("somebody's").touch()
    with pytest.raises(StoreError, match=r"holds other things \(somebody's\).*set state_dir"):
        Store(home).open()
    assert mode_of(home) == 0o1777
    assert [p.name for p in home.iterdir()] == ["somebody's"]


@as_root
def test_a_directory_of_another_user_is_refused(home):
    """They could read or swap the state."""
    home.mkdir(mode=0o700)
    os.chown(home, 12345, 12345)
    with pytest.raises(StoreError, match="belongs to uid 12345"):
        Store(home).open()


def test_a_directory_that_is_a_link_is_refused(home, tmp_path):
    """A link could be turned; the message names what it stands for."""
    target = tmp_path / "target"
    target.mkdir()
    target.chmod(0o755)
    home.symlink_to(target)
    with pytest.raises(StoreError, match=f"symbolic link to {target}"):
        Store(home).open()
    assert mode_of(target) == 0o755
    assert not list(target.iterdir())


def test_a_missing_parent_is_named(tmp_path):
    """Parents are not made: a typing error would become a directory."""
    with pytest.raises(StoreError, match=f"{tmp_path}/nowhere does not exist"):
        Store(tmp_path / "nowhere" / "state").open()


def test_a_file_in_the_directorys_place_is_named(home):
    """It says what stands there."""
    home.write_text("")
    with pytest.raises(StoreError, match="not a directory"):
        Store(home).open()


# Disks that fail


def test_a_directory_swapped_under_us_gets_nothing(home, store, tmp_path):
    """What is written goes to the directory that was opened, wherever its name points now."""
    moved, planted = tmp_path / "moved", home
    home.rename(moved)
    planted.mkdir(mode=0o777)
    store.save(OLD)
    assert not list(planted.iterdir())
    assert moved.joinpath("state").exists()


def test_a_removed_directory_is_an_error_that_says_restart(home, store):
    """Cleaners of temporary files happen."""
    for entry in home.iterdir():
        entry.unlink()
    home.rmdir()
    with pytest.raises(StoreError, match="removed or replaced; restart"):
        store.save(OLD)
    assert store.load() == Nothing()


def can_mount() -> bool:
    """Whether we have CAP_SYS_ADMIN (bit 21, capabilities(7)); root of a container may not."""
    status = Path("/proc/self/status").read_text()
    [effective] = [line for line in status.splitlines() if line.startswith("CapEff:")]
    return bool(int(effective.split()[1], 16) >> 21 & 1)


REAL_DISKS = ["tmpfs"] if can_mount() else []


@pytest.fixture
def disk(request, tmp_path):
    """A place with room for 64 KiB a file: a file system where one can be mounted, else a limit."""
    place = tmp_path / "disk"
    place.mkdir(mode=0o700)
    if request.param == "tmpfs":
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", place]
        subprocess.run(mount, check=True)
        yield place
        subprocess.run(["umount", "--lazy", place], check=True)
    else:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
        yield place
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("disk", ["limit", *REAL_DISKS], indirect=True)
def test_a_full_disk_harms_nothing(disk):
    """An error in the middle of a write: the old state stays, the leftover goes, it says why."""
    store = Store(disk)
    store.open()
    store.save(OLD)
    with pytest.raises(StoreError, match=r"disk is full; make room|raise its limit"):
        store.save(NEW)
    assert store.load() == Stored(OLD)
    assert not disk.joinpath("state.new").exists()
    store.save(OLD * 2)
    assert store.load() == Stored(OLD * 2)
    store.close()


@pytest.mark.parametrize("disk", ["limit", *REAL_DISKS], indirect=True)
def test_a_disk_that_is_full_from_the_start_can_still_be_read(disk):
    """The lock and a whole state need no room: a restart on a full disk serves."""
    store = Store(disk)
    store.open()
    store.save(OLD)
    store.close()
    with pytest.raises(OSError, match=r"No space|too large"):
        disk.joinpath("admin.sock").write_bytes(bytes(100_000))
    assert reopened(disk) == Stored(OLD)


@pytest.mark.parametrize("disk", REAL_DISKS or ["limit"], indirect=True)
def test_a_disk_that_cannot_be_written_is_an_error_that_says_so(disk):
    """Neither lock nor directory can be made; without a mount, because something is in the way."""
    if REAL_DISKS:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for place in (disk, disk / "deeper"):
            with pytest.raises(StoreError, match="read-only file system; set state_dir"):
                Store(place).open()
    else:
        disk.joinpath("lock").mkdir()
        with pytest.raises(StoreError, match="cannot use the state directory"):
            Store(disk).open()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full; make room"),
        (errno.EDQUOT, "the disk is full; make room"),
        (errno.EROFS, "read-only file system; set state_dir"),
        (errno.EPERM, "no permission for uid"),
        (errno.EMFILE, "no more files can be opened; raise the limit"),
        (errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("at", [Step.CREATED, Step.WRITING, Step.WRITTEN, Step.SYNCED])
def test_a_fault_at_any_step_harms_nothing(home, at, number, words):
    """Whatever the kernel says, and whenever: the old state, no leftover, and the reason."""
    faulty = [False]

    def reached(step: Step) -> None:
        if faulty[0] and step is at:
            raise OSError(number, os.strerror(number))

    store = Store(home, reached=reached)
    store.open()
    store.save(OLD)
    faulty[0] = True
    with pytest.raises(StoreError, match=words):
        store.save(NEW)
    assert sorted(path.name for path in home.iterdir()) == ["lock", "lock.pid", "state"]
    assert store.load() == Stored(OLD)
    store.close()


def test_a_directory_without_write_permission_is_an_error_that_says_so():
    """Somebody took the right to write away."""

    def attempt() -> str:
        store = Store(place)
        store.open()
        store.save(OLD)
        place.chmod(0o500)
        with pytest.raises(StoreError, match="no permission") as caught:
            store.save(NEW)
        assert store.load() == Stored(OLD)
        place.chmod(0o700)
        store.close()
        return str(caught.value)

    with tempfile.TemporaryDirectory(prefix="utb-") as base:
        place = Path(base, "state")
        Path(base).chmod(0o777)
        assert f"the state directory {place}: no permission" in as_ordinary_user(attempt)


def test_something_immovable_in_the_states_place_is_an_error(home, store):
    """A directory under the state's name that appears later: no crash, no leftover."""
    home.joinpath("state").mkdir()
    with pytest.raises(StoreError, match="cannot save"):
        store.save(OLD)
    assert not home.joinpath("state.new").exists()


# Two brokers


@pytest.fixture
def other_broker(home):
    """Another process that holds the directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_broker_is_told_who_holds_the_directory(home, other_broker):
    """Two brokers on one state would spend the quota twice."""
    with pytest.raises(StoreError, match=rf"another .* \(pid {other_broker.pid}\) uses {home}"):
        Store(home).open()


def test_of_many_that_start_at_once_one_gets_the_directory(home):
    """Also when none of them finds it made."""
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, home],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    # The one that holds it goes on until its input ends, so the others are waited for first.
    said = sorted(starter.stdout.readline() for starter in starters)
    errors = b"".join(starter.communicate()[1] for starter in starters)
    assert said == [b"", b"", b"", b"held\n"]
    assert errors.count(b"StoreError: another usps-token-broker (pid ") == 3


def test_the_directory_is_free_when_its_holder_was_killed(home, other_broker):
    """The lock is the kernel's: `kill -9` leaves nothing to clean up."""
    other_broker.kill()
    other_broker.communicate()
    assert reopened(home) == Nothing()


def test_the_refused_one_leaves_the_holder_alone(home, other_broker):
    """It neither removes nor renames the holder's files, and does not sweep its unfinished one."""
    home.joinpath("state.new").write_bytes(b"being written")
    with pytest.raises(StoreError):
        Store(home).open()
    assert sorted(p.name for p in home.iterdir()) == ["lock", "lock.pid", "state.new"]


def test_a_holder_that_has_just_begun_is_named_all_the_same(home, store):
    """Between taking the lock and saying its pid there is a moment, and the file of one before."""
    holder = home / "lock.pid"
    holder.write_bytes(b"999999999")  # beyond every pid_max: killed long ago
    beside = home / "state.new"
    beside.write_bytes(b"%d" % os.getpid())
    says = threading.Timer(0.2, beside.replace, [holder])
    says.start()
    with pytest.raises(StoreError, match=rf"\(pid {os.getpid()}\)"):
        Store(home).open()
    says.join()


@pytest.mark.parametrize("content", [b"", b"x", b"-1", "٣".encode(), b"1" * 100])
def test_a_holder_who_left_no_pid_is_refused_all_the_same(home, store, content, monkeypatch):
    """The file with the pid is a courtesy; whatever is in it, the lock decides."""
    monkeypatch.setattr(directory, "_LOOK_PAUSE_SECONDS", 0.0)
    home.joinpath("lock.pid").write_bytes(content)
    with pytest.raises(StoreError, match=r"another usps-token-broker \(pid "):
        Store(home).open()


def test_one_process_cannot_open_it_twice(home, store):
    """Two stores in one process exclude each other too."""
    with pytest.raises(StoreError, match=f"pid {os.getpid()}"):
        Store(home).open()


def test_a_closed_directory_can_be_opened_again(home, store):
    """Closing gives the lock back and takes the pid away."""
    store.close()
    assert not home.joinpath("lock.pid").exists()
    assert reopened(home) == Nothing()


def test_opened_in_one_thread_and_closed_in_another(home):
    """The app calls each method in a worker thread of its choice."""
    store = Store(home)
    for step in (store.open, lambda: store.save(OLD), store.close):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join(30)
    assert reopened(home) == Stored(OLD)


def test_a_long_path_is_no_hindrance():
    """Nothing here is a Unix socket, so 107 bytes are no limit."""
    with tempfile.TemporaryDirectory(prefix="utb-") as base:
        deep = Path(base, *["d" * 100] * 3)
        deep.mkdir(parents=True)
        assert reopened(deep / "state") == Nothing()
