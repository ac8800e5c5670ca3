"""What a person or a monitor asks: status, readiness, liveness."""

import anyio
import pytest
from interface import ALICE, BOB, LABELS, SHOP, VERSION, app, open_interface
from virtual import DOWN, HOUR, INVALID_CLIENT

pytestmark = pytest.mark.anyio

STATUS = "/v1/status"
READY = "/readyz"


def slots(answer):
    return {f"{a['app']}/{s['slot']}": s for a in answer.json["apps"] for s in a["slots"]}


async def test_status_says_how_every_token_stands():
    """Phase, freshness, serial, end, the next step and why, and what is left of the budget."""
    async with open_interface() as broker:
        token = await broker.token("payment")
        answer = await broker.get(STATUS)
        now = broker.clock().wall
    said = answer.json
    assert (said["version"], said["ready"], said["waiting"]) == (VERSION, True, 0)
    assert said["at"] == pytest.approx(now, abs=1)
    assert said["state_trouble"] is None
    payment = slots(answer)["default/payment"]
    assert (payment["phase"], payment["freshness"], payment["trouble"]) == ("idle", "fresh", None)
    assert payment["serial"] == token["serial"]
    assert payment["expires_at"] == pytest.approx(token["expires_at"], abs=0.01)
    assert payment["next_attempt_why"] == "due"
    assert payment["next_attempt_at"] == pytest.approx(payment["renew_at"], abs=1)
    budget = {b["endpoint"]: b for b in said["apps"][0]["budget"]}
    assert budget["token"] == {"endpoint": "token", "used_last_hour": 1, "calls_per_hour": 30}


async def test_status_holds_no_token():
    """Not one byte of it, whatever happened."""
    async with open_interface() as broker:
        tokens = [(await broker.token(slot))["token"] for slot in ("bearer", "payment")]
        broker.usps.down(0, float("inf"))
        await anyio.sleep(7.5 * HOUR)
        for target in (STATUS, READY, "/healthz"):
            answer = await broker.get(target)
            assert not any(token.encode() in answer.body for token in tokens)


async def test_status_shows_only_what_this_peer_may_read():
    """Slots and apps of others are not there."""
    theirs = app("theirs", open_to={})
    async with open_interface(app(), theirs) as broker:
        await broker.token("payment")
        assert set(slots(await broker.get(STATUS, who=ALICE))) == {"default/bearer"}
        assert len(slots(await broker.get(STATUS, who=BOB))) == 2
        assert len(slots(await broker.get(STATUS))) == 4
        assert b"theirs" not in (await broker.get(STATUS, who=BOB)).body


async def test_status_of_one_app():
    """`app=` narrows it down; an unknown one is said."""
    async with open_interface(app("one"), app("two")) as broker:
        answer = await broker.get(f"{STATUS}?app=two")
        assert [a["app"] for a in answer.json["apps"]] == ["two"]
        assert (await broker.get(f"{STATUS}?app=three")).code == "unknown_app"


async def test_status_tells_the_last_trouble_with_its_fix():
    """Since when, how often, what USPS said, what to do."""
    async with open_interface() as broker:
        start = broker.clock().wall
        broker.usps.down(0, float("inf"))
        await anyio.sleep(600)
        trouble = slots(await broker.get(STATUS))["default/bearer"]["trouble"]
    assert (trouble["code"], trouble["upstream_status"]) == ("upstream_unavailable", 503)
    assert (trouble["detail"], trouble["fix"]) == (DOWN.detail, DOWN.fix)
    assert trouble["since"] == pytest.approx(start, abs=10)
    assert trouble["times"] >= 3


async def test_status_tells_that_the_state_is_not_saved():
    """The disk is full: tokens are served all the same, and a person learns of it here."""
    async with open_interface() as broker:
        broker.saver.trouble = "the disk is full"
        assert (await broker.get("/v1/tokens/bearer")).status == 200
        assert (await broker.get(STATUS)).json["state_trouble"] == "the disk is full"


