"""`POST /v1/answers`: what USPS told a worker, what it means, and what comes of it."""

import json

import anyio
import pytest
from interface import ALICE, BOB, app, open_interface
from virtual import DAY, DOWN, HOUR

from usps_token_broker.core.events import Stopped
from usps_token_broker.core.outcomes import Code, Failure, FailureKind

pytestmark = pytest.mark.anyio

DEAD = '{"apiVersion": "3.0", "error": {"code": "401", "message": "The access token expired"}}'
SCOPE = '{"error": {"code": "401", "message": "Insufficient OAuth scope"}}'
LABEL = "/labels/v3/label"


async def test_a_dead_token_is_renewed_and_the_worker_gets_the_new_one():
    """One call to USPS, and headers to send the request again with."""
    async with open_interface() as broker:
        old = await broker.token()
        said = (await broker.report(401, DEAD, serials={"bearer": old["serial"]})).json
        new = await broker.token()
        assert (said["outcome"], said["retry"], said["code"]) == ("renewed", True, "token_dead")
        assert said["headers"] == {"Authorization": f"Bearer {new['token']}"}
        assert said["serials"] == {"bearer": new["serial"]}
        assert new["token"] != old["token"]
        assert len(broker.usps.calls_of(("default", "bearer"))) == 2


async def test_an_old_serial_gets_the_current_headers_and_costs_no_call():
    """The worker was late; others have had it renewed."""
    async with open_interface() as broker:
        old = await broker.token()
        await broker.report(401, DEAD, serials={"bearer": old["serial"]})
        calls = len(broker.usps.calls)
        said = (await broker.report(401, DEAD, serials={"bearer": old["serial"]})).json
        assert (said["outcome"], said["retry"]) == ("superseded", True)
        assert said["serials"]["bearer"] == (await broker.token())["serial"]
        assert len(broker.usps.calls) == calls


async def test_news_of_a_token_that_was_replaced_is_answered_at_once():
    """A crowd of workers reports the same one: for all but the first the verdict lies ready."""
    async with open_interface(app(payments=["payment"])) as broker:
        bearer, payment = await broker.token(), await broker.token("payment")
        serials = {"bearer": bearer["serial"], "payment": payment["serial"]}
        label = {"path": LABEL, "serials": serials}
        await broker.report(401, DEAD, **label)
        assert not broker.lay_ready
        said = (await broker.report(401, DEAD, **label)).json
        assert broker.lay_ready
        assert (said["outcome"], said["retry"]) == ("superseded", True)
        assert said["serials"]["bearer"] == (await broker.token())["serial"]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, SCOPE, "scope_missing"),
        (429, "", "rate_limited"),
        (503, "", "server_error"),
        (400, '{"error": {"message": "ZIPCode is missing"}}', "form_error"),
        (200, "", "not_an_error"),
        (404, "", "not_found"),
        (418, "", "not_recognised"),
        (-5, "", "not_recognised"),
    ],
)
async def test_what_is_not_about_the_token_costs_no_call(status, body, code):
    """It says what it is and what to do, that a retry is useless, and gives the headers anyway."""
    async with open_interface() as broker:
        token = await broker.token()
        calls = len(broker.usps.calls)
        said = (await broker.report(status, body, serials={"bearer": token["serial"]})).json
        assert (said["outcome"], said["retry"], said["code"]) == ("not_the_token", False, code)
        assert said["detail"]
        assert said["fix"]
        assert said["serials"] == {"bearer": token["serial"]}
        assert len(broker.usps.calls) == calls


async def test_a_call_to_another_host_is_not_the_tokens_fault():
    """Tokens of the test environment are dead at the real one, and always will be."""
    async with open_interface() as broker:
        token = await broker.token()
        answer = await broker.report(
            401, DEAD, serials={"bearer": token["serial"]}, host="apis-tem.usps.com"
        )
        assert answer.json["code"] == "host_mismatch"
        assert answer.json["outcome"] == "not_the_token"


async def test_a_report_that_comes_too_soon_is_throttled_and_says_when():
    """A fresh token after another is reported: the guard holds, with an instant."""
    async with open_interface() as broker:
        for expected in ("renewed", "throttled"):
            token = await broker.token()
            said = (await broker.report(401, DEAD, serials={"bearer": token["serial"]})).json
            assert said["outcome"] == expected
        assert said["retry"] is False
        assert "renewed after a report not long ago" in said["detail"]
        assert "USPS answered 401" in said["detail"]
        assert 0 < said["retry_after"] <= 60
        assert said["next_attempt_at"] == pytest.approx(
            broker.clock().wall + said["retry_after"], abs=0.01
        )
        assert said["serials"]["bearer"] == token["serial"]


