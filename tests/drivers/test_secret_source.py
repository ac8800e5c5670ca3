"""Reading a client secret: what is accepted, what is refused and why, and that it never leaks."""

import copy
import errno
import os
import pickle
import shutil
import socket
import stat
import tempfile
import traceback
from pathlib import Path

import pytest
from no_descriptors import none_left
from ordinary_user import ORDINARY_UID, as_ordinary_user

from usps_token_broker.core.values import Secret
from usps_token_broker.drivers.secret_source import (
    MOST_BYTES,
    CredentialSource,
    Environment,
    EnvironmentSource,
    FileSource,
    SecretError,
    read_secret,
)
from usps_token_broker.drivers.secret_source.trust import user

CANARY = "Zx9canaryQ7"
ME = os.geteuid()
STRANGER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def place(tmp_path):
    """A directory that only we can write."""
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def file(place):
    """A file in order, with a secret."""
    path = place / "client-secret"
    path.touch(0o600)
    path.write_text(f"{CANARY}\n")
    return path


def read(path: Path, *, allow_readable: bool = False, uid: int = ME, gid: int | None = None) -> str:
    return read_secret(FileSource(path, allow_readable), {}, uid=uid, gid=gid).reveal()


def refusal(path: Path, **how: object) -> str:
    """The error's text, after a look that the secret is nowhere in its traceback."""
    with pytest.raises(SecretError) as caught:
        read(path, **how)
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown
    return str(caught.value)


# What a secret is


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_one_line_end_is_not_part_of_the_secret(file, end):
    """Editors and `echo` add one."""
    file.write_bytes(f"{CANARY}{end}".encode())
    assert read(file) == CANARY


def test_what_is_read_cannot_be_printed(file):
    """It comes as a Secret."""
    secret = read_secret(FileSource(file), {}, uid=ME)
    assert isinstance(secret, Secret)
    assert CANARY not in f"{secret} {secret!r}"


def test_a_file_is_read_anew_each_time(file):
    """So a rotated secret needs no restart."""
    assert read(file) == CANARY
    file.write_text("another")
    assert read(file) == "another"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"\r\n", "empty"),
        (CANARY.encode() + b"\n\n", "more than one line"),
        (b"id\n" + CANARY.encode(), "more than one line"),
        (CANARY.encode() + b"\r", "more than one line"),
        (CANARY.encode() + "\u2028x".encode(), "more than one line"),
        (b" " + CANARY.encode(), "space"),
        (CANARY.encode() + b"\t\n", "space"),
        (CANARY.encode() + b"\0", "NUL"),
        (b"a\0" + CANARY.encode(), "NUL"),
        (b"a\x1b[31m" + CANARY.encode(), "cannot be printed"),
        ("\ufeff".encode() + CANARY.encode(), "byte order mark"),
        (CANARY.encode("utf-16"), "not UTF-8"),
        (CANARY.encode() + b"\xff", "not UTF-8"),
        (b"x" * (MOST_BYTES + 1), f"more than {MOST_BYTES} bytes"),
        (b"\xff" * (MOST_BYTES * 100), f"more than {MOST_BYTES} bytes"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(file, content, why):
    """Said plainly, and without the content."""
    file.write_bytes(content)
    assert why in refusal(file)


def test_the_longest_secret_is_read_whole(file):
    """The bound itself is allowed."""
    file.write_bytes(b"x" * MOST_BYTES)
    assert len(read(file)) == MOST_BYTES


# Who else could have read it


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700, 0o640, 0o660])
def test_modes_that_keep_it_to_us(file, mode):
    """Our own user and our own primary group may."""
    file.chmod(mode)
    assert read(file, gid=file.stat().st_gid) == CANARY


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o666])
def test_open_to_everybody_is_refused(file, mode):
    """To read it or to change it; the fix is a command."""
    file.chmod(mode)
    text = refusal(file)
    assert f"open to everybody (mode {mode:04o})" in text
    assert f"`chmod 600 {file}`" in text
    assert "allow_readable_secret = true" in text


@as_root
@pytest.mark.parametrize("mode", [0o640, 0o620, 0o660])
def test_open_to_a_foreign_group_is_refused(file, mode):
    """A group that is not the daemon's own has members nobody thought of."""
    os.chown(file, ME, STRANGER)
    file.chmod(mode)
    assert f"open to the group {STRANGER}" in refusal(file)
    assert read(file, gid=STRANGER) == CANARY


@as_root
def test_open_to_roots_group_is_no_harm(file):
    """systemd's credentials are root's with an ACL, which shows as group bits."""
    os.chown(file, 0, 0)
    file.chmod(0o440)
    assert read(file, uid=STRANGER, gid=STRANGER) == CANARY


