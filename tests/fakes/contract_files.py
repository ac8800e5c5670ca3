"""The files of `tests/contract`: exchanges with a broker, and what `usps-token` makes of them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from scripted_broker import Behaviour, Drip, HangUp, Reply, Request, ScriptedBroker, Silence

FOLDER = Path(__file__).parent.parent / "contract"
ENDLESS_BYTES = 2 << 20
"""More than any client reads of one answer."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


def exchanges() -> dict[str, dict[str, Any]]:
    """Every exchange by its name. Raises AssertionError for a name given twice."""
    return _named("exchanges")


def commands() -> dict[str, dict[str, Any]]:
    """Every command case by its file and name, and the names within a file are unique."""
    return _named("commands")


@lru_cache
def _named(kind: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(FOLDER.glob(f"{kind}-*.json")):
        topic = path.stem.removeprefix(f"{kind}-")
        for case in json.loads(path.read_text("utf-8"))[kind]:
            # An exchange is named in other files, so its name says all; a command is not.
            name = case["name"] if kind == "exchanges" else f"{topic}: {case['name']}"
            assert name not in found, f"two are named {name}"
            found[name] = case
    assert found
    return found


def body_of(answer: dict[str, Any]) -> bytes:
    """The body of an answer, whichever way it is written."""
    if "json" in answer:
        return json.dumps(answer["json"], ensure_ascii=False).encode()
    body: str = answer.get("body", "")
    return body.encode()


def behaviour_of(answer: dict[str, Any] | str) -> Behaviour:
    """What a scripted broker does to give this answer; a text is the name of an exchange."""
    given: dict[str, Any] = exchanges()[answer]["answer"] if isinstance(answer, str) else answer
    if "raw" in given:
        return Reply(raw=given["raw"].encode("latin-1"))
    if "does" in given:
        return {
            "hang up": HangUp(),
            "be silent": Silence(),
            "drip": Drip(HEAD),
            "pour": Reply(raw=HEAD + bytes(ENDLESS_BYTES).replace(b"\0", b"x")),
        }[given["does"]]
    return Reply(given["status"], body_of(given), dict(given["headers"]))


def script(broker: ScriptedBroker, case: dict[str, Any]) -> None:
    """Have the broker answer as a case says: one after another, the last for ever.

    `at` gives the answer to some paths, whenever they are asked for.
    """
    answers = [behaviour_of(answer) for answer in case.get("answers", [])]
    at = {path: behaviour_of(answer) for path, answer in case.get("at", {}).items()}

    def answer(request: Request) -> Behaviour:
        if request.path in at:
            return at[request.path]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    if answers:
        broker.always = answer


def seen(request: Request) -> dict[str, Any]:
    """What a case says of a request."""
    body = {"text": request.body.decode()} if request.body else {}
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "accept": request.headers.get("accept"),
        **body,
    }
