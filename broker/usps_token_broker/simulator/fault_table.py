"""Every fault the simulator can play: the one source for the command line, /sim/ and the docs.

A fault has a stage, the moment at which it shows. Faults of different stages combine (a `delay`
and then a `server_error`); of two that give another answer in place of the real one, the older
goes first. What a fault does is written in `effects` and `twists`, under the same name.
"""

import enum
import textwrap
from dataclasses import dataclass
from typing import Final

from usps_token_broker.simulator.fault_values import (
    LONGEST_SECONDS,
    NO_VALUE,
    Choice,
    FaultError,
    Number,
    Text,
    Value,
)
from usps_token_broker.simulator.names import Api


class Stage(enum.Enum):
    """The moment of a call at which a fault shows."""

    BEFORE = "before the request is looked at"
    INSTEAD = "an answer in place of the real one"
    GRANT = "in the token that is granted"
    CLOCK = "in every time USPS writes"
    SENDING = "while the real answer is sent"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row of the table."""

    name: str
    stage: Stage
    apis: tuple[Api, ...]
    effect: str
    value: Value | None = None


EVERY: Final = tuple(Api)
GRANTING: Final = (Api.TOKEN, Api.PAYMENT)
WITH_BEARER: Final = (Api.PAYMENT, Api.ADDRESSES, Api.LABELS)

BEARER_REFUSALS: Final = (
    "expired",
    "revoked",
    "malformed",
    "insufficient_scope",
    "other_host",
    "product",
)
CLIENT_REFUSALS: Final = ("unknown_key", "wrong_secret", "other_product")
ACCOUNT_STATES: Final = tuple(str(code) for code in range(100_001, 100_008))
LABEL_REFUSALS: Final = ("160302", "160303", "160369", "160259")


def _seconds(default: float, least: float = 0.0) -> Number:
    return Number("SECONDS", default, least, LONGEST_SECONDS)


def _retry_after(default: float | str) -> Number:
    return Number("RETRY_AFTER", default, 0.0, LONGEST_SECONDS, may_be_none=True)


def _status(default: float, least: float = 200.0) -> Number:
    return Number("STATUS", default, least, 599.0)


_ROWS: Final = (
    FaultKind("delay", Stage.BEFORE, EVERY, "answers so much later", _seconds(1.0)),
    FaultKind("hang", Stage.BEFORE, EVERY, "takes the request and never answers"),
    FaultKind(
        "hold",
        Stage.BEFORE,
        EVERY,
        "takes the request and answers as usual once the fault is taken away, used up or not",
    ),
    FaultKind("reset", Stage.BEFORE, EVERY, "takes the request and resets the connection (RST)"),
    FaultKind("server_error", Stage.INSTEAD, EVERY, "a 500 in USPS's shape", _status(500.0, 500.0)),
    FaultKind(
        "unavailable",
        Stage.INSTEAD,
        EVERY,
        "a 503, with Retry-After where one is given",
        _retry_after(NO_VALUE),
    ),
    FaultKind(
        "rate_limited",
        Stage.INSTEAD,
        EVERY,
        "a 429 with Retry-After; the token endpoint says error: invalid_request in its body",
        _retry_after(30.0),
    ),
    FaultKind(
        "rate_limited_until",
        Stage.INSTEAD,
        EVERY,
        "the same with Retry-After as a date so far ahead (RFC 9110 allows it, USPS was not seen)",
        _seconds(30.0),
    ),
    FaultKind("html", Stage.INSTEAD, EVERY, "a page in place of JSON", _status(200.0)),
    FaultKind("blocked", Stage.INSTEAD, EVERY, "the CDN's 403 page, Access Denied"),
    FaultKind("not_json", Stage.INSTEAD, EVERY, "a 200 that says JSON and holds half of one"),
    FaultKind("empty_body", Stage.INSTEAD, EVERY, "an answer without a body", _status(200.0)),
    FaultKind(
        "gateway_fault",
        Stage.INSTEAD,
        EVERY,
        'a raw Apigee body, {"fault": …}',
        _status(500.0, 400.0),
    ),
    FaultKind(
        "redirect",
        Stage.INSTEAD,
        EVERY,
        "a 302 to there (a client may follow it as GET)",
        Text("LOCATION", "/redirected"),
    ),
    FaultKind(
        "redirect_307",
        Stage.INSTEAD,
        EVERY,
        "a 307 to there (a client that follows sends body and headers again)",
        Text("LOCATION", "/redirected"),
    ),
    FaultKind(
        "huge_body",
        Stage.INSTEAD,
        EVERY,
        "a 200 with a body of so many megabytes",
        Number("MEGABYTES", 100.0, 0.001, 10_000.0),
    ),
    FaultKind(
        "invalid_client",
        Stage.INSTEAD,
        (Api.TOKEN,),
        "a 401 that refuses the credentials",
        Choice("WHY", "unknown_key", CLIENT_REFUSALS),
    ),
    FaultKind(
        "unauthorized",
        Stage.INSTEAD,
        WITH_BEARER,
        "a 401 that refuses a good bearer",
        Choice("WHY", "expired", BEARER_REFUSALS),
    ),
    FaultKind(
        "contract_refused",
        Stage.INSTEAD,
        (Api.ADDRESSES, Api.LABELS),
        "a 403 about the contract or licence, which no new token mends",
    ),
    FaultKind(
        "not_enrolled",
        Stage.INSTEAD,
        (Api.PAYMENT,),
        "a 400 without an error key: CRID isn't enrolled in USPS Ship Outbound",
    ),
    FaultKind(
        "account_state",
        Stage.INSTEAD,
        (Api.PAYMENT,),
        "a 400 about the payment account",
        Choice("CODE", "100002", ACCOUNT_STATES),
    ),
    FaultKind(
        "label_refused",
        Stage.INSTEAD,
        (Api.LABELS,),
        "a 400 that names the payment token or what it stands for",
        Choice("CODE", "160302", LABEL_REFUSALS),
    ),
    FaultKind(
        "missing_scope",
        Stage.GRANT,
        (Api.TOKEN,),
        "grants bearers without this scope",
        Text("SCOPE", "payments"),
    ),
    FaultKind(
        "revoked_early",
        Stage.GRANT,
        GRANTING,
        "the token granted dies so soon, whatever it says",
        _seconds(5.0),
    ),
    FaultKind(
        "revoke_on_renewal",
        Stage.GRANT,
        GRANTING,
        "a new token kills the older ones of its app",
    ),
    FaultKind(
        "short_life",
        Stage.GRANT,
        GRANTING,
        "grants tokens of this life",
        Number("SECONDS", 60.0, 2.0, LONGEST_SECONDS),
    ),
    FaultKind(
        "past_end",
        Stage.GRANT,
        GRANTING,
        "grants a token whose life is this, so over already (expires_in, and the JWT's exp)",
        Number("EXPIRES_IN", 0.0, -LONGEST_SECONDS, 0.0),
    ),
    FaultKind("no_token", Stage.GRANT, GRANTING, "a 200 without the token"),
    FaultKind("no_expires_in", Stage.GRANT, (Api.TOKEN,), "a 200 without expires_in"),
    FaultKind(
        "string_numbers",
        Stage.GRANT,
        (Api.TOKEN,),
        'issued_at and expires_in as strings, "28799"',
    ),
    FaultKind("line_breaks", Stage.GRANT, GRANTING, r"a token with \r\n in it"),
    FaultKind("opaque_token", Stage.GRANT, GRANTING, "a token that is no JWT"),
    FaultKind("same_token", Stage.GRANT, GRANTING, "the token granted last, once more"),
    FaultKind(
        "wrong_clock",
        Stage.CLOCK,
        EVERY,
        "Date, issued_at, iat and exp are off by so much",
        _seconds(3600.0, -LONGEST_SECONDS),
    ),
    FaultKind(
        "cut_body",
        Stage.SENDING,
        EVERY,
        "does what was asked, sends half of the answer and closes",
    ),
    FaultKind(
        "drip",
        Stage.SENDING,
        EVERY,
        "sends the body byte by byte, with so much time between",
        _seconds(0.5, 0.001),
    ),
)

FAULTS: Final = {row.name: row for row in _ROWS}


def kind_of(name: object) -> FaultKind:
    """The row of this name.

    Raises:
        FaultError: There is none; the text lists those there are.
    """
    found = FAULTS.get(name) if isinstance(name, str) else None
    if found is None:
        raise FaultError(f"there is no fault {name!r}; there are: {', '.join(FAULTS)}")
    return found


def table_text(width: int = 96) -> str:
    """The table for people: what each fault does, grouped by where it can happen."""
    groups: dict[tuple[Api, ...], list[FaultKind]] = {}
    for kind in FAULTS.values():
        groups.setdefault(kind.apis, []).append(kind)
    lines = []
    for apis, kinds in groups.items():
        lines.append(f"at {'every endpoint' if apis == EVERY else ', '.join(apis)}:")
        lines.extend(line for kind in kinds for line in _row_text(kind, width))
    return "\n".join(lines)


def _row_text(kind: FaultKind, width: int) -> list[str]:
    left, right = kind.name, kind.effect
    if kind.value is not None:
        left += f"={kind.value.label}"
        options = kind.value.options if isinstance(kind.value, Choice) else ()
        said = [f"{kind.value.label} is {', '.join(options)}"] if options else []
        default = kind.value.default
        said.append(f"default {default if isinstance(default, str) else f'{default:g}'}")
        right += f" ({'; '.join(said)})"
    indent = " " * 30
    return textwrap.wrap(right, width, initial_indent=f"  {left:<27} ", subsequent_indent=indent)
