"""Replies: those the handler gives, whatever it does, and those the server gives without it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache
from typing import Final, TypeVar

from usps_token_broker.core.outcomes import Code
from usps_token_broker.drivers.server.faults import report
from usps_token_broker.drivers.server.parsing import RefusedError
from usps_token_broker.wire.problems import BadRequestError, problem, problem_reply
from usps_token_broker.wire.replies import Reply, Streamed
from usps_token_broker.wire.requests import Request

PeerT = TypeVar("PeerT")

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

INTERNAL_ERROR: Final = problem_reply(
    problem(Code.NOT_READY, "internal error", "look into the broker's log and report what it says")
)
"""For an exception in the handler: a status of the contract, and nothing from inside."""


def ask(
    handler: Callable[[Request, PeerT], Reply | Streamed | Awaitable[Reply]],
    request: Request,
    peer: PeerT,
) -> Reply | Streamed | Awaitable[Reply]:
    """What the handler answers, or what stands for it when it fails."""
    try:
        return handler(request, peer)
    except BadRequestError as error:
        return error.reply
    except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on
        report("answering a request", error)
        return INTERNAL_ERROR


async def outcome(awaited: Awaitable[Reply]) -> Reply:
    """What the handler answers in the end, or what stands for it when it fails."""
    try:
        return await awaited
    except BadRequestError as error:
        return error.reply
    except Exception as error:  # noqa: BLE001 - as above
        report("waiting for a reply", error)
        return INTERNAL_ERROR


def discard(awaited: Awaitable[Reply]) -> None:
    """Ends an awaitable that nobody will await."""
    if isinstance(awaited, Coroutine):
        awaited.close()
    elif isinstance(awaited, asyncio.Future):
        awaited.cancel()


def encode(request: Request, reply: Reply, *, last: bool) -> bytes:
    """The bytes of a reply to this request; `last` says that the connection ends with it."""
    connection = "close" if last else "keep-alive" if request.old else ""
    return reply.encode(connection=connection, with_body=request.method != "HEAD")


def refused(error: RefusedError) -> Reply:
    """400 for bytes that are not a request we take."""
    return problem_reply(problem(error.code, error.detail, error.fix))


def too_slow(seconds: float, *, in_head: bool) -> Reply:
    """400 for a request that did not arrive in time."""
    what = "head" if in_head else "body"
    return problem_reply(
        problem(
            Code.BAD_REQUEST,
            f"the {what} of the request took longer than {seconds:g} s",
            "send each request in one go",
        )
    )


@lru_cache(maxsize=64)  # a minute has sixty seconds: that is all there can be
def too_often(per_minute: int, seconds: int) -> Reply:
    """429 for a uid that asks more often than it may; made once for all who hear the same."""
    return problem_reply(
        problem(
            Code.TOO_MANY_REQUESTS,
            f"this user asks more than {per_minute} times a minute, the most that one uid may "
            "(limits.requests_per_minute_per_uid)",
            "use a token for `check_after` seconds before asking again, and wait as long as "
            "Retry-After says; the administrator can raise the limit or, with 0, take it away",
            retry_after=float(seconds),
        )
    )


def too_many(detail: str) -> Reply:
    """429 for a client, or for all of them together, at a limit of ours."""
    return problem_reply(
        problem(
            Code.TOO_MANY_REQUESTS,
            detail,
            "keep fewer connections, requests and streams open at once, and try again in a second",
            retry_after=1.0,
        )
    )
