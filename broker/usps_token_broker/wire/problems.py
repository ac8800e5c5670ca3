"""Refusals as RFC 9457 problem details: a stable code, why, and what to do."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Final

import msgspec

from usps_token_broker.core.outcomes import Code
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.replies import NO_HEADERS, Reply
from usps_token_broker.wire.saying import says

STATUS: Final[Mapping[Code, int]] = MappingProxyType(
    {
        Code.BAD_REQUEST: 400,
        Code.TOO_LARGE: 400,
        Code.FORBIDDEN: 403,
        Code.SCOPE_MISSING: 403,
        Code.UNKNOWN_APP: 404,
        Code.UNKNOWN_SLOT: 404,
        Code.PAYMENT_NOT_CONFIGURED: 404,
        Code.NOT_FOUND: 404,
        Code.METHOD_NOT_ALLOWED: 405,
        Code.CONFIG_INVALID: 422,
        Code.TOO_MANY_REQUESTS: 429,
        Code.CREDENTIALS_REFUSED: 502,
        Code.PAYMENT_REFUSED: 502,
        Code.NOT_READY: 503,
        Code.UPSTREAM_UNAVAILABLE: 503,
        Code.UPSTREAM_RATE_LIMITED: 503,
        Code.BUDGET_EXHAUSTED: 503,
        Code.RESTARTING: 503,
    }
)
"""The HTTP status of every code. Never 401, which a client would take for USPS's own."""


class ConfigProblem(msgspec.Struct, frozen=True):
    """One thing to put right in a configuration."""

    file: Annotated[str, says("The file, or `the environment`")]
    key: Annotated[
        str, says("The full path of the key, the line, or the variable; empty for all of it")
    ]
    expected: Annotated[str, says("What should stand there")]
    found: Annotated[str, says("What stands there; never a secret")]
    fix: Annotated[str, says("How to write it")]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An error as RFC 9457 problem details, with a stable `code` and what to do about it.

    Made by `problem()`.
    """

    type: Annotated[str, says("Always `about:blank`: `code` tells them apart")]
    title: Annotated[str, says("The phrase that belongs to the status")]
    status: Annotated[int, says("The HTTP status")]
    code: Annotated[Code, says("The stable name of the problem")]
    detail: Annotated[str, says("What happened, and why")]
    fix: Annotated[str, says("What to do about it")]
    next_attempt_at: Annotated[float | None, says("When USPS is asked next, Unix seconds")] = None
    retry_after: Annotated[
        float | None, says("Seconds after which to ask again; also the header `Retry-After`")
    ] = None
    upstream_status: Annotated[int | None, says("The HTTP status that USPS answered")] = None
    upstream_code: Annotated[str | None, says("USPS's own code, such as `invalid_client`")] = None
    reason: Annotated[
        str | None, says("Its row of the catalogue, where it is more exact: `explain` says all")
    ] = None
    problems: Annotated[
        tuple[ConfigProblem, ...], says("With `config_invalid`: everything that is wrong")
    ] = ()


def problem(  # noqa: PLR0913 - one argument for each member of the document
    code: Code,
    detail: str,
    fix: str,
    *,
    next_attempt_at: float | None = None,
    retry_after: float | None = None,
    upstream_status: int | None = None,
    upstream_code: str | None = None,
    reason: str | None = None,
    problems: tuple[ConfigProblem, ...] = (),
) -> Problem:
    """A problem with the status and title that belong to `code`.

    The title is the status phrase, as RFC 9457 4.2.1 asks of the type `about:blank`.
    """
    status = STATUS[code]
    return Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        fix=fix,
        next_attempt_at=next_attempt_at,
        retry_after=retry_after,
        upstream_status=upstream_status,
        upstream_code=upstream_code,
        reason=None if reason == code.value else reason,
        problems=problems,
    )


def problem_reply(error: Problem, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
    """A problem as a reply, with `Retry-After` in whole seconds when the problem has one."""
    if error.retry_after is not None and math.isfinite(error.retry_after):
        headers = {"Retry-After": str(max(0, math.ceil(error.retry_after))), **headers}
    return Reply(error.status, to_json(error), "application/problem+json", headers)


class BadRequestError(Exception):
    """A request that cannot be understood; `reply` says why and what to send instead."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.reply = problem_reply(problem(Code.BAD_REQUEST, detail, fix))
