"""httpx.Client with our transport; a child has its own Client, over its parent's TokenClient."""

import os

import httpx
from said import BODY, TYPE, URL, line, serve

from usps_token_client import BrokerError, TokenClient

tokens = TokenClient()
clients = {}


def client():
    """Of this process: the connections of httpx to USPS are not for two."""
    if os.getpid() not in clients:
        clients[os.getpid()] = httpx.Client(transport=tokens.transport(), timeout=30)
    return clients[os.getpid()]


def call():
    try:
        answer = client().post(URL, content=BODY, headers=TYPE)
    except BrokerError as error:
        return line(0, error)
    return line(answer.status_code, answer.content)


serve(call)
