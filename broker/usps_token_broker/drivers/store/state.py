"""Loading and saving: written beside, synced, renamed, so that a crash leaves the old or the new.

What cannot be used is moved away and reported as a value: a broker without a past still serves.
"""

import contextlib
import enum
import errno
import os
import re
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from usps_token_broker.drivers.store import format as state_format
from usps_token_broker.drivers.store.directory import Directory, StoreError, explain
from usps_token_broker.drivers.store.format import MOST_BYTES, Unfit

MOST_SET_ASIDE: Final = 5
"""Damaged files of a kind that are kept for a person to look at."""

_STATE: Final = "state"
_BESIDE: Final = "state.new"
_CHUNK_BYTES: Final = 65_536
_SET_ASIDE: Final = re.compile(r"state\.(?P<kind>damaged|newer)-(?P<number>[0-9]{1,9})")


class Step(enum.StrEnum):
    """The moments of a save at which a crash leaves something different behind."""

    CREATED = "created"
    WRITING = "writing"
    WRITTEN = "written"
    SYNCED = "synced"
    RENAMED = "renamed"
    RECORDED = "recorded"


@dataclass(frozen=True, slots=True)
class Stored:
    """The bytes that were saved last. Not shown: there are tokens in them."""

    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing was saved yet."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """What was saved cannot be used."""

    reason: str
    moved_to: Path | None
    """Where it lies now; None when it could not be moved, then the next save replaces it."""
    newer: bool = False
    """It is in the format of a later version."""


class Store:
    """A state directory that this process alone uses, from `open` to `close`. Methods block.

    `reached` is told each step of a save, for tests that crash there.
    """

    def __init__(
        self, directory: Path, *, reached: Callable[[Step], None] = lambda _step: None
    ) -> None:
        self._path = directory
        self._reached = reached
        self._directory: Directory | None = None
        # A save may still run in a worker thread that nobody waits for when the store is closed.
        self._busy = threading.Lock()

    def open(self) -> tuple[str, ...]:
        """Make and lock the directory; gives in sentences what was put right on the way.

        Raises StoreError: it is somebody else's, or open to others, or another broker uses it.
        """
        with self._busy:
            if self._directory is not None:
                raise StoreError(f"the state directory {self._path} is open already")
            try:
                self._directory = Directory(self._path)
                return (*self._directory.mended, *self._sweep())
            except OSError as error:
                raise explain("use", self._path, error) from None

    def load(self) -> Stored | Nothing | Damaged:
        """What was saved last. What is damaged or foreign is set aside."""
        with self._busy:
            try:
                data = self._read()
            except FileNotFoundError:
                return Nothing()
            except OSError as error:
                link = error.errno == errno.ELOOP
                data = Unfit("it is a symbolic link" if link else f"{error.strerror}")
            found = data if isinstance(data, Unfit) else state_format.decode(data)
            return self._set_aside(found) if isinstance(found, Unfit) else Stored(found.payload)

    def save(self, payload: bytes) -> None:
        """Replace what was saved; on return it survives a power cut.

        Raises StoreError (disk full, read-only, …); what was saved before is then unharmed.
        """
        with self._busy:
            directory = self._opened()
            data = state_format.encode(payload)
            if len(data) > MOST_BYTES:
                raise StoreError(f"the state has {len(data)} bytes, more than {MOST_BYTES}")
            try:
                self._write_beside(directory, data)
                directory.rename(_BESIDE, _STATE)
                self._reached(Step.RENAMED)
                directory.sync()
                self._reached(Step.RECORDED)
            except OSError as error:
                with contextlib.suppress(OSError):
                    directory.unlink(_BESIDE)
                raise explain("save to", self._path, error) from None

    def set_aside(self, reason: str) -> Damaged:
        """Move away a state that was whole but whose content makes no sense."""
        with self._busy:
            return self._set_aside(Unfit(reason))

    def close(self) -> None:
        """Let go of the directory. Waits for a save under way; harmless when repeated."""
        with self._busy:
            if self._directory is not None:
                self._directory.close()
                self._directory = None

    def _opened(self) -> Directory:
        if self._directory is None:
            raise StoreError(f"the state directory {self._path} is not open")
        return self._directory

    def _sweep(self) -> tuple[str, ...]:
        try:
            self._opened().unlink(_BESIDE)
        except OSError:
            return ()  # nothing there; whatever else is wrong, saving will tell
        return (f"removed {self._path / _BESIDE}, which a crash had left unfinished",)

    def _read(self) -> bytes | Unfit:
        with self._opened().open_for_reading(_STATE) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return Unfit("it is not a regular file")
            if status.st_uid != os.geteuid():
                return Unfit(f"it belongs to uid {status.st_uid}")
            data = file.read(MOST_BYTES + 1)
        return data if len(data) <= MOST_BYTES else Unfit(f"it has more than {MOST_BYTES} bytes")

    def _write_beside(self, directory: Directory, data: bytes) -> None:
        descriptor = directory.create(_BESIDE)
        try:
            self._reached(Step.CREATED)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest[:_CHUNK_BYTES]) :]
                self._reached(Step.WRITING)
            self._reached(Step.WRITTEN)
            os.fsync(descriptor)
            self._reached(Step.SYNCED)
        finally:
            os.close(descriptor)

    def _set_aside(self, unfit: Unfit) -> Damaged:
        directory = self._opened()
        kind = "newer" if unfit.newer else "damaged"
        try:
            numbers = _numbers(directory, kind)
            name = f"{_STATE}.{kind}-{max(numbers, default=0) + 1}"
            directory.rename(_STATE, name)
        except OSError:
            return Damaged(unfit.reason, None, unfit.newer)
        for number in numbers[: max(0, len(numbers) + 1 - MOST_SET_ASIDE)]:
            with contextlib.suppress(OSError):
                directory.unlink(f"{_STATE}.{kind}-{number}")
        return Damaged(unfit.reason, self._path / name, unfit.newer)


def _numbers(directory: Directory, kind: str) -> list[int]:
    found = map(_SET_ASIDE.fullmatch, directory.names())
    return sorted(int(match["number"]) for match in found if match and match["kind"] == kind)
