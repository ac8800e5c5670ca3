"""One GET over a running broker's socket, for commands that ask how it is."""

import http.client
import socket
from pathlib import Path
from typing import Any, Final

import msgspec

EX_UNAVAILABLE: Final = 69
EX_SOFTWARE: Final = 70
EX_NOPERM: Final = 77
_DEADLINE_SECONDS: Final = 10.0
_MOST_BYTES: Final = 16 * 1024 * 1024


class AskError(Exception):
    """The daemon gave no answer. The text says what, why and what to do."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_DEADLINE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def get(paths: list[Path], target: str) -> Any:  # noqa: ANN401 - JSON is anything
    """The JSON at this target from the first socket that exists. Raises AskError."""
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        tried = " nor ".join(str(path) for path in paths)
        raise AskError(
            f"no broker here: there is no socket at {tried}\n"
            "start it with `usps-token-broker run`, or say where it is with --socket PATH",
            EX_UNAVAILABLE,
        )
    connection = _UnixConnection(path)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        body = response.read(_MOST_BYTES)
    except PermissionError as error:
        raise AskError(f"{path} may not be opened by this user: {error}", EX_NOPERM) from None
    except (ConnectionError, TimeoutError) as error:
        raise AskError(
            f"nothing answers on {path} ({error}): the broker is not running\n"
            "see `systemctl status usps-token-broker`, or start `usps-token-broker run`",
            EX_UNAVAILABLE,
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise AskError(f"{path} gives no usable answer: {error}", EX_SOFTWARE) from None
    finally:
        connection.close()
    return _understood(path, response.status, body)


def _understood(path: Path, status: int, body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    try:
        message = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise AskError(f"what answers on {path} is not a broker", EX_SOFTWARE) from None
    if status == http.client.FORBIDDEN:
        raise AskError(f"{message.get('detail')}\n{message.get('fix')}", EX_NOPERM)
    if status >= http.client.BAD_REQUEST:
        raise AskError(f"{message.get('detail')}\n{message.get('fix')}", EX_SOFTWARE)
    return message
