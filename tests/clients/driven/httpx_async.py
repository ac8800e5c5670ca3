"""httpx.AsyncClient with our transport; a child has its own, over its parent's client."""

import asyncio

import httpx
from said import BODY, TYPE, URL, line, serve

from usps_token_client import AsyncTokenClient, BrokerError

tokens = AsyncTokenClient()


def client():
    return httpx.AsyncClient(transport=tokens.transport(), timeout=30)


async def call(http):
    try:
        answer = await http.post(URL, content=BODY, headers=TYPE)
    except BrokerError as error:
        return line(0, error)
    return line(answer.status_code, answer.content)


async def call_in_child():
    async with client() as http:
        return await call(http)


with asyncio.Runner() as runner:
    kept = client()
    serve(lambda: runner.run(call(kept)), lambda: asyncio.run(call_in_child()))
    runner.run(kept.aclose())
