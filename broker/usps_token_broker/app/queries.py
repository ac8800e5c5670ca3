"""Query strings of the local interface, checked. A wrong one raises `BadRequestError`."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, overload

from usps_token_broker.core.values import PAYMENT
from usps_token_broker.wire.keys import WAIT_SECONDS, Key
from usps_token_broker.wire.problems import BadRequestError

_NUMBER: Final = re.compile(r"[0-9]{1,21}(\.[0-9]{0,20})?(e[+-]?[0-9]{1,3})?", re.IGNORECASE)
"""A span as people and programs write it; `float()` would take `1_0` and `infinity` too."""


@dataclass(frozen=True, slots=True)
class Query:
    """The query keys of every call; which of them a call takes is checked on reading."""

    app: str | None = None
    min_valid: float | None = None
    wait: float = WAIT_SECONDS
    scope: str | None = None
    payment: str | None = None
    slot: str | None = None


def read(query: Mapping[str, str], taken: Collection[Key]) -> Query:
    """The query of a call that takes these keys. Raises BadRequestError."""
    allowed = {key.name for key in taken}
    for name in query:
        if name not in allowed:
            takes = ", ".join(sorted(allowed)) or "none"
            raise BadRequestError(f"unknown query key `{name[:40]}`", f"this call takes: {takes}")
    for key in taken:
        _check_most(query, key)
    return Query(
        app=query.get("app"),
        min_valid=_seconds(query, "min_valid"),
        wait=_seconds(query, "wait", WAIT_SECONDS),
        scope=query.get("scope"),
        payment=query.get("payment"),
        slot=query.get("slot"),
    )


def _check_most(query: Mapping[str, str], key: Key) -> None:
    if key.most is not None and (_seconds(query, key.name) or 0.0) > key.most:
        raise BadRequestError(f"`{key.name}` is at most {key.most:g} seconds", key.too_much)


@overload
def _seconds(query: Mapping[str, str], key: str) -> float | None: ...
@overload
def _seconds(query: Mapping[str, str], key: str, default: float) -> float: ...
def _seconds(query: Mapping[str, str], key: str, default: float | None = None) -> float | None:
    text = query.get(key)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise BadRequestError(
            f"`{key}` is not a number of seconds", f"write it like {key}=10, not below 0"
        )
    return float(text)


def payment_slot(name: str) -> str:
    """The slot that `payment=NAME` means: `default` is `payment`, others are `payment-NAME`."""
    return PAYMENT if name in {"", "default"} else f"{PAYMENT}-{name}"
