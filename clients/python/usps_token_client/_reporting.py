"""`POST /v1/answers`: what USPS told a worker, put to the broker, and its verdict."""

from __future__ import annotations

from . import _checking, _http
from ._questions import read_headers
from ._typing import TYPE_CHECKING
from ._values import BEARER, DEFAULT, PAYMENT, Headers, Token, Verdict, payment_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ._http import Answer

    Used = Headers | Token | Mapping[str, int] | Iterable[Token]
    Pairs = Mapping[str, str] | Iterable[tuple[str, str]]

MOST_BODY = 4096
"""USPS says what is wrong in the first few hundred bytes; the broker reads no more than this."""
_MOST_HEADERS = 24
_MOST_NAME = 64
_MOST_VALUE = 256
_MOST_PATH = 512
_UNTOLD = frozenset({"set-cookie", "cookie", "authorization", "x-payment-authorization-token"})
_OK = 200
_USED = (
    "`used` names what the call was made with: the headers() or the Token(s) it carried, "
    'or their serials, {"bearer": N, "payment": M}'
)


class Report:
    """One answer of USPS and the tokens it was given to.

    Cookies, our own tokens and the query of the path stay here. Raises TypeError for a `used` that
    names no token.
    """

    def __init__(  # noqa: PLR0913 - one argument for each part of an answer
        self,
        *,
        status: int,
        headers: Pairs | None,
        body: bytes | str,
        path: str,
        host: str | None,
        used: Used,
    ) -> None:
        self.status = status
        self.payment, self.serials = _refused(used)
        self._said: dict[str, Any] = {
            "status": status,
            "headers": _headers(headers),
            "body": _body(body),
            "path": _plain(path.partition("?")[0], _MOST_PATH),
            "serials": self.serials,
        }
        if host is not None:
            self._said["host"] = host
        if self.payment is not None:
            self._said["payment"] = self.payment

    def message(self, app: str | None, wait: float) -> bytes:
        """The request."""
        from json import dumps  # noqa: PLC0415 - as in `_checking.document`

        where = _http.target("/v1/answers", {"app": app, "wait": f"{wait:g}"})
        return _http.message("POST", where, body=dumps(self._said, ensure_ascii=False).encode())

    def read(self, answer: Answer, _sent_at: float) -> Verdict:
        """The verdict. Raises BrokerError when the broker gave none."""
        if answer.status != _OK:
            raise _checking.problem(answer)
        data = _checking.document(answer)
        retry_after = data.get("retry_after")
        has_headers = data.get("headers") is not None and data.get("serials") is not None
        headers = read_headers(data, self.payment) if has_headers else None
        return Verdict(
            code=_checking.text(data, "code"),
            detail=_checking.text(data, "detail"),
            fix=_checking.text(data, "fix"),
            retry=data.get("retry") is True and headers is not None,
            outcome=_checking.text(data, "outcome"),
            headers=headers,
            retry_after=float(retry_after) if _checking.is_number(retry_after) else None,
            reason=_checking.words(data.get("reason")),
        )

    def tells_against(self, value: Token | Headers, verdict: Verdict) -> bool:
        """Whether this kept value is, or holds, a refused token that was replaced since."""
        payment, serials = _refused(value)
        same_payment = (payment or DEFAULT) == (self.payment or DEFAULT)
        return any(
            serials.get(kind) == refused != verdict.serials.get(kind, refused)
            for kind, refused in self.serials.items()
            if kind != PAYMENT or same_payment
        )


def _refused(used: Used) -> tuple[str | None, dict[str, int]]:
    """The payment name and the serials, by kind, of what a call was made with."""
    if isinstance(used, Headers):
        return used.payment, dict(used.serials)
    payment = None
    serials: dict[str, Any] = {}
    if hasattr(used, "items"):
        serials.update(used.items())
    else:
        for token in [used] if isinstance(used, Token) else used:
            if not isinstance(token, Token):
                raise TypeError(_USED)
            name = payment_name(token.slot)
            serials[BEARER if name is None else PAYMENT] = token.serial
            payment = name or payment
    if not serials or not all(isinstance(serial, int) for serial in serials.values()):
        raise TypeError(_USED)
    return payment, serials


def _headers(headers: Pairs | None) -> dict[str, str]:
    if headers is None:
        return {}
    pairs: Any = headers.items() if hasattr(headers, "items") else headers
    told = {_plain(str(name), _MOST_NAME): str(value) for name, value in pairs}
    kept = [(name, value) for name, value in told.items() if name.lower() not in _UNTOLD]
    return {name: _plain(value, _MOST_VALUE) for name, value in kept[:_MOST_HEADERS]}


def _body(body: bytes | str) -> str:
    head = body[:MOST_BODY]
    text = head if isinstance(head, str) else bytes(head).decode("utf-8", "replace")
    return _plain(text, MOST_BODY)


def _plain(text: str, most: int) -> str:
    """Text of bounded length, also as JSON: nothing in it that needs six bytes to be written."""
    return "".join(c if c.isprintable() or c in "\r\n\t" else "?" for c in text[:most])
