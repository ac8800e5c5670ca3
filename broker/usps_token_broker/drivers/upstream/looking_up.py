"""One GET with a bearer, as a worker would make it; for a diagnosis."""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from usps_token_broker.core.values import Secret
from usps_token_broker.drivers.upstream import trust
from usps_token_broker.drivers.upstream.calls import load

_MOST_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Answered:
    """What USPS said. Its body may hold anything."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)


def get(  # noqa: PLR0913 - where, with what, and by which way
    base_url: str,
    target: str,
    bearer: Secret,
    timeout_seconds: float,
    *,
    proxy: str | None = None,
    ca_file: str | None = None,
) -> Answered:
    """The answer to one call; no redirect is followed. Blocks. Raises OSError, HTTPException."""
    load()
    import httpx  # noqa: PLC0415 - few look so far, and it takes a tenth of a second

    context = trust.context_for(ca_file) if _speaks_tls(base_url, proxy) else _nobody()
    through = None
    if proxy is not None:
        to_proxy = context if urlsplit(proxy).scheme == "https" else None
        through = httpx.Proxy(proxy, ssl_context=to_proxy)
    headers = {
        "Authorization": f"Bearer {bearer.reveal()}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    try:
        with (
            httpx.Client(
                verify=context, proxy=through, trust_env=False, timeout=timeout_seconds
            ) as client,
            client.stream("GET", base_url + target, headers=headers) as response,
        ):
            body = b""
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > _MOST_BYTES:
                    break
            text = body[:_MOST_BYTES].decode("utf-8", "replace")
            return Answered(response.status_code, dict(response.headers), text)
    except httpx.HTTPError as error:
        # Its words are those of the system, and of no header.
        raise http.client.HTTPException(f"{type(error).__name__}: {error}") from None


def _speaks_tls(base_url: str, proxy: str | None) -> bool:
    return any(url.startswith("https:") for url in (base_url, proxy or ""))


def _nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