@pytest.mark.parametrize("mode", [0o644, 0o666])
def test_a_container_may_forgo_the_mode(file, mode):
    """`allow_readable_secret` turns the check of the mode off."""
    file.chmod(mode)
    assert read(file, allow_readable=True) == CANARY


@as_root
def test_a_strangers_file_is_refused(file):
    """Who owns it can read it and change it; allow_readable does not help."""
    os.chown(file, STRANGER, STRANGER)
    assert f"belongs to uid {STRANGER}" in refusal(file)
    assert f"belongs to uid {STRANGER}" in refusal(file, allow_readable=True)


@as_root
def test_roots_file_and_our_own_are_accepted(file):
    """Root may read everything anyway."""
    assert read(file, uid=STRANGER) == CANARY
    os.chown(file, STRANGER, 0)
    assert read(file, uid=STRANGER) == CANARY


# Who else could have put it there


def test_a_directory_that_everybody_can_write_is_refused(file, place):
    """They could put another file there."""
    place.chmod(0o777)
    text = refusal(file, allow_readable=True)
    assert f"the directory {place} on the way can be written by everybody" in text
    assert f"`chmod o-w {place}`" in text


def test_a_sticky_directory_is_as_good_as_the_file(file, place):
    """In /tmp nobody can take away what is ours; Kubernetes mounts secrets so."""
    place.chmod(0o1777)
    assert read(file) == CANARY


@as_root
def test_a_directory_that_a_foreign_group_can_write_is_refused(file, place):
    """But our own group and root's may."""
    os.chown(place, ME, STRANGER)
    place.chmod(0o770)
    assert f"can be written by the group {STRANGER}" in refusal(file)
    assert read(file, gid=STRANGER) == CANARY
    os.chown(place, ME, 0)
    assert read(file, gid=STRANGER) == CANARY


@as_root
def test_a_strangers_directory_is_refused_however_deep(place):
    """The whole way is judged, not the last directory alone."""
    deep = place / "a" / "b"
    deep.mkdir(parents=True)
    file = deep / "secret"
    file.touch(0o600)
    file.write_text(CANARY)
    os.chown(place / "a", STRANGER, STRANGER)
    assert f"the directory {place / 'a'} on the way belongs to uid {STRANGER}" in refusal(file)
    assert read(file, uid=STRANGER) == CANARY


# Links


def test_links_are_followed(file, place):
    """Relative, absolute, of files and of directories, with `..` in them."""
    (place / "sub").mkdir()
    (place / "sub" / "up").symlink_to("..")
    (place / "one").symlink_to("sub/up/client-secret")
    (place / "two").symlink_to(place / "one")
    (place / "here").symlink_to(place)
    assert read(place / "here" / "sub" / ".." / "two") == CANARY


def test_a_secret_volume_of_kubernetes_is_followed(place):
    """file -> ..data/file, ..data -> a dated directory."""
    (place / "..2026_01_01").mkdir()
    (place / "..2026_01_01" / "secret").touch(0o600)
    (place / "..2026_01_01" / "secret").write_text(CANARY)
    (place / "..data").symlink_to("..2026_01_01")
    (place / "secret").symlink_to("..data/secret")
    assert read(place / "secret") == CANARY


def test_the_mode_that_counts_is_the_final_files(file, place):
    """A link is 0777 and hides nothing."""
    (place / "link").symlink_to(file)
    file.chmod(0o644)
    assert "open to everybody (mode 0644)" in refusal(place / "link")


def test_the_way_behind_a_link_is_judged_too(file, place, tmp_path_factory):
    """A link from a good place into an open one."""
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    file.rename(place / "open" / "secret")
    (place / "link").symlink_to("open/secret")
    assert f"the directory {place / 'open'} on the way" in refusal(place / "link")


def test_the_way_before_a_link_is_judged_too(file, place):
    """A link in an open directory could be pointed elsewhere."""
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    (place / "open" / "link").symlink_to(file)
    assert f"the directory {place / 'open'} on the way" in refusal(place / "open" / "link")


@as_root
def test_a_strangers_link_in_a_sticky_directory_is_refused(file, place):
    """Anybody can plant a link in /tmp."""
    place.chmod(0o1777)
    link = place / "link"
    link.symlink_to(file)
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    assert f"the link {link} on the way belongs to uid {STRANGER}" in refusal(link)


@pytest.mark.parametrize("name", ["round", "there/round"])
def test_a_ring_of_links_ends(place, name):
    """It is an error, not an endless walk."""
    (place / "round").symlink_to(name)
    (place / "there").symlink_to(".")
    assert "Too many levels of symbolic links" in refusal(place / "round")


