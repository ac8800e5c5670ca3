"""httpx.Client with our transport, one that a child has of its parent."""

import httpx
from said import BODY, TYPE, URL, line, serve

from usps_token_client import BrokerError, TokenClient

client = httpx.Client(transport=TokenClient().transport(), timeout=30)


def call():
    try:
        answer = client.post(URL, content=BODY, headers=TYPE)
    except BrokerError as error:
        return line(0, error)
    return line(answer.status_code, answer.content)


serve(call)
