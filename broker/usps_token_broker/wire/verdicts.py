"""What USPS answered a worker: what it means, what to do, and whether a token of ours is to blame.

Only a 401 that nothing else explains costs a renewal, and so does a refusal that calls the payment
token dead by name. Everything else would come back with any token: it costs none.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from usps_token_broker.wire.redaction import redact
from usps_token_broker.wire.refusals import quote
from usps_token_broker.wire.usps import parse_error
from usps_token_broker.wire.verdict_rules import (
    RULES,
    Seen,
    VerdictCode,
    names_payment_token,
    said,
)

MAX_BODY_CHARS: Final = 8192
"""Workers send the first 4 KB."""

_MAX_HOST_CHARS: Final = 100
_MAX_PATH_CHARS: Final = 2048
_URL: Final = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)
_PORT: Final = re.compile(r":(\d{1,5})$")
_DEFAULT_PORTS: Final = frozenset({"80", "443"})

PAYMENT_SEGMENTS: Final = frozenset(
    {"labels", "international-labels", "pmod", "returns", "return-label", "indicia"}
)
"""A path with one of these needs the payment token (USPS Labels 3.9.13 and Payments 3.1.20: labels,
international labels, returns, indicia, Open and Distribute)."""


class Blames(enum.StrEnum):
    """Which token of ours may be dead."""

    NOTHING = "nothing"
    BEARER = "bearer"
    BEARER_THEN_PAYMENT = "bearer_then_payment"
    """A label call: either may be dead, and the bearer is renewed first."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a worker says that USPS answered it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    """The first 4 KB, so it may end in the middle of its JSON."""
    path: str = ""
    """The path that was called, or the whole URL."""
    host: str | None = None
    """The host that was called, if the worker says."""
    app_host: str = ""
    """The host of the app whose tokens were used."""
    payment_sent: bool = False
    """Whether the call carried a payment token."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means. `detail` and `fix` are for people and hold no secret."""

    code: VerdictCode
    detail: str
    fix: str
    blames: Blames = Blames.NOTHING
    reason: str = ""
    """The row of the catalogue."""


def judge(answered: Answered) -> Verdict:
    """What this answer means; never raises."""
    seen = _see(answered)
    rule = next(rule for rule in RULES if rule.holds(seen))
    row = rule.row(seen)
    detail = said(rule.detail, seen, row.cause)
    if seen.status >= HTTPStatus.MULTIPLE_CHOICES:
        detail += f"; USPS answered {seen.status}{quote(seen.error)}"
    return Verdict(
        code=rule.code,
        detail=redact(detail),
        fix=said(rule.fix, seen, row.fix),
        blames=_blames(rule.code, seen),
        reason=row.code,
    )


def _blames(code: VerdictCode, seen: Seen) -> Blames:
    if code is VerdictCode.PAYMENT_TOKEN_DEAD:
        return Blames.BEARER_THEN_PAYMENT
    if code is not VerdictCode.TOKEN_DEAD:
        return Blames.NOTHING
    needs_both = seen.on_label or names_payment_token(seen)
    return Blames.BEARER_THEN_PAYMENT if needs_both and seen.payment_sent else Blames.BEARER


def _see(answered: Answered) -> Seen:
    path = answered.path[:_MAX_PATH_CHARS]
    url = _URL.match(path)
    path = path[url.end() :] if url else path
    segments = frozenset(re.split(r"[?#]", path, maxsplit=1)[0].lower().split("/"))
    own_host = bare_host(answered.app_host)
    called_host = bare_host(answered.host or (url[1] if url else ""))
    return Seen(
        status=answered.status,
        headers=answered.headers,
        error=parse_error(answered.body[:MAX_BODY_CHARS]),
        segments=segments,
        own_host=redact(own_host, limit=_MAX_HOST_CHARS),
        called_host=redact(called_host, limit=_MAX_HOST_CHARS),
        hosts_differ=_differ(own_host, called_host),
        payment_sent=answered.payment_sent,
        on_label=not segments.isdisjoint(PAYMENT_SEGMENTS),
    )


def bare_host(text: str) -> str:
    """Host and port of a host, an authority or a URL, without what changes nothing."""
    text = text[:_MAX_PATH_CHARS].strip()
    url = _URL.match(text)
    host = (url[1] if url else text).rpartition("@")[2].partition("/")[0].lower()
    port = _PORT.search(host)
    if port and port[1] in _DEFAULT_PORTS:
        host = host[: port.start()]
    return host.rstrip(".")


def _differ(one: str, other: str) -> bool:
    """Whether they are two hosts. A port counts only where both have one."""
    if not one or not other or one == other:
        return False
    if _PORT.search(one) and _PORT.search(other):
        return True
    return _PORT.sub("", one) != _PORT.sub("", other)
