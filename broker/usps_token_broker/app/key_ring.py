"""The local keys as they are at this moment: read from their file each time somebody comes."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from usps_token_broker.app.usps_door import KeysUnusableError
from usps_token_broker.drivers import key_file
from usps_token_broker.wire.local_keys import LocalKey, decode

PATIENCE_SECONDS: Final = 5.0
"""A file system that does not answer keeps a program waiting no longer."""
_THREADS: Final = 4
"""Of our own: should they all hang, saving the state goes on."""


class KeyRing:
    """Reads keys for a daemon that runs as `uid`; `warn` hears of each new trouble."""

    def __init__(self, path: Path, uid: int, warn: Callable[[str], None]) -> None:
        self._path = path
        self._uid = uid
        self._warn = warn
        self._trouble = ""
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def keys(self) -> tuple[LocalKey, ...]:
        """All there are; none without a file. Raises KeysUnusableError."""
        trouble = f"{self._path} was not read within {PATIENCE_SECONDS:g} s"
        with anyio.move_on_after(PATIENCE_SECONDS):
            try:
                keys = await anyio.to_thread.run_sync(
                    read, self._path, self._uid, abandon_on_cancel=True, limiter=self._threads
                )
            except KeysUnusableError as error:
                trouble = str(error)
            else:
                self._trouble = ""
                return keys
        if trouble != self._trouble:
            self._trouble = trouble
            self._warn(trouble)
        raise KeysUnusableError(trouble)


def read(path: Path, uid: int) -> tuple[LocalKey, ...]:
    """The keys in this file. Blocks. Raises KeysUnusableError, which says what to do."""
    try:
        content = key_file.read(path, uid)
        return () if content is None else decode(content)
    except key_file.KeyFileError as error:
        raise KeysUnusableError(str(error)) from None
    except ValueError as error:
        raise KeysUnusableError(
            f"{path}: {error}; take it away, and make keys anew with `usps-token-broker key add`"
        ) from None
