"""What USPS says when it says no, whatever the shape: bytes in, one value out, never an error.

The shapes are those that USPS documents (OAuth 3.1.4, Payments 3.1.20, Labels 3.9.13) and those
that were seen in the wild: raw faults of its gateway, a body without any error key, pages of the
CDN in front of it.
"""

import enum
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

MAX_ANSWER_BYTES: Final = 256 * 1024
"""A real answer is below 10 KB; what is longer than this is not looked at."""

_MAX_ITEMS: Final = 20
_MAX_CODE: Final = 10**9
_MAX_SEARCHED_CHARS: Final = 20_000
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TITLE_CODE: Final = re.compile(r"[a-z]+(?:_[a-z]+)+")
_HTML_TITLE: Final = re.compile(r"<title[^>]{0,100}>([^<]*)", re.IGNORECASE)
_FIELD: Final = re.compile(
    r'"(code|message|title|detail|source|parameter|body|faultstring|errorcode'
    r'|error|error_description)"\s*:\s*"((?:[^"\\]|\\.)*+)("?)',
    re.DOTALL,
)
_CODE_NAMES: Final = frozenset({"error", "errorcode", "code"})
_PROSE_NAMES: Final = frozenset(
    {"message", "detail", "title", "error_description", "faultstring", "body"}
    | {"error", "errors", "description", "errormessage", "reason", "fault"}
)
"""The second line: as others than USPS write it."""
_MAX_STRINGS: Final = 200
_MAX_TEXT_CHARS: Final = 2000
_UNREADABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
_ENROLLED: Final = re.compile(r"\benroll?ed\b", re.IGNORECASE)
_GENERIC: Final = frozenset({"bad request", "unauthorized", "forbidden", "not found"})


_Named = tuple[str, str, bool]
"""A string, the name before it in lower case, and whether it is whole."""


class Shape(enum.StrEnum):
    """What kind of body an answer had."""

    OAUTH = "oauth"
    """`{"error": "…", "error_description": "…"}` of the token endpoint (RFC 6749 5.2)."""
    API = "api"
    """`{"apiVersion": "…", "error": {"code", "message", "errors": […]}}` of every other API."""
    FAULT = "fault"
    """`{"fault": {"faultstring", "detail": {"errorcode"}}}` of Apigee, the gateway product."""
    ENROLMENT = "enrolment"
    """`{"body": "CRID isn't enrolled in …", "roles": […]}` of payment-authorization."""
    JSON = "json"
    """Valid JSON of no shape that USPS is known for."""
    CUT = "cut"
    """The beginning of JSON, as far as it can be read."""
    HTML = "html"
    """A page, or anything else that begins with `<`."""
    TEXT = "text"
    """Words without any form, or a string of JSON."""
    EMPTY = "empty"
    GARBAGE = "garbage"
    COMPRESSED = "compressed"
    TOO_LARGE = "too_large"


USPS_SHAPES: Final = frozenset({Shape.OAUTH, Shape.API, Shape.FAULT, Shape.ENROLMENT})
"""The shapes that only USPS itself has."""


@dataclass(frozen=True, slots=True)
class UspsError:
    """An error of USPS. Its texts are as they came: redact them before anybody sees them."""

    code: str
    """`invalid_client`, `401`, `steps.raisefault.RaiseFault`; empty when there is none."""
    message: str
    """Everything said for people, each thing once."""
    sub_codes: tuple[str, ...]
    """Of the single errors: `160228`, `invalid_token`."""
    shape: Shape
    sources: tuple[str, ...] = ()
    """What USPS suspects: `Access Token`, `Header: X-Payment-Authorization-Token`, `roles`."""
    text: str = field(init=False, repr=False, compare=False)
    """All of it in lower case, to look for phrases in; bounded. Made once: many rules look."""

    def __post_init__(self) -> None:
        message = self.message[:_MAX_SEARCHED_CHARS]
        sources = (source[:_MAX_SEARCHED_CHARS] for source in self.sources)
        text = " | ".join((self.code, *self.sub_codes, message, *sources))[:_MAX_SEARCHED_CHARS]
        object.__setattr__(self, "text", text.lower())


