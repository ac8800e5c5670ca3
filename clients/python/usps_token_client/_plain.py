"""Answers as plain text, for the command line: nothing to parse, nothing to import."""

from __future__ import annotations

from . import _checking
from ._http import TEXT
from ._typing import TYPE_CHECKING
from ._values import AUTHORIZATION, PAYMENT_HEADER

if TYPE_CHECKING:
    from ._http import Answer

_OK = 200


def token(answer: Answer) -> str:
    """The bare token. Raises BrokerError."""
    value = _checking.secret(_text(answer), "the token")
    if " " in value:
        raise _checking.bad_answer("there is a space in the token")
    return value


def header_lines(answer: Answer, *, with_payment: bool) -> str:
    """The header lines that were asked for. Raises BrokerError."""
    # Not splitlines(), which takes more for the end of a line than there is in HTTP.
    lines = _text(answer).removesuffix("\n").split("\n")
    wanted = [AUTHORIZATION, PAYMENT_HEADER] if with_payment else [AUTHORIZATION]
    if [line.partition(": ")[0] for line in lines] != wanted:
        raise _checking.bad_answer("these are not the headers that were asked for")
    return "\n".join(_checking.secret(line, "a header") for line in lines)


def _text(answer: Answer) -> str:
    if answer.status != _OK:
        raise _checking.problem(answer)
    if not answer.headers.get("content-type", "").startswith(TEXT):
        raise _checking.bad_answer("plain text was asked for")
    return answer.body.decode("latin-1")