async def test_a_renewal_that_fails_is_said_with_the_reason():
    """The worker is not told to try again with the same token."""
    async with open_interface() as broker:
        token = await broker.token()
        broker.usps.down(0, float("inf"))
        said = (
            await broker.report(401, DEAD, query="?wait=1", serials={"bearer": token["serial"]})
        ).json
        assert (said["outcome"], said["retry"]) == ("failed", False)
        assert DOWN.detail in said["detail"]
        assert said["fix"] == DOWN.fix


async def test_a_refused_label_gets_both_headers():
    """The bearer is renewed first; the payment token stays, and both come back."""
    async with open_interface() as broker:
        bearer, payment = await broker.token(), await broker.token("payment")
        serials = {"bearer": bearer["serial"], "payment": payment["serial"]}
        said = (await broker.report(401, DEAD, path=LABEL, serials=serials)).json
        assert said["outcome"] == "renewed"
        assert set(said["headers"]) == {"Authorization", "X-Payment-Authorization-Token"}
        assert said["serials"]["bearer"] != bearer["serial"]
        assert said["serials"]["payment"] == payment["serial"]


async def test_another_payment_slot_is_named():
    """`payment` in the report is the name that the headers were asked for with."""
    async with open_interface(app(payments=("payment", "payment-eu"))) as broker:
        bearer, payment = await broker.token(), await broker.token("payment-eu")
        serials = {"bearer": bearer["serial"], "payment": payment["serial"]}
        answer = await broker.report(401, DEAD, path=LABEL, serials=serials, payment="eu")
        token = answer.json["headers"]["X-Payment-Authorization-Token"]
        assert token == payment["token"]
        answer = await broker.report(401, DEAD, path=LABEL, serials=serials, payment="us")
        assert answer.code == "unknown_slot"


async def test_a_report_without_a_serial_is_a_bad_request():
    """The broker would have to guess which token is meant, and a guess costs a call."""
    async with open_interface() as broker:
        await broker.token()
        calls = len(broker.usps.calls)
        for serials in ({}, {"bearer": None}, {"payment": 5}):
            answer = await broker.report(401, DEAD, serials=serials)
            assert (answer.status, answer.code) == (400, "bad_request")
            assert '"serials"' in answer.json["fix"]
        assert len(broker.usps.calls) == calls


async def test_what_needs_no_serial_is_said_without_one():
    """A worker may just ask what an answer means."""
    async with open_interface() as broker:
        await broker.token()
        assert (await broker.report(401, SCOPE)).json["code"] == "scope_missing"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "truncated"),
        (b"nonsense", "malformed"),
        (b"[]", "array"),
        (b"{}", "status"),
        (b'{"status": "401"}', "$.status"),
        (b'{"status": 401, "serials": {"bearer": "1"}}', "$.serials"),
        (b'{"status": 401, "headers": {"a": ["b"]}}', "$.headers"),
        (b'{"status": 401, "body": {}}', "$.body"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 60_000, "report"),
    ],
)
async def test_a_body_that_is_no_report_says_where(body, word):
    """With an example of one."""
    async with open_interface() as broker:
        answer = await broker.ask("POST", "/v1/answers", body=body)
        assert (answer.status, answer.code) == (400, "bad_request")
        assert word in answer.json["detail"]
        assert '"status": 401' in answer.json["fix"]


async def test_unknown_fields_are_ignored():
    """A newer shim may say more."""
    async with open_interface() as broker:
        token = await broker.token()
        answer = await broker.report(401, SCOPE, serials={"bearer": token["serial"]}, shoe_size=43)
        assert answer.status == 200


async def test_half_a_character_at_the_cut_is_no_reason_to_refuse():
    """JavaScript cuts a text at 4 KB in the middle of a pair, and writes `\\ud83d`."""
    async with open_interface() as broker:
        token = await broker.token()
        report = {"status": 401, "body": DEAD + "\ud83d", "serials": {"bearer": token["serial"]}}
        body = json.dumps(report).encode()
        answer = await broker.ask("POST", "/v1/answers", body=body)
        assert answer.json["outcome"] == "renewed"


