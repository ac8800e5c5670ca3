"""What the Python programs here share: the protocol of tests/fakes/facts.py, and one label call."""

import http.client
import json
import os
import sys
from urllib.parse import urlsplit

URL = os.environ["LABEL_URL"]
BODY = os.environ["LABEL"].encode()
TYPE = {"Content-Type": "application/json", "Accept": "application/vnd.usps.labels+json"}
FORKED = 4


def line(status, body):
    """One answer as the protocol wants it."""
    text = body.decode() if isinstance(body, bytes) else str(body)
    if status == 200:
        text = json.loads(text)["labelMetadata"]["trackingNumber"]
    return f"{status} {' '.join(text.split())}\n"


def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def post(headers):
    """A label call by the standard library; status, headers and body."""
    parts = urlsplit(URL)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("POST", parts.path, BODY, {**TYPE, **headers})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def in_children(work):
    """What each of some children says, which are forked now."""
    pipes = []
    for _ in range(FORKED):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, work().encode())
            os._exit(0)
        os.close(writing)
        pipes.append(reading)
    for reading in pipes:
        with open(reading, encoding="utf-8") as pipe:  # noqa: PTH123 - a descriptor
            write(pipe.read())
        os.wait()


def serve(call, forked=None):
    """Do what each line says, until there are no more."""
    for word in sys.stdin:
        if word.strip() == "fork":
            in_children(forked or call)
        else:
            write(call())
