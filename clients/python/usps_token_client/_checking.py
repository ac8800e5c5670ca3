"""Reading what a broker says: nothing is believed that was not looked at.

Unknown fields are ignored, so that an old client understands a new broker.
"""

from __future__ import annotations

from ._errors import NoPermission, ProtocolMismatch, TokenDenied
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeGuard  # noqa: UP035 - typing of Python 3.9 has none

    from ._errors import BrokerError
    from ._http import Answer

PERMANENT = frozenset(
    {
        "bad_request",
        "too_large",
        "forbidden",
        "scope_missing",
        "unknown_app",
        "unknown_slot",
        "payment_not_configured",
        "credentials_refused",
        "payment_refused",
        "config_invalid",
    }
)
PASSING = frozenset({"restarting", "too_many_requests"})
_MOST_WORDS = 2000
_MOST_CODE = 64
_MOST_NUMBER = 1e15
"""No instant and no span is as large: thirty million years."""


def bad_answer(what: str) -> ProtocolMismatch:
    """The broker's answer is not what its interface promises."""
    return ProtocolMismatch(
        f"the broker's answer makes no sense: {what}",
        fix="see that client and broker are of versions that fit each other "
        "(`usps-token --version`, `usps-token status`)",
    )


def document(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer. Raises ProtocolMismatch."""
    # Here and not above: importing json costs ten milliseconds, and half of all processes of the
    # command line never see any.
    from json import loads  # noqa: PLC0415

    try:
        value = loads(answer.body)
    except (ValueError, RecursionError):
        raise bad_answer("it is not JSON") from None
    if not isinstance(value, dict):
        raise bad_answer("it is not a JSON object")
    return value


def text(data: dict[str, Any], name: str) -> str:
    """A string field."""
    value = data.get(name)
    if not isinstance(value, str):
        raise bad_answer(f"`{name}` is no text")
    return value


def is_number(value: object) -> TypeGuard[float]:
    """Whether this is a number that may be reckoned with.

    Python's JSON knows NaN and infinity and whole numbers of any length, and a bool is an int.
    """
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and -_MOST_NUMBER < value < _MOST_NUMBER
    )


def number(data: dict[str, Any], name: str, otherwise: float | None = None) -> float:
    """A number field; `otherwise` stands in for a missing one."""
    value = data.get(name, otherwise)
    if not is_number(value):
        raise bad_answer(f"`{name}` is no number")
    return float(value)


def serial(value: object, name: str) -> int:
    """A serial: compared for equality only, so it must be exact."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_answer(f"the serial of `{name}` is no whole number")
    return value


def secret(value: object, name: str) -> str:
    """A token or a header's value: printable ASCII, so that it cannot smuggle in a header."""
    if not isinstance(value, str) or not value or not (value.isascii() and value.isprintable()):
        raise bad_answer(f"`{name}` may not stand in a request header")
    return value


def names(value: object) -> tuple[str, ...] | None:
    """A list of texts, or null."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise bad_answer("`scopes` is no list of texts")
    return tuple(value)


def problem(answer: Answer) -> BrokerError:
    """The error that an answer without a token is."""
    try:
        data = document(answer)
    except ProtocolMismatch:
        data = {}
    code = data.get("code")
    if not isinstance(code, str) or not 0 < len(code) <= _MOST_CODE or not code.isprintable():
        return bad_answer(f"HTTP {answer.status} without a `code`")
    if code in {"not_found", "method_not_allowed"}:
        return bad_answer(f"{code}, so this broker is older than this client")
    error_type = NoPermission if code == "forbidden" else TokenDenied
    error = error_type(
        words(data.get("detail")) or f"the broker answered {code}",
        fix=words(data.get("fix")),
        code=code,
        retry_after=_retry_after(data, answer),
        permanent=code in PERMANENT,
        passing=code in PASSING,
        status=answer.status,
    )
    if isinstance(error, TokenDenied):
        _add_upstream(error, data)
    return error


def _add_upstream(error: TokenDenied, data: dict[str, Any]) -> None:
    at, status = data.get("next_attempt_at"), data.get("upstream_status")
    error.next_attempt_at = float(at) if is_number(at) else None
    error.upstream_status = status if isinstance(status, int) else None
    error.upstream_code = words(data.get("upstream_code")) or None
    error.reason = words(data.get("reason")) or None


def _retry_after(data: dict[str, Any], answer: Answer) -> float | None:
    value = data.get("retry_after")
    if is_number(value):
        return max(0.0, float(value))
    header = answer.headers.get("retry-after", "")
    return float(header) if header.isascii() and header.isdigit() and len(header) < 10 else None  # noqa: PLR2004


def words(value: object) -> str:
    """A sentence for people, fit for a terminal and of bounded length."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in value[:_MOST_WORDS])
