"""AsyncTokenClient and plain headers, in one loop for all calls; a forked child has its own."""

import asyncio

from said import URL, line, post, serve

from usps_token_client import AsyncTokenClient, BrokerError

tokens = AsyncTokenClient()


async def call():
    try:
        headers = await tokens.headers(payment=True)
        status, answered, body = await asyncio.to_thread(post, headers)
        if status == 401:
            path = "/" + URL.split("/", 3)[3]
            verdict = await tokens.report(status, answered, body, path, used=headers)
            if verdict.retry:
                status, _, body = await asyncio.to_thread(post, verdict.headers)
    except BrokerError as error:
        return line(0, error)
    return line(status, body)


async def call_in_child():
    """The threads of the parent's loop are not here, so the call itself is made in this one."""
    return line(*post(await tokens.headers(payment=True))[::2])


with asyncio.Runner() as runner:
    # The children are forked between two calls, while no loop runs.
    serve(lambda: runner.run(call()), lambda: asyncio.run(call_in_child()))
