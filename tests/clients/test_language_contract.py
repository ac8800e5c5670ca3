"""The contract's exchanges, played to the clients in other languages."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from contract_files import behaviour_of, exchanges
from language_clients import CLIENTS, LANGUAGES, BrokerSaid, LanguageClient

QUICK_SECONDS = 0.3
PLAYED = {
    name: exchange
    for name, exchange in exchanges().items()
    if ("gives" in exchange or "error" in exchange)
    and exchange["request"]["headers"]["Accept"] == "application/json"
}


@pytest.fixture(params=LANGUAGES, scope="module")
def language(request):
    """A driver that asks for the whole file."""
    with LanguageClient(request.param) as client:
        client.name = request.param
        yield client


def parts(target):
    """Path and query of a target, its numbers as numbers."""
    split = urlsplit(target)
    query = {key: values[0] for key, values in parse_qs(split.query).items()}
    return split.path, {
        key: float(value) if key in {"wait", "min_valid"} else value for key, value in query.items()
    }


def play(client, request):
    """The question of a driver that makes its client ask this."""
    path, query = parts(request["target"])
    if path.startswith("/v1/tokens/payment"):
        name = path.partition("payment")[2].removeprefix("-") or "default"
        return client.ask("payment", name=name)
    if path == "/v1/headers":
        return client.ask("headers", payment=query.get("payment", False))
    if path == "/v1/status":
        return client.ask("status")
    if path == "/readyz":
        slots = [query["slot"]] if "slot" in query else []
        least = {"min_valid": query["min_valid"]} if "min_valid" in query else {}
        return client.ask("unready", slots=slots, **least)
    if path == "/v1/answers":
        said = dict(request["json"])
        return client.ask("report", used=said.pop("serials", {"bearer": 1}), **said)
    return client.ask("bearer")


def facts(kind, value):
    """What the contract says of such a value."""
    if kind == "ready":
        return value == []
    if kind == "verdict":
        return {name: value[name] for name in ("code", "outcome", "retry")}
    return value


@pytest.mark.parametrize("name", [name for name, played in PLAYED.items() if "gives" in played])
def test_an_answer_gives_what_the_contract_says(language, broker, name):
    """The question as it is written there, and the value."""
    exchange = PLAYED[name]
    broker.always = behaviour_of(exchange["answer"])
    language.ask("new", socket=broker.path)
    [(kind, wanted)] = exchange["gives"].items()
    assert facts(kind, play(language, exchange["request"])) == wanted
    [asked] = broker.requests
    request = exchange["request"]
    assert (asked.method, *parts(asked.target)) == (request["method"], *parts(request["target"]))
    for header, value in request["headers"].items():
        assert asked.headers[header.lower()] == value
    if "json" in request:
        assert asked.json() == request["json"]


@pytest.mark.parametrize("name", [name for name, played in PLAYED.items() if "error" in played])
def test_an_answer_is_the_error_the_contract_says(language, broker, name):
    """Its code, whether a person must act, and when to ask again."""
    exchange = PLAYED[name]
    broker.always = behaviour_of(exchange["answer"])
    language.ask("new", socket=broker.path, timeout=QUICK_SECONDS)
    with pytest.raises(BrokerSaid) as caught:
        play(language, exchange["request"])
    error, wanted = caught.value.error, exchange["error"]
    assert {name: error[name] for name in wanted} == wanted
    problem = exchange["answer"].get("json", {})
    if problem.get("code") == wanted["code"]:
        assert (error["detail"], error["fix"]) == (problem["detail"], problem["fix"])


def test_a_held_token_is_confirmed_as_the_contract_says(language, broker):
    """After `check_after` the ETag is sent; a 304 means that the held one is good."""
    held = exchanges()["the bearer as JSON"]
    confirmed = exchanges()["the bearer, still the same"]
    broker.script = [behaviour_of(held["answer"]), behaviour_of(confirmed["answer"])]
    language.ask("new", socket=broker.path)
    first = language.ask("bearer")
    language.ask("advance", seconds=held["answer"]["json"]["check_after"])
    assert language.ask("bearer") == first
    assert language.ask("bearer") == first
    assert len(broker.requests) == 2
    asked = broker.requests[-1]
    assert parts(asked.target) == parts(confirmed["request"]["target"])
    assert asked.headers["if-none-match"] == confirmed["request"]["headers"]["If-None-Match"]


SOURCES = [
    path
    for folder, pattern in (("node", "*.js"), ("php/src", "*.php"))
    for path in sorted((CLIENTS / folder).glob(pattern))
]
CHECKED = [*SOURCES, *sorted((Path(__file__).parents[1] / "fakes").glob("driver_*"))]


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: path.name)
def test_its_language_takes_the_file(path):
    """`node --check` and `php -l`."""
    command = ["php", "-l", path] if path.suffix == ".php" else ["node", "--check", path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is not installed")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_types_name_what_there_is():
    """Every method of the Node.js client, and no other."""
    show = "import {TokenClient as T} from './index.js'; console.log(JSON.stringify(Object."
    show += "getOwnPropertyNames(T.prototype)))"
    try:
        said = subprocess.check_output(
            ["node", "--input-type=module", "-e", show], cwd=CLIENTS / "node", timeout=60
        )
    except FileNotFoundError:
        pytest.skip("node is not installed")
    typed = (CLIENTS / "node" / "index.d.ts").read_text("utf-8").partition("class TokenClient")[2]
    assert set(json.loads(said)) == set(re.findall(r"(?m)^  (\w+)\(", typed))


def test_one_version_is_told_everywhere():
    """That of the broker, in the packages and in what they send."""
    told = {
        re.search(pattern, (CLIENTS / path).read_text("utf-8"))[1]
        for path, pattern in (
            ("node/package.json", r'"version": "([^"]+)"'),
            ("node/wire.js", r"VERSION = '([^']+)'"),
            ("php/src/Wire.php", r"VERSION = '([^']+)'"),
            ("python/pyproject.toml", r'(?m)^version = "([^"]+)"'),
        )
    }
    assert len(told) == 1, told
