"""Reads a client secret anew, each time it is asked to, from where the configuration says."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from usps_token_broker.core.values import Secret
from usps_token_broker.drivers.secret_source.trust import Judge, SecretError, forbidden, owner

MOST_BYTES: Final = 16_384
"""A USPS consumer secret has 16 to 64 characters; what is longer than this is another file."""

_TRIES: Final = 3
"""A file that is replaced just while it is read is looked at again."""
_NAME_LIKE: Final = re.compile(r"[a-z]{1,24}([-_.][a-z0-9]{1,24}){0,6}|[A-Z][A-Z_]{2,63}")


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """A systemd credential, `$CREDENTIALS_DIRECTORY/NAME`; fixed for the life of a unit."""

    name: str
    allow_readable: bool = False


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file by its full path. `allow_readable` forgoes the check of its mode."""

    path: Path
    allow_readable: bool = False


@dataclass(frozen=True, slots=True)
class EnvironmentSource:
    """A variable of the daemon's environment."""

    name: str


class Environment(Mapping[str, str]):
    """The variables of this process. One may be the secret, so they are neither shown nor pickled.

    No dict: what prints and encodes those would not ask first.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Environment of {len(self)} variables>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Environment is not pickled or copied; pass the object itself")


SecretSource = CredentialSource | FileSource | EnvironmentSource


def read_secret(
    source: SecretSource, environ: Mapping[str, str], *, uid: int, gid: int | None = None
) -> Secret:
    """The secret as it is now. Blocks: a file may lie on a slow disk.

    `uid` is the daemon's user and `gid` its primary group, this process's when not given.
    Raises SecretError.
    """
    if isinstance(source, EnvironmentSource):
        return _from_environment(source.name, environ)
    if isinstance(source, CredentialSource):
        what = f"the systemd credential {_shown(source.name)}"
        path = _credential(what, source.name, environ)
    else:
        what, path = f"the secret file {source.path}", source.path
    judge = Judge(what, uid, os.getegid() if gid is None else gid)
    return _from_file(judge, path, judge_mode=not source.allow_readable)


def _from_environment(name: str, environ: Mapping[str, str]) -> Secret:
    what = f"the environment variable {_shown(name)}"
    if name not in environ:
        raise SecretError(what, "it is not set", "set it for the daemon, or name a file instead")
    return _secret(what, os.fsencode(environ[name]))


def _credential(what: str, name: str, environ: Mapping[str, str]) -> Path:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise SecretError(
            what,
            "CREDENTIALS_DIRECTORY is not set, so systemd gave this process no credentials",
            "add `LoadCredential=NAME:/path` to the unit, or write client_secret = { file = … }",
        )
    path = Path(directory) / name
    try:
        names = sorted(entry.name for entry in Path(directory).iterdir())
    except OSError:
        return path  # reading it will tell
    if name in names:
        return path
    raise SecretError(
        what,
        f"the unit was not given it; its credentials are: {', '.join(names[:8]) or 'none'}",
        "add `LoadCredential=NAME:/path` to the unit and restart it",
    )


def _shown(name: str) -> str:
    """The name, unless somebody may have written the secret itself in its place."""
    return name if _NAME_LIKE.fullmatch(name) else "(its name is not shown: it may be the secret)"


def _from_file(judge: Judge, path: Path, *, judge_mode: bool) -> Secret:
    for _ in range(_TRIES):
        try:
            raw = _read_trusted(judge, path, judge_mode=judge_mode)
        except OSError as error:
            raise _unreadable(judge, path, error) from None
        if raw is not None:
            return _secret(judge.what, raw)
    raise SecretError(judge.what, "it was replaced again and again while it was read", "try again")


def _read_trusted(judge: Judge, path: Path, *, judge_mode: bool) -> bytes | None:
    """The file's bytes, a few more than allowed at most; None when it was swapped meanwhile."""
    end = judge.end_of(path)
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if (status.st_dev, status.st_ino) != (end.st_dev, end.st_ino):
            return None
        judge.file(path, status, judge_mode=judge_mode)
        return file.read(MOST_BYTES + 1)


def _open_without_waiting(path: str, flags: int) -> int:
    """It was a regular file a moment ago, but may be a FIFO by now."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _unreadable(judge: Judge, path: Path, error: OSError) -> SecretError:
    where = Path(error.filename or path)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return SecretError(
            judge.what,
            "the broker can open no more files",
            "raise its limit (LimitNOFILE=), or end who holds so many connections",
            "out_of_descriptors",
        )
    if isinstance(error, FileNotFoundError):
        return SecretError(
            judge.what,
            f"{where} does not exist",
            "write the secret there, for the daemon's user alone: "
            f"`install -D -m 600 -o {owner(judge.uid)} /dev/stdin {path}`",
        )
    if isinstance(error, PermissionError):
        with contextlib.suppress(OSError):
            return forbidden(judge, path, where)
    beside = "" if where == path else f"{where}: "
    return SecretError(judge.what, f"{beside}{error.strerror}", "name a file that can be read")


def _secret(what: str, raw: bytes) -> Secret:
    """The secret in these bytes, less one line end."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = None  # nothing is raised in here: that error holds the bytes
    line = None if text is None else _without_line_end(text)
    fault = f"it has more than {MOST_BYTES} bytes" if len(raw) > MOST_BYTES else _fault(line)
    if line is None or fault is not None:
        raise SecretError(what, fault or "", "write the secret there and nothing else, in one line")
    return Secret(line)


def _without_line_end(text: str) -> str:
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def _fault(line: str | None) -> str | None:
    """Why this is no secret, if it is none."""
    if not line:
        not_text = "it is not UTF-8 text, perhaps UTF-16, as PowerShell writes it"
        return not_text if line is None else "it is empty"
    if line.splitlines() != [line]:
        return "it has more than one line"
    if line != line.strip():
        return "it begins or ends with a space"
    if line.isprintable():
        return None
    if line.startswith("\ufeff"):
        return "it begins with a byte order mark, as editors on Windows write one"
    return "it holds a NUL or another character that cannot be printed"