def test_a_dangling_link_names_what_is_missing(place):
    """The name that does not exist, not the link."""
    (place / "link").symlink_to("gone/secret")
    assert f"{place / 'gone'} does not exist" in refusal(place / "link")


# What is no file


def test_a_missing_file_is_named_with_the_command_that_writes_it(place):
    """For the user who must be able to read it, by name or number."""
    for uid, name in ((0, user(0)), (ORDINARY_UID, str(ORDINARY_UID))):
        said = refusal(place / "s", uid=uid)
        assert f"`install -D -m 600 -o {name} /dev/stdin {place / 's'}`" in said


def test_a_missing_directory_is_named(place):
    """With the first part of the path that is not there."""
    assert f"{place / 'x'} does not exist; write the secret" in refusal(place / "x" / "y")


@pytest.mark.parametrize("kind", ["directory", "fifo", "socket", "device"])
def test_what_is_no_regular_file_is_refused_unopened(place, kind, monkeypatch):
    """A FIFO would block, a device may do anything."""
    path = place / "s"
    match kind:
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "socket":
            monkeypatch.chdir(place)  # the full path may be too long for a socket
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path.name)
        case _:
            path = Path("/dev/null")
    assert "not a regular file" in refusal(path)


def test_a_path_through_a_file_is_an_error(file):
    """ENOTDIR has words too."""
    assert "Not a directory" in refusal(file / "x")


def test_a_process_that_can_open_nothing_more_says_so(file):
    """The file is in order: it is not for the file that a person must look."""
    read_secret(FileSource(file), {}, uid=ME)
    with none_left():
        said = refusal(file)
    assert "the broker can open no more files; raise its limit" in said
    assert read_secret(FileSource(file), {}, uid=ME).reveal() == CANARY


def test_a_relative_path_is_refused():
    """It would depend on where the daemon was started."""
    assert "not a full path" in refusal(Path("client-secret"))


@pytest.fixture
def seen():
    """A directory that everybody can look into, on a way that everybody can pass."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def refused(path: Path) -> str:
    """What is said to an ordinary user, whose own number stands as ME."""

    def look() -> str:
        return refusal(path, uid=os.geteuid()).replace(user(os.geteuid()), "ME")

    return as_ordinary_user(look).replace(user(ME), "OWNER")


@as_root
def test_a_file_of_another_user_is_said_with_owner_mode_and_command(seen):
    """Who we are, whose it is, and what to type."""
    file = seen / "client-secret"
    file.touch(0o600)
    assert refused(file) == (
        f"the secret file {file}: the daemon's user, ME, may not read it: it belongs to OWNER and "
        f"the group {os.getegid()} (mode 0600); `chown {ORDINARY_UID} {file}` and "
        f"`chmod 600 {file}`, or give it as a systemd credential"
    )


@as_root
def test_a_directory_that_we_may_not_pass_is_named_with_owner_and_mode(seen):
    """The file itself is in order, and a chown of it would not help."""
    inner = seen / "inner"
    inner.mkdir(0o700)
    said = refused(inner / "client-secret")
    assert (
        f"ME, may not read it: the directory {inner} on the way is closed to it, and belongs to "
        f"OWNER and the group {os.getegid()} (mode 0700); let ME pass there (`chmod o+x {inner}`)"
    ) in said
    assert "chown" not in said


def test_a_file_whose_mode_would_let_us_says_what_else_may_forbid_it(file, monkeypatch):
    """An access list, or root without its powers on a share."""

    def forbid(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "no", str(file))

    monkeypatch.setattr(os, "open", forbid)
    said = refusal(file)
    monkeypatch.undo()
    assert "(mode 0600), which allows it; see whether an access list" in said


def test_a_file_that_goes_away_while_it_is_refused_is_an_error_all_the_same(file, monkeypatch):
    """There is nothing left whose mode could be told."""

    def forbid(path, *_args, **_kwargs):
        monkeypatch.undo()
        shutil.rmtree(file.parent)
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", forbid)
    assert "Permission denied" in refusal(file)


@pytest.fixture
def rotating(file, place, monkeypatch):
    """Gives a function that has the file replaced just before each of the next N openings."""

    def rotate(times: int) -> None:
        fresh = [place / f"fresh-{number}" for number in range(times)]
        for path in fresh:
            path.touch(0o600)
            path.write_text(path.name)

        def open_after_rotation(path: Path, *args: int) -> int:
            if fresh:
                fresh.pop(0).rename(file)
            return real_open(path, *args)

        real_open = os.open
        monkeypatch.setattr(os, "open", open_after_rotation)

    return rotate


def test_a_file_replaced_while_it_is_read_is_looked_at_again(file, rotating):
    """A rotation by rename, just between the look and the opening, is no error."""
    rotating(2)
    assert read(file) == "fresh-1"


def test_a_file_that_is_never_the_same_is_given_up(file, rotating):
    """Somebody plays games: no endless loop."""
    rotating(100)
    assert "replaced again and again" in refusal(file)


def test_reading_leaks_no_descriptor(file):
    """Neither when it works nor when it does not."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    read(file)
    file.chmod(0o666)
    refusal(file)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# systemd credentials


