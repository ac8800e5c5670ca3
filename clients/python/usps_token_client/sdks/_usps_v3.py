"""usps-v3 1.0.4: its token manager is replaced, and its httpx client gets our transport."""

from __future__ import annotations

from usps_token_client._clock import wall
from usps_token_client._errors import BrokerError
from usps_token_client._typing import TYPE_CHECKING, V

from ._given import attached_twice, check_host

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from usps_token_client._client import TokenClient
    from usps_token_client._values import Token


def usps_v3(client: V, tokens: TokenClient, *, payment: str = "default") -> V:
    """Let a `usps_v3.Client` take both tokens from the broker.

    A refused token is told, and the call sent once more. `void()` gets the payment token too, which
    USPS wants and the SDK leaves out. `refresh_tokens()` fetches nothing and says so. Nothing is
    written to `cache_dir`; remove a `~/.usps-v3/tokens.json` of former times.

    Raises TypeError for what is no such client, ValueError for one that was given before.
    """
    old = getattr(client, "_tokens", None)
    http: Any = getattr(client, "_http", None)
    if old is None or http is None:
        raise TypeError(f"a usps_v3.Client is wanted, not {type(client).__name__}")
    if isinstance(old, _Tokens):
        raise attached_twice("usps_v3.Client")
    ours = _Tokens(tokens, payment, client._base_url)  # type: ignore[attr-defined]
    for part in (client, *vars(client).values()):
        if getattr(part, "_tokens", None) is old:
            part._tokens = ours
    http._transport = tokens.transport(http._transport, payment=payment)
    # One for each proxy of the environment; None stands for no proxy.
    http._mounts = {
        pattern: base and tokens.transport(base, payment=payment)
        for pattern, base in http._mounts.items()
    }
    return client


class _Tokens:
    """What `usps_v3.auth.TokenManager` is to the SDK's other modules."""

    def __init__(self, tokens: TokenClient, payment: str, base_url: str) -> None:
        self._tokens = tokens
        self._payment = payment
        self._base_url = base_url

    def get_oauth_token(self) -> str:
        headers = self._tokens.headers()
        check_host(self._base_url, headers)
        return headers["Authorization"].partition(" ")[2]

    def get_payment_token(self) -> str:
        return self._tokens.payment(self._payment).value

    def get_both_tokens(self) -> tuple[str, str]:
        return self.get_oauth_token(), self.get_payment_token()

    def force_refresh(self) -> dict[str, Any]:
        why = "the broker renews the tokens: `usps-token-broker renew` does so by hand"
        return {"oauth": False, "oauth_error": why, "payment": False, "payment_error": why}

    @property
    def status(self) -> dict[str, Any]:
        return {
            "oauth": _standing(self._tokens.bearer),
            "payment": _standing(lambda: self._tokens.payment(self._payment)),
        }

    def close(self) -> None:
        pass


def _standing(ask: Callable[[], Token]) -> dict[str, Any]:
    try:
        token = ask()
    except BrokerError:
        return {"valid": False, "expires_at": 0, "ttl_seconds": 0, "scope": None}
    left = max(0.0, token.expires_at - wall())
    scope = None if token.scopes is None else " ".join(token.scopes)
    return {
        "valid": left > 0.0,
        "expires_at": token.expires_at,
        # A static token has no end.
        "ttl_seconds": left if left == float("inf") else int(left),
        "scope": scope,
    }
