"""What a person pastes of a call that failed, read as far as it can be: never an error.

Taken are the output of `curl -i` and `curl -v`, and of HTTPie and wget; what curl says of a call
that got no answer; a report as in `POST /v1/answers`; the body of an answer, bare or in a line of a
log; and the messages of HTTP libraries.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final

import msgspec

from usps_token_broker.wire.bodies import body_in, status_in
from usps_token_broker.wire.curl_failures import Failure, read_failure
from usps_token_broker.wire.library_failures import read_library_failure, read_status
from usps_token_broker.wire.pasted import plain
from usps_token_broker.wire.usps import Shape, parse_error

_HEAD: Final = re.compile(
    r"(?:^[ \t]{0,99}|(?<=[}>]))HTTP/\d(?:\.\d)? (\d{3})(?: [^\n]*)?"
    r"(?=\Z|\n\Z|\n[ \t]*\n|\n[ \t]*[\w-]{1,64}:)",
    re.MULTILINE,
)
"""The status line of a head, which may stand right behind the body before it (`curl --retry`), and
in blanks (`wget -S`)."""
_STATUS_LINE: Final = re.compile(r"^HTTP/\d(?:\.\d)? (\d{3})(?: [^\n]*)?$", re.MULTILINE)
"""One without its head, as people shorten it."""
_BLANK: Final = re.compile(r"[ \t]*\n")
_LINE: Final = re.compile(r"[ \t]*([\w-]{1,64}): ?([^\n]*)\n?")
_REQUEST: Final = re.compile(r"^([A-Z]{3,10}) (\S{1,2048}) HTTP/\d[^\n]*\n", re.MULTILINE)
"""As HTTPie and `wget -d` print it."""
_REQUEST_LINE: Final = re.compile(r"^> ([A-Z]{3,10}) (\S{1,2048}) HTTP/", re.MULTILINE)
_TUNNEL: Final = re.compile(r"[ \t]*HTTP/\d(?:\.\d)? 200 connection established", re.IGNORECASE)
_SENT: Final = re.compile(r"^> ([\w-]{1,64}): ?([^\n]*)$", re.MULTILINE)
_GOT: Final = re.compile(r"^< ([\w-]{1,64}): ?([^\n]*)$", re.MULTILINE)
_GOT_STATUS: Final = re.compile(r"^< HTTP/\d(?:\.\d)? (\d{3})", re.MULTILINE)
_NOT_BODY: Final = re.compile(r"^(?:[<>*{}] |[<>*]$|\[[0-9]+ bytes data\]).*\n?", re.MULTILINE)
_LAST_WORDS: Final = re.compile(r"\bcurl: \(\d{1,3}\) [^\n]*\s*\Z")
_URL: Final = re.compile(r"https?://[^\s'\"<>]{1,2048}", re.IGNORECASE)
_STATUS: Final = re.compile(r"[1-5]\d\d")
_MOST_HEADERS: Final = 100
_STATUS_NAMES: Final = ("status", "statusCode", "status_code")
_BODY_NAMES: Final = ("body", "data", "text", "content")


@dataclass(frozen=True, slots=True)
class Transcript:
    """A call that failed, as far as it was told. Its texts are as they came."""

    status: int | None
    """None where nothing says it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    path: str = ""
    host: str = ""
    sent: Mapping[str, str] | None = None
    """The headers of the request by lower-case name; None where it is not told."""
    failure: Failure | None = None
    """Why there is no answer of USPS, or not all of it, where the program says so."""

    def __repr__(self) -> str:
        return f"<Transcript of a {self.status}>"


def read(text: str) -> Transcript:
    """The call that this text tells of."""
    text = plain(text)
    call, failure = _of_curl(text), read_failure(text)
    if call is not None and call.status is not None:
        is_whole = failure is None or not failure.code or call.status >= HTTPStatus.MULTIPLE_CHOICES
        if failure is None or (is_whole and not failure.is_of_proxy):
            return call if call.body else replace(call, failure=failure)
    elif failure is None and call is None:
        call = _of_words(text)
        failure = None if call.status is not None else read_library_failure(text)
    if failure is None:
        return call if call is not None else Transcript(None)
    path, host = _place(text)
    body = "" if failure.code else body_in(text)
    return Transcript(failure.status, path=path, host=host, body=body, failure=failure)


def _of_curl(text: str) -> Transcript | None:
    """What `curl -i` and `curl -v` print; without a status where no answer of USPS came."""
    if _GOT_STATUS.search(text):
        return _verbose(text)
    heads = list(_HEAD.finditer(text)) or list(_STATUS_LINE.finditer(text))
    return _plain(text[: heads[-1].start()], text[heads[-1].start() :]) if heads else None


