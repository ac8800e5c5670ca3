"""Refusals of the broker itself, and messages of its clients: not to be taken for USPS's."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec

from usps_token_broker.catalogue import CATALOGUE
from usps_token_broker.wire import stand_in
from usps_token_broker.wire.transcripts import Transcript
from usps_token_broker.wire.usps import header, parse_error

LOCAL_KEY: Final = "local_key_wrong"
_NAMED: Final = re.compile(r"\[([a-z_]{3,64}|\d{6})(?:: ([a-z_]{3,64}|\d{6}))?\]")
_LOGGED: Final = re.compile(
    r'"slot": ?"[^"\n]{1,200}", ?"reason": ?"([a-z_]{3,64}|\d{6})"'
    r"|\bUSPS_REASON=([a-z_]{3,64}|\d{6})"
)
"""In a line of the broker's log, as JSON or as a field of the journal."""
_BEGINS: Final = re.compile(r"(?:^|\. )([a-z_]{3,64}|\d{6}): ")
"""The detail of a refusal of the door, whose title may stand before it."""


@dataclass(frozen=True, slots=True)
class Own:
    """What the broker said: a code of the catalogue, and its texts, empty where there are none."""

    code: str
    detail: str = ""
    fix: str = ""


def read(call: Transcript, text: str) -> Own | None:
    """What the broker or a client of it said here; None where it was somebody else."""
    found = _problem(call.body) or _problem(text) or _of_door(call)
    if found is not None or (call.status is not None and not _is_worded(call, text)):
        return found
    for names in reversed(_NAMED.findall(text) or _LOGGED.findall(text)):
        code = _known(*names)
        if code is not None:
            return Own(code)
    return None


def _is_worded(call: Transcript, text: str) -> bool:
    """Whether a library quotes the reason phrase that our clients give to a 401 of USPS."""
    return not call.body and not call.headers and "Unauthorized: " in text


def _problem(body: str) -> Own | None:
    """A problem document (RFC 9457), as `wire.problems` writes it."""
    try:
        value: Any = msgspec.json.decode(body.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("type") != "about:blank" or "fix" not in value:
        return None
    code, reason, detail, fix = (value.get(key) for key in ("code", "reason", "detail", "fix"))
    known = _known(code, reason)
    if known is None:
        return None
    return Own(
        known, detail if isinstance(detail, str) else "", fix if isinstance(fix, str) else ""
    )


def _of_door(call: Transcript) -> Own | None:
    """A refusal of the calls of USPS that the broker serves to programs with a local key."""
    said = parse_error(call.body).message
    realm = stand_in.REALM in header(call.headers, "www-authenticate")
    if realm or any(words in said for words in stand_in.OWN_WORDS):
        return Own(LOCAL_KEY, said)
    if call.status not in {None, HTTPStatus.SERVICE_UNAVAILABLE}:
        return None
    begins = _BEGINS.search(said)
    code = _known(begins[1]) if begins is not None else None
    return None if code is None else Own(code, said)


def _known(*names: object) -> str | None:
    """The last of these names that the catalogue has."""
    return next((n for n in reversed(names) if isinstance(n, str) and n in CATALOGUE), None)