async def test_status_tells_how_many_wait():
    """Callers that hang are seen."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 5.0
        async with anyio.create_task_group() as tasks:
            for _ in range(7):
                tasks.start_soon(broker.get, "/v1/tokens/bearer")
            await anyio.sleep(1)
            assert (await broker.get(STATUS)).json["waiting"] == 7
        assert (await broker.get(STATUS)).json["waiting"] == 0


async def test_status_answers_while_there_is_nothing():
    """A cold broker in an outage is looked at more than any other."""
    async with open_interface() as broker:
        broker.usps.down(0, float("inf"))
        answer = await broker.get(STATUS)
        assert (answer.status, answer.json["ready"]) == (200, False)
        bearer = slots(answer)["default/bearer"]
        assert (bearer["freshness"], bearer["serial"], bearer["expires_in"]) == ("none", None, None)
        assert slots(answer)["default/payment"]["next_attempt_why"] == "bearer first"


# -- readiness -----------------------------------------------------------------------------------


async def test_ready_once_every_required_slot_is_good():
    """By default that is the bearer; payment tokens may be missing."""
    async with open_interface() as broker:
        broker.usps.answers = lambda command, _now: None if command.slot.is_bearer else DOWN
        answer = await broker.get(READY)
        assert (answer.status, answer.json["ready"]) == (503, False)
        assert answer.json["not_ready"] == ["default/bearer"]
        await broker.token()
        answer = await broker.get(READY)
        assert (answer.status, answer.json) == (200, {"ready": True, "not_ready": []})


async def test_a_required_payment_slot_counts():
    """`required = true` makes the broker wait for it."""
    async with open_interface(app(required=("bearer", "payment"))) as broker:
        broker.usps.answers = lambda command, _now: None if command.slot.is_bearer else DOWN
        await broker.token()
        answer = await broker.get(READY)
        assert (answer.status, answer.json["not_ready"]) == (503, ["default/payment"])


async def test_ready_of_one_slot():
    """Required or not, the slot that is named is the one that counts."""
    async with open_interface() as broker:
        broker.usps.answers = lambda command, _now: None if command.slot.is_bearer else DOWN
        await broker.token()
        assert (await broker.get(f"{READY}?slot=bearer")).status == 200
        assert (await broker.get(f"{READY}?slot=payment")).status == 503
        assert (await broker.get(f"{READY}?slot=payment-eu")).code == "unknown_slot"


async def test_ready_of_one_app():
    """Its required slots, and no others."""
    async with open_interface(app("a", ()), app("b", ())) as broker:
        broker.usps.answers = lambda command, _now: DOWN if command.slot.app == "b" else None
        await broker.get("/v1/tokens/bearer?app=a")
        assert (await broker.get(f"{READY}?app=a")).status == 200
        assert (await broker.get(f"{READY}?app=b")).json["not_ready"] == ["b/bearer"]
        assert (await broker.get(f"{READY}?app=a&slot=bearer")).status == 200
        assert (await broker.get(f"{READY}?app=c")).code == "unknown_app"
        assert (await broker.get(f"{READY}?slot=bearer")).code == "unknown_app"


async def test_ready_means_good_for_as_long_as_asked():
    """`min_valid` of a job that runs for two hours; no buffer bounds what is only looked at."""
    async with open_interface() as broker:
        await broker.token()
        assert (await broker.get(f"{READY}?min_valid=7200")).status == 200
        assert (await broker.get(f"{READY}?min_valid=28800")).status == 503
        assert (await broker.get(f"{READY}?slot=bearer&min_valid=28800")).status == 503


async def test_a_required_slot_of_others_counts_and_is_not_named():
    """A monitor learns that something is wrong, not what it may not see."""
    open_to = {"bearer": (SHOP, LABELS), "payment": (LABELS,)}
    everything = app(open_to=open_to, required=("bearer", "payment"))
    async with open_interface(everything) as broker:
        broker.usps.answers = lambda command, _now: None if command.slot.is_bearer else DOWN
        await broker.token()
        answer = await broker.get(READY, who=ALICE)
        assert (answer.status, answer.json["not_ready"]) == (503, [])
        assert (await broker.get(f"{READY}?slot=bearer", who=ALICE)).status == 200


async def test_not_ready_past_the_end():
    """A refused secret shows once the last token is spent, and not before."""
    async with open_interface() as broker:
        await broker.token()
        broker.usps.answers = lambda _command, _now: INVALID_CLIENT
        await anyio.sleep(7 * HOUR)
        assert (await broker.get(READY)).status == 200
        await anyio.sleep(HOUR)
        assert (await broker.get(READY)).status == 503


# -- liveness ------------------------------------------------------------------------------------


async def test_healthz_says_alive():
    """With the version, for whoever rolls out."""
    async with open_interface() as broker:
        answer = await broker.get("/healthz")
        assert (answer.status, answer.json) == (200, {"alive": True, "version": VERSION})


async def test_healthz_says_when_the_loop_hangs():
    """The server may answer while the core does not: that is not alive."""
    async with open_interface() as broker:
        broker.alive = False
        answer = await broker.get("/healthz")
        assert (answer.status, answer.json["alive"]) == (503, False)


async def test_healthz_does_not_mind_that_usps_is_down():
    """A restart would not bring USPS back."""
    async with open_interface() as broker:
        broker.usps.down(0, float("inf"))
        await anyio.sleep(9 * HOUR)
        assert (await broker.get("/healthz")).status == 200
