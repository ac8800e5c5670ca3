"""Clients of a broker that never rest: `python busy_clients.py STOP_FILE THREADS`.

Each thread asks for both tokens, with a client of its own for each question, so that nothing is
answered from memory. Once the file is there it prints what happened, as JSON: how many questions
were answered, which failed, and how many tokens were seen.
"""

import json
import sys
import threading
from pathlib import Path

from usps_token_client import TokenClient


def ask(stop: Path, answers: list[str], failures: list[str]) -> None:
    """Until the file is there. List appends are atomic, so threads share them."""
    while not stop.exists():
        client = TokenClient()
        try:
            answers.append(client.bearer().value)
            answers.append(client.payment().value)
        except Exception as error:  # noqa: BLE001 - whatever a worker would see
            failures.append(repr(error))


def main(stop: Path, threads: int) -> None:
    """Ask in that many threads."""
    answers: list[str] = []
    failures: list[str] = []
    running = [threading.Thread(target=ask, args=(stop, answers, failures)) for _ in range(threads)]
    for thread in running:
        thread.start()
    print("asking", flush=True)  # noqa: T201 - it is a program
    for thread in running:
        thread.join()
    said = {"answers": len(answers), "failures": failures[:5], "tokens": len(set(answers))}
    print(json.dumps(said))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