def credential(name: str, directory: Path | None, **how: object) -> str:
    environ = {} if directory is None else {"CREDENTIALS_DIRECTORY": str(directory)}
    return read_secret(CredentialSource(name, **how), environ, uid=ME).reveal()


def test_a_credential_is_a_file_in_systemds_directory(file, place):
    """By its name."""
    assert credential("client-secret", place) == CANARY


def test_a_credential_is_judged_like_any_file(file, place):
    """CREDENTIALS_DIRECTORY may have been set by hand."""
    file.chmod(0o644)
    with pytest.raises(SecretError, match="open to everybody"):
        credential("client-secret", place)
    assert credential("client-secret", place, allow_readable=True) == CANARY


def test_a_credential_without_systemd_says_so():
    """The way out by hand is a file."""
    with pytest.raises(SecretError, match=r"CREDENTIALS_DIRECTORY is not set.*LoadCredential="):
        credential("usps-client-secret", None)


def test_a_credential_the_unit_was_not_given_names_those_it_was(file, place):
    """A typing error in either place shows."""
    (place / "other").touch()
    with pytest.raises(SecretError, match=r"credential usps-secret: .* are: client-secret, other;"):
        credential("usps-secret", place)


def test_an_empty_credentials_directory_has_none(place):
    """In words."""
    with pytest.raises(SecretError, match="its credentials are: none"):
        credential("usps-secret", place)


def test_a_credentials_directory_that_is_gone_is_an_error(place):
    """It names the directory."""
    with pytest.raises(SecretError, match=f"{place}/gone does not exist"):
        credential("usps-secret", place / "gone")


@pytest.mark.parametrize("name", [CANARY, "abc.DEF0123456789", "q" * 40])
def test_a_secret_written_in_place_of_a_name_is_not_shown(place, name):
    """`{ credential = "the secret itself" }` must not end in a log."""
    for source in (CredentialSource(name), EnvironmentSource(name)):
        with pytest.raises(SecretError) as caught:
            read_secret(source, {"CREDENTIALS_DIRECTORY": str(place)}, uid=ME)
        assert name not in str(caught.value)


# The environment


def test_a_variable_is_read():
    """With the same line end taken off."""
    source = EnvironmentSource("USPS_CLIENT_SECRET")
    assert read_secret(source, {"USPS_CLIENT_SECRET": f"{CANARY}\n"}, uid=ME).reveal() == CANARY


def test_a_variable_that_is_not_set_is_named():
    """Names in capitals are names."""
    with pytest.raises(SecretError, match="variable USPS_CLIENT_SECRET: it is not set"):
        read_secret(EnvironmentSource("USPS_CLIENT_SECRET"), {}, uid=ME)


@pytest.mark.parametrize(("value", "why"), [("", "empty"), ("\udcff" + CANARY, "not UTF-8")])
def test_a_variable_without_a_secret_is_refused(value, why):
    """By the same rules as a file, and as silently."""
    with pytest.raises(SecretError, match=why) as caught:
        read_secret(EnvironmentSource("X_Y"), {"X_Y": value}, uid=ME)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_an_error_has_its_parts():
    """For callers that lay them out themselves."""
    error = SecretError("what", "why", "do")
    assert (error.what, error.why, error.do, str(error)) == ("what", "why", "do", "what: why; do")


def test_a_file_of_ours_is_what_the_tests_make(file):
    """The other tests would prove nothing if this were not so."""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_uid == ME


def test_the_environment_is_read_like_any_mapping_and_not_shown():
    """One of its values may be the secret."""
    environ = Environment({"USPS_CLIENT_SECRET": "kQ7vWx2NfGh8LpRt", "HOME": "/"})
    assert read_secret(EnvironmentSource("USPS_CLIENT_SECRET"), environ, uid=1).reveal()[:2] == "kQ"
    assert (sorted(environ), len(environ)) == (["HOME", "USPS_CLIENT_SECRET"], 2)
    assert "kQ7" not in f"{environ} {environ!r} {[environ]}"
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            take(environ)
