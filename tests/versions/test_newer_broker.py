"""A broker of some later release: it says more than today's, and has new words for troubles.

Clients of 0.1.0 and of today must take what they know and pass on what they do not.
"""

import json
from pathlib import Path

import pytest
from releases import OLD, TODAY
from scripted_broker import HOST, Reply, ScriptedBroker, json_reply, problem

STORY = Path(__file__).with_name("shim_story.py")
LATER = {"a_later_field": {"deep": [1, None, {"deeper": "…"}]}, "zeit": "später", "nothing": None}


@pytest.fixture(params=[OLD, TODAY], ids=["0.1.0", "today"])
def client(request):
    return request.param


@pytest.fixture
def broker():
    """Adds fields that nobody knows to every object it says, and headers to every answer."""
    broker = ScriptedBroker()
    broker.grant("bearer", "bearer-1", 1001, scopes=["addresses"])
    broker.grant("payment", "payment-1", 2001)
    broker.always = lambda request: with_more(broker.answer(request))
    yield broker.start()
    broker.close()


def with_more(reply):
    headers = {**reply.headers, "X-Later": "1", "Deprecation": "@1798761600", "Vary": "Accept"}
    if not reply.headers.get("Content-Type", "").endswith("json"):
        return Reply(reply.status, reply.body, headers)
    return Reply(reply.status, json.dumps({**json.loads(reply.body), **LATER}).encode(), headers)


def test_tokens_and_headers_are_read_all_the_same(client, broker):
    """Unknown fields are passed over, and a token is confirmed as before."""
    for said in client.play(STORY, "read", broker.path):
        assert said["bearer"]["value"] == "bearer-1"
        assert said["payment"]["serial"] == 2001
        assert said["headers"] == {
            "Authorization": "Bearer bearer-1",
            "X-Payment-Authorization-Token": "payment-1",
        }
        assert said["ready"] is True
    sent = [request.headers.get("if-none-match") for request in broker.requests]
    assert '"1001"' in sent
    assert '"1001.2001"' in sent


def test_a_header_that_was_not_asked_for_is_sent_nowhere(client, broker):
    """A client cannot know which calls a third token would be for."""

    def with_a_third(request):
        reply = broker.answer(request)
        if request.path != "/v1/headers":
            return reply
        data = json.loads(reply.body)
        data["headers"]["X-Third-Token"] = "third-1"
        return json_reply(data, ETag=reply.headers["ETag"])

    broker.always = with_a_third
    _, headers = client.play(STORY, "read_in_loop", broker.path)
    assert sorted(headers) == ["Authorization", "X-Payment-Authorization-Token"]


@pytest.mark.parametrize("status", [403, 404, 409, 418, 429, 502, 503, 507])
def test_an_unknown_code_is_a_denial_in_the_brokers_words(client, broker, status):
    """Code, detail and fix reach the caller; when to come again as well."""
    broker.always = problem(status, "moon_phase_wrong", retry_after=7, **LATER)
    error = client.play(STORY, "ask", broker.path, "bearer")
    assert error["error"] == "TokenDenied"
    assert (error["code"], error["status"]) == ("moon_phase_wrong", status)
    assert error["detail"] == "the detail of moon_phase_wrong"
    assert error["fix"] == "the fix of moon_phase_wrong"
    assert error["retry_after"] == 7


def test_an_unknown_code_is_said_by_the_command(client, broker):
    """Exit status 75, come again: what is permanent nobody here can know."""
    broker.always = problem(503, "moon_phase_wrong", **LATER)
    done = client.shim("bearer", "--socket", broker.path, "--timeout", "5")
    assert done.returncode == 75
    assert "the detail of moon_phase_wrong [moon_phase_wrong]" in done.stderr.replace("\n", " ")
    assert "the fix of moon_phase_wrong" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "verdict",
    [
        {"outcome": "postponed", "code": "asked_the_moon", "retry": False},
        {"outcome": "renewed", "code": "asked_the_moon", "retry": True},
        {"outcome": "postponed", "code": "asked_the_moon", "retry": True},
    ],
    ids=["outcome", "code", "both"],
)
def test_an_unknown_verdict_does_what_retry_says(client, broker, verdict):
    """The words are for people; what to do is in `retry` and `headers`."""
    new = {"headers": {"Authorization": "Bearer bearer-2"}, "serials": {"bearer": 1002}}
    broker.verdict = {**verdict, **(new if verdict["retry"] else {}), "detail": "d", "fix": "f"}
    said = client.play(STORY, "report", broker.path, "401", "{}", '{"bearer": 1001}')
    assert {name: said[name] for name in verdict} == verdict
    assert said["headers"] == new["headers"] if verdict["retry"] else said["headers"] is None


def test_an_unknown_status_is_shown_in_words(client, broker):
    """Phases, kinds of freshness and troubles that a later release may have."""
    broker.status = {
        "version": "9.0.0",
        "pid": 7,
        "started_at": 1.0,
        "at": 100.0,
        "ready": True,
        "waiting": 0,
        "state_trouble": None,
        "apps": [{"app": "default", "host": HOST, "slots": [LATER_SLOT], "budget": [], **LATER}],
    }
    done = client.shim("status", "--socket", broker.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usps-token-broker 9.0.0, pid 7")
    assert "bearer" in done.stdout
    assert "the fix of moon_phase_wrong" in done.stdout


LATER_SLOT = {
    "slot": "bearer",
    "phase": "dreaming",
    "freshness": "ripe",
    "ready": True,
    "required": True,
    "degraded": False,
    "suspect": False,
    "serial": 1001,
    "issued_at": 1.0,
    "expires_at": 28_801.0,
    "expires_in": 28_701.0,
    "use_until": 27_001.0,
    "renew_at": 23_000.0,
    "next_attempt_at": None,
    "next_attempt_why": "the moon",
    "attempts_left": 4.0,
    "scopes": None,
    "trouble": {
        "code": "moon_phase_wrong",
        "detail": "d",
        "fix": "the fix of moon_phase_wrong",
        "since": 50.0,
        "at": 60.0,
        "times": 2,
        "upstream_status": 418,
        **LATER,
    },
    **LATER,
}


def test_a_status_of_another_shape_is_shown_as_it_came(client, broker):
    """JSON is better than nothing, and than a traceback."""
    broker.status = {"version": [9], "apps": {"default": "fine"}}
    done = client.shim("status", "--socket", broker.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["apps"] == {"default": "fine"}
