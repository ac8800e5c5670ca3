"""Two headers that speak of time: `Date` and `Retry-After` (RFC 9110 5.6.7, 6.6.1 and 10.2.3)."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from usps_token_broker.wire.usps import header

_SECONDS: Final = re.compile(r"[0-9]{1,60}(?:\.[0-9]{1,9})?")
_MAX_DATE_CHARS: Final = 64


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """How long USPS wants to be left alone; None when it does not say, or says nonsense.

    A date counts from the `Date` of the same answer, so that no clock of ours comes into it.
    """
    value = header(headers, "retry-after")
    if _SECONDS.fullmatch(value):
        return float(value)
    until_at, answered_at = _instant(value), _instant(header(headers, "date"))
    if until_at is None or answered_at is None or until_at < answered_at:
        return None
    return until_at - answered_at


def skew_seconds(headers: Mapping[str, str], wall: float) -> float | None:
    """USPS's clock less ours, `wall` being when the answer came; None without a `Date`."""
    answered_at = _instant(header(headers, "date"))
    return None if answered_at is None else answered_at - wall


def _instant(value: str) -> float | None:
    """An HTTP date as Unix seconds."""
    if not value or len(value) > _MAX_DATE_CHARS:
        return None
    try:
        moment = parsedate_to_datetime(value)
        # A date whose zone is written -0000 comes without one, and is meant as UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
