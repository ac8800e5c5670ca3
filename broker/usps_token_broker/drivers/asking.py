"""One request over a running broker's socket, for commands that ask how it is or give orders."""

import http.client
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

EX_UNAVAILABLE: Final = 69
EX_TEMPFAIL: Final = 75
EX_NOPERM: Final = 77
EX_CONFIG: Final = 78
DEADLINE_SECONDS: Final = 10.0
_REFUSED: Final = {403: EX_NOPERM}
_REFUSED_ORDERS: Final = {403: EX_NOPERM, 422: EX_CONFIG, 502: EX_CONFIG, 503: EX_TEMPFAIL}
"""By what a person must do: be somebody else, mend the configuration, or try again."""
_MOST_BYTES: Final = 16 * 1024 * 1024
_START: Final = "see `systemctl status usps-token-broker`, or start `usps-token-broker run`"
_OTHER: Final = "say where the broker's socket is with --socket PATH"


class AskError(Exception):
    """The daemon gave no answer. The text says what, why and what to do."""

    def __init__(self, text: str, exit_code: int, document: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.exit_code = exit_code
        self.document = document
        """What the broker said, where it did."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, deadline_seconds: float) -> None:
        super().__init__("localhost", timeout=deadline_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def get(
    paths: list[Path], target: str, deadline_seconds: float = DEADLINE_SECONDS
) -> dict[str, Any]:
    """The JSON object at this target from the first socket that exists. Raises AskError."""
    return _ask("GET", paths, target, deadline_seconds, _REFUSED)


def post(
    paths: list[Path], target: str, deadline_seconds: float = DEADLINE_SECONDS
) -> dict[str, Any]:
    """What came of an order to the first socket that exists. Raises AskError."""
    return _ask("POST", paths, target, deadline_seconds, _REFUSED_ORDERS)


def _ask(
    method: str,
    paths: list[Path],
    target: str,
    deadline_seconds: float,
    exit_codes: Mapping[int, int],
) -> dict[str, Any]:
    path = next((path for path in paths if os.path.lexists(path)), paths[-1])
    connection = _UnixConnection(path, deadline_seconds)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        body = response.read(_MOST_BYTES)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _explained(error, path, paths) from None
    finally:
        connection.close()
    return _understood(path, response.status, body, exit_codes)


def _explained(error: Exception, path: Path, paths: list[Path]) -> AskError:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            tried = " nor at ".join(str(path) for path in paths)
            return AskError(
                f"no broker here: there is no socket at {tried}\n"
                f"start it with `usps-token-broker run`, or {_OTHER}",
                EX_UNAVAILABLE,
            )
        case PermissionError():
            return AskError(
                f"uid {os.geteuid()} may not open {path}: {error.strerror}\n"
                "let this user through its directories, or ask as one that may (sudo)",
                EX_NOPERM,
            )
        case ConnectionRefusedError():
            return AskError(
                f"nobody listens on {path}: the broker is not running\n{_START}", EX_UNAVAILABLE
            )
        case TimeoutError() | BlockingIOError():
            return AskError(
                f"{path} is there, but no answer came in time: what listens there hangs or is "
                "flooded\nlook at its log, or restart it",
                EX_UNAVAILABLE,
            )
        case http.client.HTTPException() | ConnectionError():
            return AskError(
                f"what answers on {path} is no broker, or it is just ending\n"
                f"try again, or {_OTHER}",
                EX_UNAVAILABLE,
            )
        case _:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            return AskError(
                f"{path} cannot be the socket of a broker ({why})\n{_OTHER}", EX_UNAVAILABLE
            )


def _understood(
    path: Path, status: int, body: bytes, exit_codes: Mapping[int, int]
) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise AskError(
            f"what answers on {path} is no broker (status {status}, and not JSON as expected)\n"
            f"{_OTHER}",
            EX_UNAVAILABLE,
        ) from None
    if status < http.client.BAD_REQUEST:
        return message
    code = exit_codes.get(status, EX_UNAVAILABLE)
    raise AskError(f"{message.get('detail')}\n{message.get('fix')}", code, message)
