"""What an SDK was given, so that a refusal can name the token that was refused.

SDKs pass on bare values, some of them after a while: what a refused call carried is found by the
values it carried, never by what is current now.
"""

from __future__ import annotations

from usps_token_client._errors import BrokerError
from usps_token_client._settings import PAYMENT_PATHS
from usps_token_client._typing import TYPE_CHECKING
from usps_token_client._values import AUTHORIZATION, BEARER, PAYMENT, PAYMENT_HEADER, Headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usps_token_client._client import TokenClient
    from usps_token_client._reporting import Pairs
    from usps_token_client._values import Verdict

UNAUTHORIZED = 401
_KINDS = {AUTHORIZATION: BEARER, PAYMENT_HEADER: PAYMENT}
_REMEMBERED = 16
"""Values; a rotation replaces two, and no call lasts for eight rotations."""


class Given:
    """Headers for the calls of one SDK object, and the serials of those it still may carry."""

    def __init__(self, tokens: TokenClient, payment: str) -> None:
        self._tokens = tokens
        self._payment = payment
        self._serials: dict[tuple[str, str], int] = {}

    def headers(self, url: str, *, payment: bool | None = None) -> Headers:
        """Headers for a call of this URL; the payment token goes with label calls, or if told.

        Raises ValueError for a host that is not the app's, BrokerError when there is no token.
        """
        headers = self._tokens.headers()
        check_host(url, headers)
        if payment is None:
            # A gateway's prefix, if there is one, is part of the base URL.
            path = url[len(headers.base_url.rstrip("/")) :].partition("?")[0]
            payment = f"{path}/".startswith(PAYMENT_PATHS)
        if payment:
            headers = self._tokens.headers(payment=self._payment)
        self._remember(headers)
        return headers

    def tell(
        self, sent: Mapping[str, str], status: int, headers: Pairs, body: bytes | str, url: str
    ) -> Verdict | None:
        """Report the answer to a call that carried these headers; None when it cannot be told."""
        found = {
            kind: self._serials.get((name, str(sent.get(name)))) for name, kind in _KINDS.items()
        }
        serials = {kind: serial for kind, serial in found.items() if serial is not None}
        if BEARER not in serials:
            return None
        payment = self._payment if PAYMENT in serials else None
        used = Headers({}, serials=serials, payment=payment)
        try:
            verdict = self._tokens.report(status, headers, body, path_of(url), used=used)
        except BrokerError:
            # The call has failed already, and its own error says more to who made it.
            return None
        if verdict.headers is not None:
            self._remember(verdict.headers)
        return verdict

    def _remember(self, headers: Headers) -> None:
        for name, kind in _KINDS.items():
            if name in headers:
                self._serials[name, headers[name]] = headers.serials[kind]
        for old in list(self._serials)[:-_REMEMBERED]:
            self._serials.pop(old, None)


def check_host(url: str, headers: Headers) -> None:
    """Raise ValueError for a URL at another host than that of the broker's app."""
    base = headers.base_url.rstrip("/")
    if not f"{url}/".startswith(f"{base}/"):
        where = "/".join(url.split("/")[:3])
        raise ValueError(
            f"the SDK calls {where}, but the broker's tokens are for {base}: set the SDK's host "
            "to that one, or choose another application by TokenClient(app=…)"
        )


def path_of(url: str) -> str:
    """The path of a URL, without its query."""
    return "/" + url.partition("://")[2].partition("/")[2].partition("?")[0]


def attached_twice(what: str) -> ValueError:
    """The error of a second attempt, which would report every refusal twice."""
    return ValueError(f"this {what} takes its tokens from a broker already; make another one")
