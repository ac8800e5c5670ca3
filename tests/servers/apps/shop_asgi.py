"""A shop under uvicorn: an AsyncTokenClient of the module, an httpx.AsyncClient of each loop."""

import json
import os

import httpx

from usps_token_client import AsyncTokenClient, BrokerError

URL = os.environ["LABEL_URL"]
BODY = os.environ["LABEL"].encode()
TYPE = {"Content-Type": "application/json", "Accept": "application/vnd.usps.labels+json"}

tokens = AsyncTokenClient()
loaded_by = os.getpid()
clients = []


async def call():
    try:
        answer = await clients[0].post(URL, content=BODY, headers=TYPE)
    except BrokerError as error:
        return 0, str(error)
    if answer.status_code == 200:
        return 200, answer.json()["labelMetadata"]["trackingNumber"]
    return answer.status_code, answer.text


async def lifespan(receive, send):
    """The client to USPS lives as long as the worker."""
    await receive()
    async with httpx.AsyncClient(transport=tokens.transport(), timeout=30) as client:
        clients.append(client)
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def application(scope, receive, send):
    """One label call, and who made it."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    status, what = await call()
    said = {"status": status, "what": what, "pid": os.getpid(), "loaded_by": loaded_by}
    head = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})
