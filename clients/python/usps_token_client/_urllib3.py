"""urllib3 managers that put the headers on, tell the broker of a 401, and send once more."""

from __future__ import annotations

import urllib3

from . import _fork
from ._typing import TYPE_CHECKING
from ._urllib3_hops import Hop

if TYPE_CHECKING:
    from typing import Any

    from ._client import TokenClient
    from ._hops import Rules


class Tokens:
    """The part that the managers have in common."""

    tokens: TokenClient
    rules: Rules
    forks: int

    def connection_from_host(
        self,
        host: str | None,
        port: int | None = None,
        scheme: str | None = "http",
        pool_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """The pool of one hop, which puts the headers on."""
        _fork.disown(self, self.clear)  # type: ignore[attr-defined]
        pool = super().connection_from_host(host, port, scheme, pool_kwargs)  # type: ignore[misc]
        return Hop(self, pool, scheme or "http", host or "", port)


class TokenPoolManager(Tokens, urllib3.PoolManager):
    """Made by `TokenClient.pool_manager()`, which says what it does."""

    def __init__(self, tokens: TokenClient, rules: Rules, options: dict[str, Any]) -> None:
        super().__init__(**options)
        self.tokens = tokens
        self.rules = rules
        self.forks = _fork.generation()


class TokenProxyManager(Tokens, urllib3.ProxyManager):
    """`TokenPoolManager` over a proxy."""

    def __init__(self, tokens: TokenClient, rules: Rules, options: dict[str, Any]) -> None:
        super().__init__(**options)
        self.tokens = tokens
        self.rules = rules
        self.forks = _fork.generation()


def make_manager(
    tokens: TokenClient, rules: Rules, proxy_url: str | None, options: dict[str, Any]
) -> urllib3.PoolManager:
    """The manager that `TokenClient.pool_manager()` gives."""
    if proxy_url is None:
        return TokenPoolManager(tokens, rules, options)
    return TokenProxyManager(tokens, rules, {"proxy_url": proxy_url, **options})
