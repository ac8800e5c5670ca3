"""Every call of the local interface: its path, what it takes, and how it can be answered.

The one list of them: requests are routed by it, the OpenAPI document is made of it, and the tables
of the README are compared with it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from usps_token_broker.core.outcomes import Code
from usps_token_broker.wire import events, explanations, keys, messages, orders, status
from usps_token_broker.wire.keys import Key

JSON: Final = "application/json"
TEXT: Final = "text/plain"
LINES: Final = "application/x-ndjson"
"""JSON objects, one a line (github.com/ndjson/ndjson-spec)."""
METRICS: Final = "text/plain; version=0.0.4"
"""The Prometheus text format, as exporters announce it."""
OPEN_METRICS: Final = "application/openmetrics-text"
PROBLEM: Final = "application/problem+json"

ALWAYS: Final = frozenset(
    {
        Code.BAD_REQUEST,
        Code.TOO_LARGE,
        Code.FORBIDDEN,
        Code.TOO_MANY_REQUESTS,
        Code.NOT_READY,
    }
)
"""What any call may be answered: before it is understood, or where a bug of ours is met."""
_UPSTREAM: Final = frozenset(
    {
        Code.CREDENTIALS_REFUSED,
        Code.PAYMENT_REFUSED,
        Code.SCOPE_MISSING,
        Code.UPSTREAM_UNAVAILABLE,
        Code.UPSTREAM_RATE_LIMITED,
        Code.BUDGET_EXHAUSTED,
        Code.RESTARTING,
    }
)
_NAMED: Final = frozenset({Code.UNKNOWN_APP, Code.UNKNOWN_SLOT, Code.PAYMENT_NOT_CONFIGURED})
_SLOT: Final = "{slot}"
_NO_SLOT: Final = frozenset({Code.NOT_FOUND})
"""A slot has no slash in its name: a path with one more is another path."""
_NO_ADMINISTRATOR: Final = frozenset({Code.NOT_FOUND})
"""What is for administrators is not there for others."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One way to answer without a problem: a status, and the forms of the body."""

    status: int
    meaning: str
    bodies: Mapping[str, Any]
    """Messages by media type, of each line where it is lines; None where it is text, empty where
    there is no body."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. A GET serves HEAD as well."""

    name: str
    method: str
    path: str
    summary: str
    answers: tuple[Answer, ...]
    codes: frozenset[Code] = frozenset()
    """Problems beside those that any call may be answered."""
    query: tuple[Key, ...] = ()
    body: type | None = None
    takes_text: bool = False
    """Its body is plain text, whatever is in it."""
    admin: bool = False
    """Served on the admin socket only."""

    @property
    def all_codes(self) -> frozenset[Code]:
        """Every problem this call may be answered."""
        return self.codes | ALWAYS

    @property
    def is_conditional(self) -> bool:
        """Whether it has an `ETag` and obeys `If-None-Match`."""
        return _UNCHANGED in self.answers

    @property
    def names_slot(self) -> bool:
        """Whether its path names a slot."""
        return _SLOT in self.path

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods it is asked by."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


def _ok(meaning: str, body: type, **forms: type | None) -> Answer:
    return Answer(200, meaning, {JSON: body, **forms})


_UNCHANGED: Final = Answer(304, "what the client has, by its `If-None-Match`, is still the one", {})

