"""aiohttp with our middleware; a child has its own session, over its parent's client."""

import asyncio

import aiohttp
from said import BODY, TYPE, URL, line, serve

from usps_token_client import AsyncTokenClient, BrokerError

tokens = AsyncTokenClient()


async def session():
    return aiohttp.ClientSession(middlewares=[tokens.middleware()])


async def call(http):
    try:
        async with http.post(URL, data=BODY, headers=TYPE) as answer:
            return line(answer.status, await answer.read())
    except BrokerError as error:
        return line(0, error)


async def call_in_child():
    async with await session() as http:
        return await call(http)


with asyncio.Runner() as runner:
    kept = runner.run(session())
    serve(lambda: runner.run(call(kept)), lambda: asyncio.run(call_in_child()))
    runner.run(kept.close())
