"""Workers of multiprocessing, by the protocol of tests/fakes/facts.py: `process_pools.py HOW`.

HOW is a start method and a kind of pool, such as `fork-Pool`. The parent uses the client before it
makes the pool; each `call` is answered by one line of every process.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress

import httpx

from usps_token_client import BrokerError, TokenClient

URL = os.environ["LABEL_URL"]
BODY = os.environ["LABEL"].encode()
TYPE = {"Content-Type": "application/json", "Accept": "application/vnd.usps.labels+json"}
PROCESSES = 4
MEET_SECONDS = 60

tokens = TokenClient()
meeting = None
clients = {}


def prepare(barrier):
    """A worker begins; tasks that meet here are one in each process."""
    global meeting  # noqa: PLW0603 - an initializer has no other way to leave something
    meeting = barrier


def call(_number):
    meeting.wait(MEET_SECONDS)
    if os.getpid() not in clients:
        clients[os.getpid()] = httpx.Client(transport=tokens.transport(), timeout=30)
    try:
        answer = clients[os.getpid()].post(URL, content=BODY, headers=TYPE)
    except BrokerError as error:
        return f"0 {' '.join(str(error).split())}"
    if answer.status_code == 200:
        return f"200 {answer.json()['labelMetadata']['trackingNumber']}"
    return f"{answer.status_code} {' '.join(answer.text.split())}"


def pool_of(method, kind):
    """A pool, and the function that gives it one task a process."""
    context = multiprocessing.get_context(method)
    barrier = context.Barrier(PROCESSES)
    if kind == "Pool":
        pool = context.Pool(PROCESSES, prepare, (barrier,))
        return pool, lambda: pool.map(call, range(PROCESSES), chunksize=1)
    pool = ProcessPoolExecutor(PROCESSES, context, prepare, (barrier,))
    return pool, lambda: list(pool.map(call, range(PROCESSES)))


def main():
    """Do what each line says."""
    with suppress(BrokerError):  # the children are told the same, and say so
        tokens.headers(payment=True)
    pool, everywhere = pool_of(*sys.argv[1].split("-"))
    with pool:
        for _ in sys.stdin:
            sys.stdout.write("".join(f"{line}\n" for line in everywhere()))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
