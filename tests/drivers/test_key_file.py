"""The file of local keys: closed to others, replaced whole, not believed when others made it."""

import os
import stat
import threading

import pytest

from usps_token_broker.drivers import key_file
from usps_token_broker.drivers.key_file import KeyFileError

ME = os.geteuid()


def write(path, content):
    key_file.change(path, lambda _before: content, ME)


def test_without_a_file_there_is_none(tmp_path):
    """Which is no error: keys are made later."""
    assert key_file.read(tmp_path / "keys.json", ME) is None


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_it_is_closed_to_others_whatever_the_umask(tmp_path, umask):
    """And nothing is left beside it."""
    before = os.umask(umask)
    try:
        write(tmp_path / "keys.json", b"one")
        write(tmp_path / "keys.json", b"two")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert key_file.read(tmp_path / "keys.json", ME) == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_what_the_edit_raises_changes_nothing(tmp_path):
    """Nor is anything left beside it."""
    path = tmp_path / "keys.json"
    write(path, b"one")

    def edit(before):
        raise LookupError(before)

    with pytest.raises(LookupError):
        key_file.change(path, edit, ME)
    assert key_file.read(path, ME) == b"one"
    assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]


def test_two_at_once_lose_nothing(tmp_path):
    """Each sees what the one before made."""
    path = tmp_path / "keys.json"

    def add():
        for _ in range(20):
            key_file.change(path, lambda before: (before or b"") + b"x", ME)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert key_file.read(path, ME) == b"x" * 80


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_one_that_others_can_write_is_not_believed(tmp_path, mode):
    """They could make keys."""
    path = tmp_path / "keys.json"
    write(path, b"one")
    path.chmod(mode)
    for act in (lambda: key_file.read(path, ME), lambda: write(path, b"two")):
        with pytest.raises(KeyFileError, match="who could make keys"):
            act()


@pytest.mark.skipif(ME != 0, reason="only root can give a file away")
def test_one_of_another_user_is_not_believed(tmp_path):
    """But root's is, and that of the broker's own user."""
    path = tmp_path / "keys.json"
    write(path, b"one")
    assert key_file.read(path, 51001) == b"one"
    os.chown(path, 51002, -1)
    with pytest.raises(KeyFileError, match="belongs to uid 51002"):
        key_file.read(path, 51001)
    assert key_file.read(path, 51002) == b"one"


@pytest.mark.skipif(ME != 0, reason="only root can give a file away")
def test_root_gives_it_to_the_brokers_user(tmp_path):
    """Who must read it."""
    path = tmp_path / "keys.json"
    key_file.change(path, lambda _before: b"one", 51001)
    assert path.stat().st_uid == 51001
    key_file.change(path, lambda before: before + b"two", 51001)
    assert key_file.read(path, 51001) == b"onetwo"


def test_a_link_is_not_followed(tmp_path):
    """Neither read nor written through."""
    (tmp_path / "target").write_bytes(b"of somebody else")
    (tmp_path / "keys.json").symlink_to(tmp_path / "target")
    for act in (
        lambda: key_file.read(tmp_path / "keys.json", ME),
        lambda: write(tmp_path / "keys.json", b"two"),
    ):
        with pytest.raises(KeyFileError, match="symbolic link"):
            act()
    assert (tmp_path / "target").read_bytes() == b"of somebody else"


def test_a_link_planted_beside_is_not_written_through(tmp_path):
    """Where the new content is put together."""
    (tmp_path / "target").write_bytes(b"of somebody else")
    (tmp_path / ".keys.json.new").symlink_to(tmp_path / "target")
    write(tmp_path / "keys.json", b"one")
    assert (tmp_path / "target").read_bytes() == b"of somebody else"
    assert not (tmp_path / "keys.json").is_symlink()


def test_a_fifo_is_not_waited_for(tmp_path):
    """It is no file of keys."""
    os.mkfifo(tmp_path / "keys.json")
    with pytest.raises(KeyFileError, match="not a regular file"):
        key_file.read(tmp_path / "keys.json", ME)


def test_a_huge_file_is_not_read(tmp_path):
    """Beyond what keys can take."""
    path = tmp_path / "keys.json"
    write(path, b"x" * (key_file.MOST_BYTES + 1))
    with pytest.raises(KeyFileError, match="larger than"):
        key_file.read(path, ME)


def test_a_missing_directory_is_named(tmp_path):
    """With what to do."""
    with pytest.raises(KeyFileError, match="make it first"):
        write(tmp_path / "nope" / "keys.json", b"one")


def test_secrets_are_long_and_never_the_same():
    """256 bits in characters that need no escape in JSON, a form or a header."""
    made = {key_file.new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(len(secret) == 64 and secret.isalnum() for secret in made)
    assert len({key_file.new_id() for _ in range(100)}) == 100
