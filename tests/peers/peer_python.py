#!/usr/bin/env python3
"""Python's http.client, given a Unix socket.

cannot: http1.0 expect
"""

import http.client
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(connection, request):
    body = None if request["body"] is None else request["body"].encode()
    connection.request(
        request["method"],
        request["target"],
        iter([body]) if request["chunked"] else body,
        request["headers"],
        encode_chunked=request["chunked"],
    )
    response = connection.getresponse()
    return {
        "status": response.status,
        "headers": {name.lower(): value for name, value in response.getheaders()},
        "body": response.read().decode(),
    }


def alone(request):
    connection = Connection(sys.argv[1])
    try:
        return ask(connection, request)
    finally:
        connection.close()


def main():
    plan = json.load(sys.stdin)
    if plan["how"] == "together":
        with ThreadPoolExecutor(len(plan["requests"])) as pool:
            answers = list(pool.map(alone, plan["requests"]))
    else:
        connection = Connection(sys.argv[1])
        answers = [ask(connection, request) for request in plan["requests"]]
        connection.close()
    json.dump(answers, sys.stdout)


main()
