"""apimatic-usps-sdk and usps-apimatic-sdk 1.0.0 (both import as `uspsapi`).

Its managers of OAuth tokens are replaced by one that puts our headers on, and its requests session
gets a hook for refusals.
"""

from __future__ import annotations

from usps_token_client._typing import TYPE_CHECKING, V
from usps_token_client._values import PAYMENT_HEADER

from ._given import UNAUTHORIZED, Given, attached_twice

if TYPE_CHECKING:
    from typing import Any

    from usps_token_client._client import TokenClient

_MANAGERS = ("OAuth_authorization_code", "OAuth_client_credentials")


def apimatic(client: V, tokens: TokenClient, *, payment: str = "default") -> V:
    """Let a `UspsapiClient` take both tokens from the broker.

    A refused token is told, and the call sent once more. The payment token that label calls want as
    an argument is put on in place of what stands there: pass any text.

    Raises TypeError for what is no such client, ValueError for one that was given before.
    """
    managers: Any = getattr(client, "auth_managers", None)
    if not isinstance(managers, dict) or not set(_MANAGERS) <= set(managers):
        raise TypeError(f"a UspsapiClient is wanted, not {type(client).__name__}")
    if isinstance(managers[_MANAGERS[0]], _Manager):
        raise attached_twice("UspsapiClient")
    given = Given(tokens, payment)
    managers.update(dict.fromkeys(_MANAGERS, _Manager(given)))
    session = client.config.http_client.session  # type: ignore[attr-defined]
    session.hooks["response"].append(_Hook(given))
    return client


class _Manager:
    """What an `apimatic_core` authentication is to the SDK."""

    error_message = "usps-token-client puts the tokens on"

    def __init__(self, given: Given) -> None:
        self._given = given

    def is_valid(self) -> bool:
        return True

    def apply(self, request: Any) -> None:  # noqa: ANN401 - a class of apimatic's
        for name, value in self._given.headers(request.query_url).items():
            request.add_header(name, value)


class _Hook:
    """A response hook of requests: tells of a 401, and sends once more when told to."""

    def __init__(self, given: Given) -> None:
        self._given = given

    def __call__(self, response: Any, **options: Any) -> Any:  # noqa: ANN401 - of requests
        request = response.request
        if response.is_redirect:
            # requests strips Authorization at another host, but knows nothing of this one.
            request.headers.pop(PAYMENT_HEADER, None)
        if response.status_code != UNAUTHORIZED:
            return response
        verdict = self._given.tell(
            request.headers, UNAUTHORIZED, response.headers, response.content, request.url
        )
        if verdict is None or not verdict.headers or not verdict.retry:
            return response
        if not isinstance(request.body, (bytes, str, type(None))):
            return response  # a stream was used up by the first attempt
        again = request.copy()
        again.headers.update(verdict.headers)
        response.close()
        second = response.connection.send(again, **options)
        second.history.append(response)
        second.request = again
        if second.status_code == UNAUTHORIZED:
            self._given.tell(
                again.headers, UNAUTHORIZED, second.headers, second.content, second.url
            )
        return second
