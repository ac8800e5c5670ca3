"""What a person pastes of a call that failed, read as far as it can be: never an error.

Taken are the output of `curl -i` and `curl -v`, what curl says of a call that got no answer, a
report as in `POST /v1/answers`, the bare body of an answer, and the messages of Python's HTTP
libraries.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from usps_token_broker.wire.curl_failures import Failure, read_failure
from usps_token_broker.wire.usps import Shape, UspsError, parse_error

MOST_CHARS: Final = 64 * 1024
"""Of a longer text the rest is not looked at."""

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
_PROGRESS: Final = re.compile(
    r"^ {1,4}% Total {1,9}%[^\n]{0,200}\n {9,60}Dload[^\n]{0,200}\n|\r[ \d.kMGTP:-]{60,100}\n?",
    re.MULTILINE,
)
"""curl's meter, which it shows when its output goes into a pipe: before and amidst the answer."""
_STATUS_LINE: Final = re.compile(r"^HTTP/\d(?:\.\d)? (\d{3})(?: [^\n]*)?$", re.MULTILINE)
_REQUEST_LINE: Final = re.compile(r"^> ([A-Z]{3,10}) (\S{1,2048}) HTTP/", re.MULTILINE)
_TUNNEL: Final = re.compile(r"HTTP/\d(?:\.\d)? 200 connection established", re.IGNORECASE)
_SENT: Final = re.compile(r"^> ([\w-]{1,64}): ?([^\n]*)$", re.MULTILINE)
_GOT: Final = re.compile(r"^< ([\w-]{1,64}): ?([^\n]*)$", re.MULTILINE)
_GOT_STATUS: Final = re.compile(r"^< HTTP/\d(?:\.\d)? (\d{3})", re.MULTILINE)
_NOT_BODY: Final = re.compile(r"^(?:[<>*{}] |[<>*]$|\[[0-9]+ bytes data\]).*\n?", re.MULTILINE)
_URL: Final = re.compile(r"https?://[^\s'\"<>]{1,2048}", re.IGNORECASE)
_HEADER: Final = re.compile(r"([\w-]{1,64}): ?(.*)")
_MESSAGES: Final = (
    # httpx, then requests and urllib3, then aiohttp, as they word a status.
    re.compile(r"error '(\d{3}) [^']{0,100}' for url", re.IGNORECASE),
    re.compile(r"\b(\d{3}) (?:Client|Server) Error: ", re.IGNORECASE),
    re.compile(r"ClientResponseError: (\d{3}), "),
)
_STATUS_BY_CODE: Final = {
    "invalid_client": 401,
    "invalid_token": 401,
    "insufficient_scope": 401,
    "unauthorized_client": 401,
}
_CODE_OF_LIST: Final = re.compile(r"\d{6}")
_STATUS: Final = re.compile(r"[1-5]\d\d")
_MOST_HEADERS: Final = 100


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
    """Why there is no answer of USPS, where curl says so."""

    def __repr__(self) -> str:
        return f"<Transcript of a {self.status}>"


def read(text: str) -> Transcript:
    """The call that this text tells of."""
    text = _COLOUR.sub("", text[:MOST_CHARS]).replace("\r\n", "\n").lstrip("\ufeff")
    text = _PROGRESS.sub("", text)
    call, failure = _of_curl(text), read_failure(text)
    is_answered = call is not None and call.status is not None
    if failure is not None and (not is_answered or failure.is_of_proxy):
        path, host = _place(text)
        return Transcript(failure.status, path=path, host=host, failure=failure)
    return _of_words(text) if call is None else call


def _of_curl(text: str) -> Transcript | None:
    """What `curl -i` and `curl -v` print; without a status where no answer of USPS came."""
    if _GOT_STATUS.search(text):
        return _verbose(text)
    first = _STATUS_LINE.search(text)
    return None if first is None else _plain(text[: first.start()], text[first.start() :])


def _of_words(text: str) -> Transcript:
    """A body, a report or the message of a library."""
    if text.lstrip().startswith("{"):
        return _of_json(text.strip())
    for message in _MESSAGES:
        found = message.search(text)
        if found is not None:
            path, host = _place(text)
            return Transcript(int(found[1]), path=path, host=host, body=_object_in(text))
    return Transcript(None, body=text.strip())


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
    if _STATUS_LINE.match(body):  # with -i beside it, the head is there once more
        body = _plain("", body).body
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
    """`curl -i`. Answers of a proxy, to `Expect`, and redirects come before the one that counts."""
    head, _, body = text.partition("\n\n")
    while _STATUS_LINE.match(body):
        head, _, body = body.partition("\n\n")
    lines = head.split("\n")
    found = (_HEADER.fullmatch(line) for line in lines[1:])
    headers = {match[1]: match[2] for match in found if match is not None}
    status = _STATUS_LINE.match(lines[0])
    is_answer = status is not None and status[1] >= "200" and not _TUNNEL.match(lines[0])
    path, host = _place(before)
    return Transcript(
        status=int(status[1]) if status and is_answer else None,
        headers=_few(headers),
        body=body.strip(),
        path=path,
        host=host,
    )


def _of_json(text: str) -> Transcript:
    try:
        value = msgspec.json.decode(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return _of_body(text)
    if not isinstance(value, dict) or not isinstance(value.get("status"), int):
        return _of_body(text)
    body, headers = value.get("body", ""), value.get("headers")
    told = headers if isinstance(headers, dict) else {}
    path, host = value.get("path"), value.get("host")
    return Transcript(
        status=value["status"],
        headers=_few({str(k): str(v) for k, v in told.items()}),
        body=body if isinstance(body, str) else msgspec.json.encode(body).decode(),
        path=path if isinstance(path, str) else "",
        host=host if isinstance(host, str) else "",
    )


def _of_body(text: str) -> Transcript:
    """A body alone: USPS repeats the status in most of them."""
    return Transcript(status_in(parse_error(text)), body=text)


def status_in(error: UspsError) -> int | None:
    """The status that an answer with this error had, where the error itself tells."""
    if _STATUS.fullmatch(error.code):
        return int(error.code)
    for code in (error.code, *error.sub_codes):
        if code in _STATUS_BY_CODE:
            return _STATUS_BY_CODE[code]
        if _CODE_OF_LIST.fullmatch(code):
            return 400
    if error.shape is Shape.ENROLMENT:
        return 400
    return 401 if error.shape is Shape.FAULT and "oauth" in error.code.lower() else None


def _place(text: str) -> tuple[str, str]:
    """Path and host of the last URL in this text."""
    found = _URL.findall(text)
    if not found:
        return "", ""
    rest = found[-1].partition("://")[2]
    host, slash, path = rest.partition("/")
    return slash + path, host.rpartition("@")[2]


def _object_in(text: str) -> str:
    """What may be the body in the message of a library."""
    begin = text.find("{")
    return text[begin:].strip() if begin >= 0 else ""


def _few(headers: Mapping[str, str]) -> dict[str, str]:
    return dict(list(headers.items())[:_MOST_HEADERS])