async def test_what_usps_said_comes_back_without_secrets():
    """An answer that quotes the token is quoted without it."""
    async with open_interface() as broker:
        token = await broker.token()
        jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
        body = json.dumps({"error": {"code": "400", "message": f"bad token {jwt} here"}})
        answer = await broker.report(400, body, serials={"bearer": token["serial"]})
        assert "bad token […] here" in answer.json["detail"]
        assert b"eyJ" not in answer.body


async def test_who_may_not_have_the_token_may_not_report_it():
    """A stranger to payment tokens cannot have one renewed."""
    async with open_interface() as broker:
        bearer, payment = await broker.token(), await broker.token("payment")
        serials = {"bearer": bearer["serial"], "payment": payment["serial"]}
        calls = len(broker.usps.calls)
        answer = await broker.report(401, DEAD, path=LABEL, serials=serials, who=ALICE)
        assert (answer.status, answer.code) == (403, "forbidden")
        assert len(broker.usps.calls) == calls
        answer = await broker.report(401, DEAD, path=LABEL, serials=serials, who=BOB)
        assert answer.json["outcome"] == "renewed"


async def test_an_unknown_app_is_said():
    """As for every call."""
    async with open_interface() as broker:
        answer = await broker.report(401, DEAD, query="?app=nope", serials={"bearer": 1})
        assert answer.code == "unknown_app"


async def test_wait_bounds_how_long_a_report_waits():
    """The renewal goes on; the worker is told that it did not end in time."""
    async with open_interface() as broker:
        token = await broker.token()
        broker.usps.latency_seconds = 7.0
        before = broker.clock().boot
        answer = await broker.report(
            401, DEAD, query="?wait=2", serials={"bearer": token["serial"]}
        )
        assert broker.clock().boot - before == pytest.approx(2)
        assert answer.json["retry"] is False
        await anyio.sleep(6)
        assert (await broker.token())["serial"] != token["serial"]


async def test_a_mis_scoped_worker_costs_nothing_in_eight_hours():
    """It calls an API that its token has no scope for, each minute, and tells of each 401."""
    async with open_interface() as broker:
        for _ in range(8 * 60):
            token = await broker.token()
            said = (await broker.report(401, SCOPE, serials={"bearer": token["serial"]})).json
            assert (said["outcome"], said["code"]) == ("not_the_token", "scope_missing")
            await anyio.sleep(60)
        # The first fetch, and the one renewal that eight hours bring anyway.
        assert len(broker.usps.calls_of(("default", "bearer"))) == 2


async def test_retry_is_promised_only_with_headers():
    """A renewed bearer beside a payment token that is gone is nothing to try again with."""
    async with open_interface() as broker:
        bearer, payment = await broker.token(), await broker.token("payment")
        gone = Failure(FailureKind.REFUSED, Code.PAYMENT_REFUSED, "no more", "look", 400)
        broker.usps.answers = lambda command, _now: None if command.slot.is_bearer else gone
        await anyio.sleep(8 * HOUR)
        serials = {"bearer": bearer["serial"], "payment": payment["serial"]}
        said = (await broker.report(401, DEAD, path=LABEL, serials=serials)).json
        assert said["retry"] is False
        assert "headers" not in said


async def test_a_stopping_broker_does_not_leave_a_report_waiting():
    """The worker is told, and its shim asks the next broker."""
    async with open_interface() as broker:
        token = await broker.token()
        broker.usps.latency_seconds = 30.0
        answers = []

        async def worker():
            answers.append(await broker.report(401, DEAD, serials={"bearer": token["serial"]}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker)
            await anyio.sleep(1)
            broker.loop.post(Stopped())
        assert (answers[0].json["outcome"], answers[0].json["retry"]) == ("throttled", False)
        assert "stopping" in answers[0].json["detail"]


async def test_a_day_of_wrong_reports_costs_the_shop_nothing():
    """Serials that never were, each minute: nobody is renewed, everybody is served."""
    async with open_interface() as broker:
        await broker.token()
        for _ in range(24 * 6):
            said = (await broker.report(401, DEAD, serials={"bearer": 1})).json
            assert said["outcome"] == "superseded"
            await anyio.sleep(600)
        assert len(broker.usps.calls_of(("default", "bearer"))) <= DAY / (6 * HOUR) + 1