OPERATIONS: Final = (
    Operation(
        "readToken",
        "GET",
        "/v1/tokens/{slot}",
        "A token, as JSON or bare; waits for a flight when there is none",
        (
            Answer(200, "the token", {JSON: messages.TokenMessage, TEXT: None}),
            _UNCHANGED,
        ),
        _NAMED | _UPSTREAM | _NO_SLOT,
        (keys.APP, keys.MIN_VALID, keys.WAIT, keys.SCOPE),
    ),
    Operation(
        "readHeaders",
        "GET",
        "/v1/headers",
        "One consistent set of request headers, as JSON or as lines for `curl -H @-`",
        (
            Answer(200, "the headers", {JSON: messages.HeadersMessage, TEXT: None}),
            _UNCHANGED,
        ),
        _NAMED | _UPSTREAM,
        (keys.APP, keys.PAYMENT, keys.MIN_VALID, keys.WAIT, keys.SCOPE),
    ),
    Operation(
        "reportAnswer",
        "POST",
        "/v1/answers",
        "What USPS answered a worker: says what it means, renews what is dead",
        (
            _ok(
                "what it means, what came of it, and the headers to go on with",
                messages.VerdictMessage,
            ),
        ),
        _NAMED | {Code.RESTARTING},
        (keys.APP, keys.WAIT),
        messages.AnswerReport,
    ),
    Operation(
        "explain",
        "POST",
        "/v1/explanations",
        "What an error is: its code, or what `curl -i` printed, as plain text; changes nothing",
        (_ok("the row of the catalogue", explanations.ExplanationMessage),),
        frozenset({Code.UNKNOWN_APP}),
        query=(keys.EXPLAINED_APP,),
        takes_text=True,
    ),
    Operation(
        "readCatalogue",
        "GET",
        "/v1/explanations",
        "Every error that has a name: symptom, cause, fix and who can fix it",
        (_ok("the catalogue", explanations.CatalogueMessage),),
    ),
    Operation(
        "readStatus",
        "GET",
        "/v1/status",
        "How every token stands that this peer may read; no secret in it",
        (_ok("the state", status.StatusMessage),),
        frozenset({Code.UNKNOWN_APP}),
        (keys.ANY_APP,),
    ),
    Operation(
        "followEvents",
        "GET",
        "/v1/events",
        "How every token stands that this peer may read, then each change; no secret in it",
        (
            Answer(
                200, "the state, then each change, one JSON object a line", {LINES: events.Event}
            ),
        ),
        frozenset({Code.UNKNOWN_APP}),
        (keys.ANY_APP,),
    ),
    Operation(
        "readHealth",
        "GET",
        "/healthz",
        "Whether the core loop makes progress",
        (
            _ok("it does", status.AliveMessage),
            Answer(503, "it does not", {JSON: status.AliveMessage}),
        ),
    ),
    Operation(
        "readReadiness",
        "GET",
        "/readyz",
        "Whether every required token is good, or the one named",
        (
            _ok("all are", status.ReadyMessage),
            Answer(503, "some are not", {JSON: status.ReadyMessage}),
        ),
        _NAMED,
        (keys.ANY_APP, keys.READY_SLOT, keys.READY_MIN_VALID),
    ),
    Operation(
        "readMetrics",
        "GET",
        "/metrics",
        "The same as figures for Prometheus, of the slots that this peer may read; no secret in it",
        (Answer(200, "the figures", {METRICS: None, OPEN_METRICS: None}),),
    ),
    Operation(
        "readOpenApi",
        "GET",
        "/openapi.json",
        "This interface as an OpenAPI document; on the admin socket all of it",
        (_ok("the document", dict),),
    ),
    Operation(
        "readUnrecognised",
        "GET",
        "/v1/unrecognised",
        "Answers of USPS that no row of the catalogue knows, redacted",
        (_ok("a few of them", explanations.UnrecognisedMessage),),
        _NO_ADMINISTRATOR,
        admin=True,
    ),
    Operation(
        "renewToken",
        "POST",
        "/v1/tokens/{slot}/renewals",
        "Another token now, within the budget; the present one stays until it is there",
        (_ok("another token is in use", orders.RenewalMessage),),
        _NAMED | _UPSTREAM | _NO_SLOT,
        (keys.APP, keys.WAIT),
        admin=True,
    ),
    Operation(
        "reload",
        "POST",
        "/v1/reload",
        "Read the configuration and the secrets again, all or nothing",
        (_ok("what has changed", orders.ReloadMessage),),
        frozenset({Code.CONFIG_INVALID}) | _NO_ADMINISTRATOR,
        (keys.PROOF_WAIT,),
        admin=True,
    ),
    Operation(
        "forgetTokens",
        "POST",
        "/v1/forget",
        "Drop tokens, and what is known against asking for others",
        (_ok("what was dropped", orders.ForgottenMessage),),
        _NAMED | _NO_ADMINISTRATOR,
        (keys.ANY_APP, keys.FORGOTTEN_SLOT),
        admin=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Found:
    """The operations at a path, by method, and the slot that the path names."""

    by_method: Mapping[str, Operation]
    slot: str = ""


def find(path: str) -> Found | None:
    """What is served at this path, for anybody."""
    exact = _EXACT.get(path)
    if exact is not None:
        return exact
    for pattern, by_method in _PATTERNS:
        match = pattern.fullmatch(path)
        if match:
            return Found(by_method, match["slot"])
    return None


def paths(*, admin: bool) -> Iterator[str]:
    """Every path there is, once, with or without those of the admin socket."""
    return iter(dict.fromkeys(o.path for o in OPERATIONS if admin or not o.admin))


def _by_path() -> dict[str, dict[str, Operation]]:
    found: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        for method in operation.methods:
            found.setdefault(operation.path, {})[method] = operation
    return found


_EXACT: Final = {path: Found(ops) for path, ops in _by_path().items() if _SLOT not in path}
_PATTERNS: Final = tuple(
    (re.compile(re.escape(path).replace(re.escape(_SLOT), "(?P<slot>[^/]+)")), ops)
    for path, ops in _by_path().items()
    if _SLOT in path
)
