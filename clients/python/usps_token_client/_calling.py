"""One call of a worker to USPS: put the headers on, have a 401 judged, send it once more.

The same for every HTTP library, blocking or not. What a library must do is a `Call`; what it does
is yielded here, a result by those that block and an awaitable by those that do not.
"""

from __future__ import annotations

from ._errors import BrokerError, CallRefused
from ._typing import TYPE_CHECKING
from ._values import Verdict

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, Protocol

    from ._aclient import AsyncTokenClient
    from ._client import TokenClient
    from ._hops import Place, Rules
    from ._values import Headers

    class Call(Protocol):
        """One request in the hands of a library, and what came of it.

        Each method but `place_of`, `status`, `note` and `word` gives its result, or an awaitable.
        """

        place: Place

        def place_of(self, url: str) -> Place:
            """Where a URL leads, as this library reads it."""

        def forward(self, ours: Headers) -> Any:
            """Send it to a stranger, without any of `ours`."""

        def send(self, ours: Headers) -> Any:
            """Send it with `ours`; the response."""

        def status(self, response: Any) -> int:
            """The status of a response."""

        def peek(self, response: Any) -> Any:
            """The response, still to be read whole, and the beginning of its body as text."""

        def rewind(self) -> Any:
            """Prepare the body for a second time. None, or why that cannot be."""

        def drop(self, response: Any) -> Any:
            """Give up a response that nobody will read, before the call is sent again."""

        def close(self, response: Any) -> Any:
            """Give it up at once: this call is over."""

        def note(self, response: Any, key: str, value: object) -> None:
            """Leave something on the response for the caller."""

        def word(self, response: Any, phrase: str) -> None:
            """Give the response this reason phrase, in ASCII, which its library's errors quote."""


UNAUTHORIZED = 401
VERDICT = "usps_token_verdict"
ERROR = "usps_token_error"
NOTE = "usps_token_note"
KEYS = (VERDICT, ERROR, NOTE)
"""What the caller finds on a response: Verdict, BrokerError, and why it was not sent again."""


def steps(
    tokens: TokenClient | AsyncTokenClient, call: Call, rules: Rules
) -> Generator[Any, Any, Any]:
    """Send one request; on a 401 that a newer token may mend, once more. Returns the response.

    Raises BrokerError when there is no token to put on, and CallRefused where `rules` ask for it.
    """
    ours = yield tokens.headers()
    base = call.place_of(ours.base_url)
    if not call.place.is_at(base):
        response = yield call.forward(ours)
        return response
    payment = rules.payment_for(call.place, base)
    if payment is not None:
        ours = yield tokens.headers(payment=payment)
    response = yield call.send(ours)
    response, outcome = yield from _told(tokens, call, response, ours)
    why_not = None
    if isinstance(outcome, Verdict) and outcome.retry and outcome.headers:
        why_not = yield call.rewind()
        if why_not is None:
            yield call.drop(response)
            response = yield call.send(outcome.headers)
            call.note(response, VERDICT, outcome)
            response, outcome = yield from _told(tokens, call, response, outcome.headers)
        else:
            call.note(response, NOTE, why_not)
    if outcome is not None:
        refused = _refused(outcome, why_not)
        if rules.raise_refusals:
            yield call.drop(response)
            raise refused
        call.word(response, _phrase(refused))
    return response


def _told(
    tokens: TokenClient | AsyncTokenClient, call: Call, response: Any, used: Headers
) -> Generator[Any, Any, tuple[Any, Verdict | BrokerError | None]]:
    """Report a 401; the response, which may be another object, and what came of it."""
    if call.status(response) != UNAUTHORIZED:
        return response, None
    response, body = yield call.peek(response)
    place = call.place
    outcome: Verdict | BrokerError
    try:
        outcome = yield tokens.report(
            UNAUTHORIZED, response.headers, body, place.path, place.host, used=used
        )
        call.note(response, VERDICT, outcome)
    except BrokerError as error:
        outcome = error
        call.note(response, ERROR, error)
    except GeneratorExit:
        raise  # nobody does what is yielded from here on
    except BaseException:
        # Cancelled or interrupted: others wait for its connection.
        yield call.close(response)
        raise
    return response, outcome


def _refused(outcome: Verdict | BrokerError, why_not: str | None) -> CallRefused:
    if isinstance(outcome, Verdict):
        return CallRefused(
            f"{outcome.detail}; {why_not}" if why_not else outcome.detail,
            fix=outcome.fix,
            code=outcome.code,
            reason=outcome.reason,
            outcome=outcome.outcome,
            retry_after=outcome.retry_after,
            permanent=outcome.outcome == "not_the_token" and outcome.retry_after is None,
            status=UNAUTHORIZED,
        )
    error = CallRefused(
        f"USPS answered 401, and the broker could not say why: {outcome.detail}",
        fix=outcome.fix,
        code=outcome.code,
        retry_after=outcome.retry_after,
        permanent=outcome.permanent,
        status=UNAUTHORIZED,
    )
    error.__cause__ = outcome
    return error


def _phrase(refused: CallRefused) -> str:
    """What `raise_for_status` shows; to programs it means nothing (RFC 9110 15.1)."""
    line = " ".join(f"Unauthorized: {refused}".split())
    return line.encode("ascii", "replace").decode()


def run(doing: Generator[Any, Any, Any]) -> Any:
    """Do the steps of a library that blocks: what they yield is the result already."""
    try:
        result = next(doing)
        while True:
            result = doing.send(result)
    except StopIteration as stop:
        return stop.value


async def run_async(doing: Generator[Any, Any, Any]) -> Any:
    """Do the steps of a library of asyncio, which yield awaitables, or results already there."""
    try:
        step = next(doing)
        while True:
            try:
                result = await step if hasattr(step, "__await__") else step
            except BaseException as error:  # noqa: BLE001 - the generator decides, and cleans up
                step = doing.throw(error)
            else:
                step = doing.send(result)
    except StopIteration as stop:
        return stop.value
    finally:
        doing.close()
