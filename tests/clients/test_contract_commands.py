"""`usps-token` of every language does what the contract's command cases say."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import pytest
from contract_files import behaviour_of, commands, exchanges, script, seen
from ordinary_user import ORDINARY_UID
from scripted_broker import Reply, ScriptedBroker
from socket_places import PLACES, USUAL, runtime_of
from token_programs import PROGRAMS, missing, run, run_as_ordinary_user

import usps_token_client
from usps_token_client import _help
from usps_token_client._finding import SYSTEM_SOCKET

CASES = commands()


@pytest.fixture
def stage():
    """A scripted broker that does not listen yet, and all that is to be closed after the test."""
    broker = ScriptedBroker()
    with contextlib.ExitStack() as things:
        things.callback(broker.close)
        yield broker, things


def filled(text, fill):
    """The text with what the test knows in place of `{names}`."""
    for name, value in fill.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def body_of_the_last(case):
    """The body of the last answer, which `{answer}` stands for."""
    last = behaviour_of(case["answers"][-1]) if case.get("answers") else None
    return last.body.decode() if isinstance(last, Reply) else ""


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_command_does_what_the_contract_says(stage, case, name):
    """Exit status, stdout, stderr, and what the broker was asked."""
    if missing(name):
        pytest.skip(f"there is no {missing(name)}")
    place = case.get("socket", "listening")
    if place in USUAL and Path(SYSTEM_SOCKET).parent.exists():
        pytest.skip("this machine has a broker")
    broker, things = stage
    as_another = place == "closed to this user" and os.geteuid() == 0
    runtime_of(broker).mkdir(exist_ok=True)
    fill = {
        "socket": PLACES[place](broker, things),
        "runtime": str(runtime_of(broker)),
        "uid": str(ORDINARY_UID if as_another else os.geteuid()),
        "gid": str(ORDINARY_UID if as_another else os.getegid()),
        "answer": body_of_the_last(case),
        "help": _help.HELP,
        "version": usps_token_client.__version__,
    }
    script(broker, case)
    argv = [filled(word, fill) for word in case["argv"]]
    environment = case.get("env", {"USPS_TOKEN_SOCKET": "{socket}"})
    environment = {key: filled(value, fill) for key, value in environment.items()}
    if as_another:
        done = run_as_ordinary_user(name, argv, environment, broker.folder)
    else:
        done = run(name, argv, environment, stdin=case.get("stdin"))
    assert done.status == case["exit"], done.err
    if "stdout_like" in case:
        assert re.search(filled(case["stdout_like"], fill), done.out), done.out
    else:
        assert done.out == filled(case["stdout"], fill), done.err
    if "stderr_like" in case:
        assert re.search(filled(case["stderr_like"], fill), done.err), done.err
    else:
        assert done.err == filled(case["stderr"], fill)
    if "asked" in case:
        assert [seen(request) for request in broker.requests] == case["asked"]


def test_every_problem_code_is_told_by_some_command():
    """A code of the exchanges that no command meets would be a gap."""
    codes = {exchange["answer"]["json"]["code"] for exchange in exchanges().values()
             if "error" in exchange and "code" in exchange["answer"].get("json", {})}  # fmt: skip
    told = " ".join(CASES)
    assert {code for code in codes if code not in told} == {"moon_phase"}
