"""Query strings of the local interface, checked. A wrong one raises `BadRequestError`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, overload

from usps_token_broker.core.values import PAYMENT
from usps_token_broker.wire.http import BadRequestError

WAIT_SECONDS: Final = 10.0
WAIT_MOST_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Query:
    """The query keys of every call; which of them a call takes is checked on reading."""

    app: str | None = None
    min_valid: float | None = None
    wait: float = WAIT_SECONDS
    scope: str | None = None
    payment: str | None = None
    slot: str | None = None


def read(query: Mapping[str, str], allowed: frozenset[str]) -> Query:
    """The query of a call that takes these keys. Raises BadRequestError."""
    for key in query:
        if key not in allowed:
            takes = ", ".join(sorted(allowed)) or "none"
            raise BadRequestError(f"unknown query key `{key[:40]}`", f"this call takes: {takes}")
    result = Query(
        app=query.get("app"),
        min_valid=_seconds(query, "min_valid"),
        wait=_seconds(query, "wait", WAIT_SECONDS),
        scope=query.get("scope"),
        payment=query.get("payment"),
        slot=query.get("slot"),
    )
    if result.wait > WAIT_MOST_SECONDS:
        raise BadRequestError(
            f"`wait` is at most {WAIT_MOST_SECONDS:g} seconds", "ask again after that, in a loop"
        )
    return result


@overload
def _seconds(query: Mapping[str, str], key: str) -> float | None: ...
@overload
def _seconds(query: Mapping[str, str], key: str, default: float) -> float: ...
def _seconds(query: Mapping[str, str], key: str, default: float | None = None) -> float | None:
    if key not in query:
        return default
    try:
        number = float(query[key])
    except ValueError:
        number = -1.0
    # The comparison is false for NaN and for infinity as well.
    if not 0.0 <= number <= 1e6:  # noqa: PLR2004 - eleven days: anything above is a slip
        raise BadRequestError(
            f"`{key}` is not a number of seconds", f"write it like {key}=10, not below 0"
        )
    return number


def payment_slot(name: str) -> str:
    """The slot that `payment=NAME` means: `default` is `payment`, others are `payment-NAME`."""
    return PAYMENT if name in {"", "default"} else f"{PAYMENT}-{name}"
