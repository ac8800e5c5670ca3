#!/usr/bin/env python3
"""httpx on asyncio, with its own Unix socket transport.

cannot: http1.0 expect
"""

import asyncio
import json
import sys

try:
    import httpx
except ImportError as missing:
    sys.stderr.write(f"httpx is not installed: {missing}\n")
    raise SystemExit(69) from None


async def pieces(body):
    yield body


async def ask(client, request):
    body = None if request["body"] is None else request["body"].encode()
    response = await client.request(
        request["method"],
        f"http://localhost{request['target']}",
        headers=request["headers"],
        content=pieces(body) if request["chunked"] else body,
    )
    return {
        "status": response.status_code,
        "headers": dict(response.headers),
        "body": response.content.decode(),
    }


async def main():
    plan = json.load(sys.stdin)
    transport = httpx.AsyncHTTPTransport(uds=sys.argv[1])
    async with httpx.AsyncClient(transport=transport, timeout=30) as client:
        if plan["how"] == "together":
            answers = await asyncio.gather(*(ask(client, each) for each in plan["requests"]))
        else:
            answers = [await ask(client, request) for request in plan["requests"]]
    json.dump(answers, sys.stdout)


asyncio.run(main())
