"""Takes USPS tokens from the broker on this host.

    from usps_token_client import TokenClient

    tokens = TokenClient()
    tokens.bearer()                    # Token: .value, .serial, .expires_at
    tokens.headers(payment=True)       # a dict for any HTTP library
    httpx.Client(transport=tokens.transport())
    tokens.session()                   # a requests.Session
    tokens.pool_manager()              # a urllib3.PoolManager

`AsyncTokenClient` is the same for asyncio, with `middleware()` for aiohttp. Whatever
goes wrong is a `BrokerError`.
"""

from __future__ import annotations

from ._client import TokenClient
from ._errors import (
    BrokerError,
    BrokerNotInstalled,
    BrokerNotRunning,
    BrokerTimeout,
    BrokerUnreachable,
    CallRefused,
    NoPermission,
    ProtocolMismatch,
    TokenDenied,
)
from ._http import VERSION
from ._typing import TYPE_CHECKING
from ._values import Headers, Token, Verdict

if TYPE_CHECKING:
    from ._aclient import AsyncTokenClient

__version__ = VERSION

__all__ = [
    "AsyncTokenClient",
    "BrokerError",
    "BrokerNotInstalled",
    "BrokerNotRunning",
    "BrokerTimeout",
    "BrokerUnreachable",
    "CallRefused",
    "Headers",
    "NoPermission",
    "ProtocolMismatch",
    "Token",
    "TokenClient",
    "TokenDenied",
    "Verdict",
    "__version__",
]


def __getattr__(name: str) -> object:
    """`AsyncTokenClient`, once somebody wants it."""
    if name == "AsyncTokenClient":
        from ._aclient import AsyncTokenClient  # noqa: PLC0415 - most processes want one client

        return AsyncTokenClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
