"""`/v1/explanations` and what is kept of answers that no row knows."""

import json

import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from interface import ALICE, app, open_interface
from usps_tokens import LIVE

from usps_token_broker.app.unrecognised import MOST, Unrecognised, without_ids
from usps_token_broker.catalogue import CATALOGUE

REFUSED = b'{"error": {"code": "401", "message": "Insufficient OAuth scope."}}'


@pytest.fixture
def anyio_backend():
    """The app runs on trio here, whose clock jumps when everybody sleeps."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def explained(broker, text, query="", who=ALICE):
    """What is said of this text."""
    answer = await broker.ask("POST", f"/v1/explanations{query}", {}, text, who)
    assert answer.status == 200
    return answer.json


@pytest.mark.anyio
async def test_a_worker_is_told_what_an_answer_means():
    """By the same rules as a report, and without one."""
    async with open_interface(app()) as broker:
        told = await explained(broker, b"HTTP/1.1 401 Unauthorized\r\n\r\n" + REFUSED)
        assert (told["code"], told["recognised"]) == ("scope_missing", True)


@pytest.mark.anyio
async def test_a_call_to_another_host_than_the_apps_is_seen():
    """The broker knows which host its tokens are for."""
    async with open_interface(app()) as broker:
        text = b"curl https://elsewhere.example/a\nHTTP/2 401\n\n"
        assert (await explained(broker, text))["code"] == "host_mismatch"


@pytest.mark.anyio
async def test_an_app_that_is_not_there_is_refused():
    """As everywhere."""
    async with open_interface(app()) as broker:
        answer = await broker.ask("POST", "/v1/explanations?app=nope", {}, b"x", ALICE)
        assert (answer.status, answer.json["code"]) == (404, "unknown_app")


@pytest.mark.anyio
async def test_the_catalogue_is_served_whole():
    """Clients have no table of their own."""
    async with open_interface(app()) as broker:
        answer = await broker.ask("GET", "/v1/explanations", {}, b"", ALICE)
        assert [row["code"] for row in answer.json["rows"]] == list(CATALOGUE)


@pytest.mark.anyio
async def test_what_nobody_knows_is_kept_for_administrators():
    """Told by report or by question; the same twice is counted."""
    async with open_interface(app()) as broker:
        body = json.dumps({"status": 418, "body": "teapot", "path": "/tea/v3/pot/12345678"})
        for _ in range(2):
            await broker.ask("POST", "/v1/answers", {}, body.encode(), ALICE)
        await explained(broker, b"HTTP/1.1 419 x\n\nwhat")
        await explained(broker, b"no status, so nothing to keep")
        answer = await broker.ask("GET", "/v1/unrecognised", {}, b"", admin=True)
        kept = [(k["status"], k["path"], k["words"], k["times"]) for k in answer.json["answers"]]
        assert kept == [(418, "/tea/v3/pot/…", "teapot", 2), (419, "", "what", 1)]


@pytest.mark.anyio
async def test_what_is_kept_is_not_for_workers():
    """Another user's answers may be in it."""
    async with open_interface(app()) as broker:
        answer = await broker.ask("GET", "/v1/unrecognised", {}, b"", ALICE)
        assert answer.status == 404


@given(st.lists(st.tuples(st.integers(100, 599), st.text(max_size=40), st.text(max_size=400))))
def test_what_is_kept_is_bounded(answers):
    """However many there are, and however long."""
    unknown = Unrecognised()
    for status, path, body in answers:
        unknown.note(status, path, body, 0.0)
    kept = list(unknown)
    assert len(kept) <= MOST
    assert all(len(k.words) <= 300 and len(k.path) <= 80 for k in kept)


def test_the_ones_seen_last_are_kept():
    """The oldest goes."""
    unknown = Unrecognised()
    for number in range(MOST + 5):
        unknown.note(418, "", chr(ord("a") + number), float(number))
    assert [k.last_at for k in unknown] == [float(n) for n in range(5, MOST + 5)]


def test_no_token_is_kept():
    """Some services echo what they were sent."""
    unknown = Unrecognised()
    unknown.note(418, f"/a/{LIVE}", f"you sent {LIVE}", 0.0)
    [kept] = unknown
    assert LIVE[:60] not in kept.words + kept.path


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/tracking/v3/tracking/9205590164917312751089?expand=x", "/tracking/v3/tracking/…"),
        ("/tracking/v3r2/x", "/tracking/v3r2/x"),
        ("/labels/v3/label", "/labels/v3/label"),
    ],
)
def test_numbers_in_paths_are_not_kept(path, shown):
    """They name parcels and accounts."""
    assert without_ids(path) == shown


@pytest.mark.anyio
async def test_an_answer_without_its_words_is_not_kept():
    """`curl -f` hides them, and so does gzip: nobody could name what it was."""
    async with open_interface(app()) as broker:
        text = b"curl: (22) The requested URL returned error: 401"
        assert not (await explained(broker, text))["recognised"]
        answer = await broker.ask("GET", "/v1/unrecognised", {}, b"", admin=True)
        assert answer.json["answers"] == []
