"""One request over a running broker's socket, for commands that ask, give orders or listen on."""

import http.client
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

EX_UNAVAILABLE: Final = 69
EX_TEMPFAIL: Final = 75
EX_PROTOCOL: Final = 76
EX_NOPERM: Final = 77
EX_CONFIG: Final = 78
DEADLINE_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 90.0
"""A broker that is followed says something each half minute; three times that is a dead one."""
_REFUSED: Final = {403: EX_NOPERM}
_REFUSED_ORDERS: Final = {403: EX_NOPERM, 422: EX_CONFIG, 502: EX_CONFIG, 503: EX_TEMPFAIL}
"""By what a person must do: be somebody else, mend the configuration, or try again."""
_MOST_BYTES: Final = 16 * 1024 * 1024
_READ_BYTES: Final = 64 * 1024
_START: Final = "see `systemctl status usps-token-broker`, or start `usps-token-broker run`"
_OTHER: Final = "say where the broker's socket is with --socket PATH"
_OTHER_ADMIN: Final = "say where the broker's admin socket is with --admin-socket PATH"


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
    return _ask("GET", paths, target, deadline_seconds, exit_codes=_REFUSED, other=_OTHER)


def post(
    paths: list[Path], target: str, deadline_seconds: float = DEADLINE_SECONDS
) -> dict[str, Any]:
    """What came of an order to the first socket that exists. Raises AskError."""
    return _ask(
        "POST",
        paths,
        target,
        deadline_seconds,
        exit_codes=_REFUSED_ORDERS,
        other=_OTHER_ADMIN,
    )


def _ask(  # noqa: PLR0913 - what differs between looking and ordering
    method: str,
    paths: list[Path],
    target: str,
    deadline_seconds: float,
    *,
    exit_codes: Mapping[int, int],
    other: str,
) -> dict[str, Any]:
    path = _likeliest(paths)
    connection = _UnixConnection(path, deadline_seconds)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        body = response.read(_MOST_BYTES)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _explained(error, path, paths, other) from None
    finally:
        connection.close()
    return _understood(path, response.status, body, exit_codes, other)


def follow(
    paths: list[Path],
    target: str,
    deadline_seconds: float = DEADLINE_SECONDS,
    silence_seconds: float = SILENCE_SECONDS,
) -> Iterator[bytes]:
    """The lines of the stream at this target, each when it comes, until the broker ends it.

    Raises AskError; once there was an answer, with EX_TEMPFAIL when the connection is lost.
    """
    path = _likeliest(paths)
    connection = _UnixConnection(path, deadline_seconds)
    try:
        try:
            connection.request("GET", target)
            connected = connection.sock
            response = connection.getresponse()
            if response.status != http.client.OK or not _is_stream(response):
                _understood(path, response.status, response.read(_MOST_BYTES), _REFUSED, _OTHER)
                raise _no_stream(path)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _explained(error, path, paths, _OTHER) from None
        connected.settimeout(silence_seconds)
        yield from _lines(response, path)
    finally:
        connection.close()


def _likeliest(paths: list[Path]) -> Path:
    """The first that is there, else the first of which this user is not let see that; or none."""
    hidden = None
    for path in paths:
        try:
            path.lstat()
        except PermissionError:
            hidden = hidden or path
        except (OSError, ValueError):
            continue
        else:
            return path
    return hidden or paths[-1]


def _is_stream(response: http.client.HTTPResponse) -> bool:
    return response.headers.get_content_type() == "application/x-ndjson"


def _lines(response: http.client.HTTPResponse, path: Path) -> Iterator[bytes]:
    begun = b""
    while piece := _read_some(response, path):
        *lines, begun = (begun + piece).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(begun) > _MOST_BYTES:
            raise _no_stream(path)
    if begun:
        raise _lost(path, "in the middle of a line")


def _read_some(response: http.client.HTTPResponse, path: Path) -> bytes:
    """What has come; empty at the end. By `read1`: `readline` takes a cut for the end."""
    try:
        return response.read1(_READ_BYTES)
    except TimeoutError:
        raise _lost(path, "nothing comes any more: it hangs, or was stopped") from None
    except (OSError, ValueError, http.client.HTTPException):
        raise _lost(path, "it was cut off") from None


def _lost(path: Path, how: str) -> AskError:
    return AskError(
        f"the connection to the broker on {path} is lost ({how})\n"
        "follow it again; if that fails, look whether it runs: `usps-token-broker status`",
        EX_TEMPFAIL,
    )


def _no_stream(path: Path) -> AskError:
    return AskError(
        f"what answers on {path} is no broker, or one of a version that cannot be followed\n"
        "ask again and again with `usps-token-broker status`, or update the broker",
        EX_PROTOCOL,
    )


def _explained(error: Exception, path: Path, paths: list[Path], other: str) -> AskError:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            tried = " nor at ".join(str(path) for path in paths)
            return AskError(
                f"no broker here: there is no socket at {tried}\n"
                f"start it with `usps-token-broker run`, or {other}",
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
                f"what answers on {path} is no broker, or it is just ending\ntry again, or {other}",
                EX_UNAVAILABLE if isinstance(error, ConnectionError) else EX_PROTOCOL,
            )
        case _:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            return AskError(
                f"{path} cannot be the socket of a broker ({why})\n{other}", EX_UNAVAILABLE
            )


def _understood(
    path: Path, status: int, body: bytes, exit_codes: Mapping[int, int], other: str
) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise AskError(
            f"what answers on {path} is no broker (status {status}, and not JSON as expected)\n"
            f"{other}",
            EX_PROTOCOL,
        ) from None
    if status < http.client.BAD_REQUEST:
        return message
    code = exit_codes.get(status, EX_UNAVAILABLE)
    raise AskError(f"{message.get('detail')}\n{message.get('fix')}", code, message)