def _of_words(text: str) -> Transcript:
    """A body, a report, the message of a library, or a line of a log with a body in it."""
    report = _of_report(text)
    if report is not None:
        return report
    body = body_in(text)
    status = read_status(text)
    if status is not None:
        path, host = _place(text)
        return Transcript(status, path=path, host=host, body=body)
    return Transcript(status_in(parse_error(body)), body=body or text.strip())


def _verbose(text: str) -> Transcript:
    """`curl -v`. Of several answers the last counts, and so does the request before it.

    What a proxy says to CONNECT is no answer of USPS, and neither is `100 Continue`.
    """
    *_, status = _GOT_STATUS.finditer(text)
    requests = [r for r in _REQUEST_LINE.finditer(text) if r.start() < status.start()]
    request = requests[-1] if requests else None
    if status[1].startswith("1") or (request is not None and request[1] == "CONNECT"):
        return Transcript(None)
    began = request.start() if request else 0
    sent = {name.lower(): value for name, value in _SENT.findall(text, began, status.start())}
    got = dict(_GOT.findall(text, status.start()))
    body = _NOT_BODY.sub("", text[status.start() :]).strip()
    *_, again = [None, *_HEAD.finditer(body)]
    if again is not None:  # with -i beside it, the head is there once more
        body = _plain("", body[again.start() :]).body
    _, told = _place(text[: status.start()])
    return Transcript(
        status=int(status[1]),
        headers=_few(got),
        body=body,
        path=request[2] if request else "",
        host=sent.get("host", "").strip() or told,
        sent=_few(sent) if request else None,
    )


def _plain(before: str, text: str) -> Transcript:
    """`curl -i`, HTTPie and wget, from the head that counts on, which is the last.

    Those of a proxy, to `Expect`, of redirects and of earlier attempts come before it.
    """
    status_line, _, rest = text.partition("\n")
    status = int(status_line.split()[1])
    headers, rest = _headers(rest)
    is_answer = status >= HTTPStatus.OK and not _TUNNEL.match(status_line)
    path, host = _place(before)
    sent = None
    *_, request = [None, *_REQUEST.finditer(before)]
    if request is not None:
        asked = {
            name.lower(): value for name, value in _headers(before[request.end() :])[0].items()
        }
        if "host" in asked:
            path, host, sent = request[2], asked["host"].strip(), asked
    return Transcript(
        status=status if is_answer else None,
        headers=headers,
        # wget has words of its own where the body should begin.
        body=_body(rest) if _BLANK.match(rest) else body_in(rest),
        path=path,
        host=host,
        sent=sent,
    )


def _body(text: str) -> str:
    """What follows a head, but for what a program has put around it (`wget -d`)."""
    text = _LAST_WORDS.sub("", text)
    is_odd = parse_error(text).shape is Shape.GARBAGE
    return (body_in(text) if is_odd else "") or text.strip()


def _headers(text: str) -> tuple[dict[str, str], str]:
    """The headers that this text begins with, and what follows them."""
    headers: dict[str, str] = {}
    at = 0
    while line := _LINE.match(text, at):
        headers[line[1]] = line[2]
        at = line.end()
    return _few(headers), text[at:]


def _of_report(text: str) -> Transcript | None:
    """A JSON object with a status, and with headers or a body."""
    try:
        value = msgspec.json.decode(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    status = next((value[name] for name in _STATUS_NAMES if name in value), None)
    body = next((value[name] for name in _BODY_NAMES if name in value), "")
    if not _STATUS.fullmatch(str(status)):
        return None
    headers, path, host = value.get("headers"), value.get("path"), value.get("host")
    told = headers if isinstance(headers, dict) else {}
    return Transcript(
        status=int(str(status)),
        headers=_few({str(k): str(v) for k, v in told.items()}),
        body=body if isinstance(body, str) else msgspec.json.encode(body).decode(),
        path=path if isinstance(path, str) else "",
        host=host if isinstance(host, str) else "",
    )


def _place(text: str) -> tuple[str, str]:
    """Path and host of the last URL in this text."""
    found = _URL.findall(text)
    if not found:
        return "", ""
    rest = found[-1].partition("://")[2]
    host, slash, path = rest.partition("/")
    return slash + path, host.rpartition("@")[2]


def _few(headers: Mapping[str, str]) -> dict[str, str]:
    return dict(list(headers.items())[:_MOST_HEADERS])