def parse_error(body: bytes | str) -> UspsError:
    """The error in this body, whatever it holds; never raises."""
    if not body.strip():
        return UspsError("", "", (), Shape.EMPTY)
    if len(body) > MAX_ANSWER_BYTES:
        return UspsError("", "", (), Shape.TOO_LARGE)
    # Replacing what is not UTF-8 keeps the rest of the answer readable.
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    text = text.lstrip("\ufeff \t\r\n")
    if not text:
        return UspsError("", "", (), Shape.EMPTY)
    try:
        value = msgspec.json.decode(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return _of_no_json(text)
    return _of_json(value)


def _of_json(value: object) -> UspsError:
    if isinstance(value, str):
        return UspsError("", value[:_MAX_TEXT_CHARS].strip(), (), Shape.TEXT)
    found = _of_fields(value) if isinstance(value, dict) else UspsError("", "", (), Shape.JSON)
    if found.message or found.sub_codes:
        return found
    # Nothing where USPS writes it: its words count wherever they stand.
    anywhere = _of_strings(_strings(value), found.shape)
    return replace(anywhere, code=found.code or anywhere.code)


def error_of(headers: Mapping[str, str], body: bytes) -> UspsError:
    """The error in an answer to us. We ask for no compression, so a compressed body is not read."""
    if is_compressed(headers):
        return UspsError("", "", (), Shape.COMPRESSED)
    return parse_error(body)


def is_compressed(headers: Mapping[str, str]) -> bool:
    """Whether the answer says that its body is compressed."""
    return header(headers, "content-encoding").lower() not in {"", "identity"}


def header(headers: Mapping[str, str], name: str) -> str:
    """The value of this header without blanks around it, by its name in any case; else empty."""
    for key, value in headers.items():
        if key.lower() == name:
            return value.strip()
    return ""


def _of_fields(fields: Mapping[str, object]) -> UspsError:
    error, fault, body = fields.get("error"), fields.get("fault"), fields.get("body")
    if isinstance(fault, dict):
        detail = fault.get("detail")
        code = _code(detail.get("errorcode")) if isinstance(detail, dict) else ""
        return UspsError(code, _text(fault.get("faultstring")), (), Shape.FAULT)
    if isinstance(error, dict):
        return _of_api(error)
    if isinstance(error, str):
        code = _code(error)
        message = _text(fields.get("error_description"))
        others = ("" if code else error, fields.get("message"), fields.get("detail"))
        message = message or _sentences(map(_text, others))
        return UspsError(code, message, (), Shape.OAUTH)
    if isinstance(body, str) and ("roles" in fields or _ENROLLED.search(body)):
        return UspsError("", _text(body), (), Shape.ENROLMENT)
    said = (_text(fields.get(key)) for key in ("message", "detail", "title", "body"))
    return UspsError(_code(fields.get("code")), _sentences(said), (), Shape.JSON)


def _of_api(error: Mapping[str, object]) -> UspsError:
    listed = error.get("errors")
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    items = items[:_MAX_ITEMS]
    texts = [_text(error.get("message"))]
    sub_codes: list[str] = []
    sources: list[str] = []
    for item in items:
        title = _text(item.get("title"))
        is_code = _TITLE_CODE.fullmatch(title) is not None
        sub_codes += filter(None, (_code(item.get("code")), _code(title) if is_code else ""))
        detail = _text(item.get("detail"))
        texts = [text for text in texts if not detail.startswith(text.rstrip(". "))]
        texts += [detail, "" if is_code or detail.startswith(title) else title]
        sources.append(_source(item.get("source")))
    return UspsError(
        code=_code(error.get("code")),
        message=_sentences(texts),
        sub_codes=_distinct(sub_codes),
        shape=Shape.API,
        sources=_distinct(sources),
    )


def _source(source: object) -> str:
    """A string in what the gateway answers, an object in what the APIs do."""
    return _text(source.get("parameter")) if isinstance(source, dict) else _text(source)


def _of_no_json(text: str) -> UspsError:
    if text.startswith("<"):
        title = _HTML_TITLE.search(text)
        return UspsError("", title[1].strip() if title else "", (), Shape.HTML)
    if text.startswith(("{", "[")):
        return _of_cut(text)
    if _UNREADABLE.search(text) is None:
        return UspsError("", text[:_MAX_TEXT_CHARS].strip(), (), Shape.TEXT)
    return UspsError("", "", (), Shape.GARBAGE)


def _of_cut(text: str) -> UspsError:
    """JSON that ends too soon: the strings whose names mean something, in their order.

    Of the string in which it ends the words count, but half a code is none.
    """
    found = [(name, _unescaped(value), bool(end)) for name, value, end in _FIELD.findall(text)]
    return _of_strings(found, Shape.CUT) if found else UspsError("", "", (), Shape.GARBAGE)


def _strings(value: object) -> list[_Named]:
    """The strings in a value of JSON, in their order, each by the nearest name above it."""
    found: list[_Named] = []
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting and len(found) < _MAX_STRINGS:
        name, each = waiting.pop()
        if isinstance(each, dict):
            waiting += [(key.lower(), below) for key, below in reversed(each.items())]
        elif isinstance(each, list):
            waiting += [(name, below) for below in reversed(each[:_MAX_ITEMS])]
        elif isinstance(each, str | int) and not isinstance(each, bool):
            found.append((name, str(each).strip(), True))
    return found


def _of_strings(found: list[_Named], shape: Shape) -> UspsError:
    codes = [
        _code(value)
        for name, value, is_whole in found
        if is_whole and (name in _CODE_NAMES or (name == "title" and _TITLE_CODE.fullmatch(value)))
    ]
    code, *sub_codes = list(_distinct(codes)) or [""]
    return UspsError(
        code=code,
        message=_sentences(
            value
            for name, value, _ in found
            if name in _PROSE_NAMES and not _TITLE_CODE.fullmatch(value) and value not in codes
        ),
        sub_codes=tuple(sub_codes[:_MAX_ITEMS]),
        shape=shape,
        sources=_distinct(value for name, value, _ in found if name in {"source", "parameter"}),
    )


def _unescaped(value: str) -> str:
    if "\\" not in value:  # nearly always, and a hostile body has hundreds of them
        return value
    try:
        return str(json.loads(f'"{value}"', strict=False))
    except ValueError:  # It ends within an escape.
        return value


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _code(value: object) -> str:
    """A code is a word or a number; anything else that stands in its place is none."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_CODE
    text = str(value) if is_number else _text(value)
    return text if _CODE.fullmatch(text) else ""


def _sentences(texts: Iterable[str]) -> str:
    """The texts after each other, each once; what only names the status goes if others say more."""
    said = _distinct(text.rstrip(". ") for text in texts)
    telling = [text for text in said if text.lower() not in _GENERIC]
    return ". ".join(telling or said)


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Without empty ones and repetitions, in order."""
    return tuple(dict.fromkeys(_not_empty(texts)))


def _not_empty(texts: Iterable[str]) -> Iterator[str]:
    return (text for text in texts if text)
