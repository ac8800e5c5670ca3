#!/usr/bin/env python3
"""requests (and urllib3 below it) with the adapter of requests-unixsocket2.

It keeps a connection for each URL.

cannot: http1.0 expect one-connection
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

try:
    import requests_unixsocket
except ImportError as missing:
    sys.stderr.write(f"requests-unixsocket2 is not installed: {missing}\n")
    raise SystemExit(69) from None


def ask(session, request):
    body = None if request["body"] is None else request["body"].encode()
    response = session.request(
        request["method"],
        f"http+unix://{quote(sys.argv[1], safe='')}{request['target']}",
        headers=request["headers"],
        data=iter([body]) if request["chunked"] else body,
        timeout=30,
    )
    return {
        "status": response.status_code,
        "headers": {name.lower(): value for name, value in response.headers.items()},
        "body": response.content.decode(),
    }


def alone(request):
    with requests_unixsocket.Session() as session:
        return ask(session, request)


def main():
    plan = json.load(sys.stdin)
    if plan["how"] == "together":
        with ThreadPoolExecutor(len(plan["requests"])) as pool:
            answers = list(pool.map(alone, plan["requests"]))
    else:
        with requests_unixsocket.Session() as session:
            answers = [ask(session, request) for request in plan["requests"]]
    json.dump(answers, sys.stdout)


main()
