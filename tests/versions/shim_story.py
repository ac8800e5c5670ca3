"""What a worker does with the client, told as JSON: run by a Python that has one release of it.

Arguments: the story, the broker's socket, and what the story needs.
"""

import asyncio
import json
import sys

import httpx

import usps_token_client
from usps_token_client import AsyncTokenClient, BrokerError, TokenClient


def token_as_json(token):
    names = ("value", "serial", "expires_at", "slot", "app", "degraded")
    return {
        **{name: getattr(token, name) for name in names},
        "scopes": token.scopes and list(token.scopes),
    }


def verdict_as_json(verdict):
    names = ("code", "detail", "fix", "retry", "outcome", "retry_after", "serials")
    told = {name: getattr(verdict, name) for name in names}
    return {**told, "headers": verdict.headers and dict(verdict.headers)}


def error_as_json(error):
    names = ("code", "detail", "fix", "permanent", "retry_after", "status")
    return {"error": type(error).__name__, **{name: getattr(error, name) for name in names}}


def where(_path):
    return usps_token_client.__file__


def read(path):
    """Each token and header set, twice: the second time it is only confirmed."""
    tokens = TokenClient(path, check_after=0)
    said = []
    for _ in range(2):
        headers = tokens.headers(payment=True)
        said.append(
            {
                "bearer": token_as_json(tokens.bearer()),
                "payment": token_as_json(tokens.payment()),
                "headers": dict(headers),
                "serials": headers.serials,
                "base_url": headers.base_url,
                "ready": tokens.ready("bearer", "payment"),
            }
        )
    return said


def read_in_loop(path):
    async def main():
        tokens = AsyncTokenClient(path)
        first = await tokens.bearer()
        return [token_as_json(first), dict(await tokens.headers(payment=True))]

    return asyncio.run(main())


def call(path, calls):
    """Calls of USPS through the httpx transport."""
    tokens = TokenClient(path)
    said = []
    with httpx.Client(transport=tokens.transport()) as http:
        for method, target, body in json.loads(calls):
            answer = http.request(method, tokens.headers().base_url + target, json=body)
            verdict = answer.extensions.get("usps_token_verdict")
            said.append(
                {"status": answer.status_code, "verdict": verdict and verdict_as_json(verdict)}
            )
    return said


def report(path, status, body, serials):
    return verdict_as_json(
        TokenClient(path).report(
            int(status), {}, body, "/addresses/v3/address", used=json.loads(serials)
        )
    )


def ask(path, slot):
    """A token, or the error in its place."""
    tokens = TokenClient(path, timeout=5)
    try:
        return token_as_json(tokens.bearer() if slot == "bearer" else tokens.payment(slot))
    except BrokerError as error:
        return error_as_json(error)


STORIES = {story.__name__: story for story in (where, read, read_in_loop, call, report, ask)}
json.dump(STORIES[sys.argv[1]](*sys.argv[2:]), sys.stdout)
