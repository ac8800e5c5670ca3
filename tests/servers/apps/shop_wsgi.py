"""A shop under gunicorn or uwsgi: one TokenClient, made and used where the application is loaded.

With `preload_app` that is in the master, so every worker has the client that its parent used.
"""

import json
import os

import httpx

from usps_token_client import BrokerError, TokenClient

URL = os.environ["LABEL_URL"]
BODY = os.environ["LABEL"].encode()
TYPE = {"Content-Type": "application/json", "Accept": "application/vnd.usps.labels+json"}

tokens = TokenClient()
loaded_by = os.getpid()
loaded_with = sorted(tokens.headers(payment=True)) if "REFUSED" not in os.environ else []
clients = {}


def client():
    """Of this worker: the connections of httpx to USPS are not for two processes."""
    if os.getpid() not in clients:
        clients[os.getpid()] = httpx.Client(transport=tokens.transport(), timeout=30)
    return clients[os.getpid()]


def call():
    try:
        answer = client().post(URL, content=BODY, headers=TYPE)
    except BrokerError as error:
        return 0, str(error)
    if answer.status_code == 200:
        return 200, answer.json()["labelMetadata"]["trackingNumber"]
    return answer.status_code, answer.text


def application(environ, start_response):
    """One label call, and who made it."""
    status, what = call()
    said = {"status": status, "what": what, "pid": os.getpid(), "loaded_by": loaded_by}
    body = json.dumps(said).encode()
    head = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", head)
    return [body]
