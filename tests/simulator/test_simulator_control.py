"""/sim/ steers the simulator, and teaches on wrong input."""

import json

import pytest

from usps_token_broker.simulator import FAULTS, Api, Call, Calls, SettingsError
from usps_token_broker.simulator.settings import RULES

pytestmark = pytest.mark.anyio


async def test_the_index_teaches(shop):
    """Plain text with every fault, every setting and lines to copy, this address in them."""
    for path in ("/sim/", "/sim"):
        answer = await shop.http.get(path)

        assert answer.headers["content-type"].startswith("text/plain")
        assert all(name in answer.text for name in (*FAULTS, *RULES))
        assert f"SIM={shop.usps.base_url}/sim" in answer.text


@pytest.mark.parametrize("kind", FAULTS.values(), ids=lambda kind: kind.name)
async def test_every_fault_can_be_injected_over_http(shop, kind):
    """By its name alone, and it stands until it is taken away."""
    answer = await shop.http.post("/sim/faults", json={"name": kind.name})

    assert answer.status_code == 201
    number = answer.json()["id"]
    listed = (await shop.http.get("/sim/faults")).json()
    assert [one["name"] for one in listed["standing"]] == [kind.name]
    assert (await shop.http.delete(f"/sim/faults/{number}")).json() == {"removed": 1}
    assert shop.usps.faults == []


async def test_a_fault_in_json_shows(shop):
    """With value, endpoint and count."""
    fault = {"name": "unavailable", "value": 5, "endpoint": "addresses", "count": 1}
    await shop.http.post("/sim/faults", json=fault)

    answer = await shop.ask_address()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (await shop.ask_address()).status_code == 200


async def test_a_fault_in_one_line_shows(shop):
    """As curl -d sends it, whatever type it says that is."""
    answer = await shop.http.post(
        "/sim/faults",
        content="rate_limited=30@tokenx2",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.json()["times_shown"] == 0
    assert (await shop.ask_token()).status_code == 429


async def test_a_fault_with_a_time_says_when_it_ends(shop, clock):
    """ends_in counts down on the simulator's clock."""
    await shop.http.post("/sim/faults", content="hang@labels/20s")
    clock.advance(5)

    assert (await shop.http.get("/sim/faults")).json()["standing"][0]["ends_in"] == 15


async def test_the_list_has_the_whole_table(shop):
    """With what each does, where, and what value it takes."""
    known = (await shop.http.get("/sim/faults")).json()["known"]

    assert list(known) == list(FAULTS)
    assert known["account_state"]["value"].startswith("one of 100001, ")


async def test_all_faults_can_be_taken_away(shop):
    """And the answer says how many stood."""
    for _ in range(2):
        await shop.http.post("/sim/faults", content="hang")

    assert (await shop.http.delete("/sim/faults")).json() == {"removed": 2}


@pytest.mark.parametrize(
    ("body", "taught"),
    [
        (b"", "NAME[=VALUE]"),
        (b"slow", "there are: delay, hang"),
        (b"{", "not valid JSON"),
        (b'{"name": "slow"}', "there are: delay, hang"),
        (b'{"name": "hang", "times": 2}', "a fault has: name, value, endpoint"),
        (b"[1]", "NAME[=VALUE]"),
        (b"\xff\xfe", "NAME[=VALUE]"),
    ],
)
async def test_a_wrong_fault_is_explained(shop, body, taught):
    """400, with what would be taken and where to read on."""
    answer = await shop.http.post("/sim/faults", content=body)

    assert answer.status_code == 400
    assert taught in answer.json()["error"]
    assert answer.json()["help"] == "GET /sim/"


@pytest.mark.parametrize("number", ["7", "x", "", "9" * 400])
async def test_a_fault_that_is_not_there_cannot_be_taken_away(shop, number):
    """404, and it says where those that stand are listed."""
    answer = await shop.http.delete(f"/sim/faults/{number or '-'}")

    assert answer.status_code == 404
    assert "GET /sim/faults" in answer.json()["error"]


@pytest.mark.parametrize(
    ("what", "dead"), [("bearer", {401}), ("payment", {200, 401}), ("all", {401})]
)
async def test_tokens_can_be_revoked(shop, what, dead):
    """Bearers, payment tokens or both; the answer says how many died."""
    answer = await shop.http.post("/sim/revocations", json={"what": what})

    assert answer.json() == {"revoked": 2 if what == "all" else 1}
    assert {(await shop.ask_address()).status_code, (await shop.ask_label()).status_code} == dead


@pytest.mark.parametrize(
    ("body", "taught"),
    [
        (b'{"what": "everything"}', "bearer, payment, all"),
        (b"{}", "bearer, payment, all"),
        (b'{"what": ["all"]}', "bearer, payment, all"),
        (b"bearer", '{"what": "bearer | payment | all"}'),
        (b'{"what": "all", "client_id": 3}', "client_id"),
        (b'{"which": "all"}', "unknown key 'which'; there are: what, client_id"),
    ],
)
async def test_a_wrong_revocation_is_explained(shop, body, taught):
    """400, with what can be revoked."""
    answer = await shop.http.post("/sim/revocations", content=body)

    assert answer.status_code == 400
    assert taught in answer.json()["error"]


async def test_settings_can_be_changed(shop):
    """Those that are named; the answer shows all."""
    answer = await shop.http.put(
        "/sim/settings", json={"life_seconds": 60, "quotas": {"token": None}}
    )

    assert answer.json()["life_seconds"] == 60
    assert answer.json()["quotas"] == {
        "token": None,
        "payment-authorization": 60,
        "addresses": None,
        "labels": None,
    }
    assert (await shop.ask_token()).json()["expires_in"] == 59


async def test_a_secret_can_be_rotated_and_is_not_shown(shop):
    """The new one counts; neither answer has it."""
    answer = await shop.http.put("/sim/settings", json={"client_secret": "rotated"})

    assert "rotated" not in answer.text
    assert "rotated" not in (await shop.http.get("/sim/settings")).text
    assert (await shop.ask_token()).status_code == 401
    assert (await shop.ask_token(client_secret="rotated")).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"life": 60},
        {"life_seconds": 1},
        {"life_seconds": "60"},
        {"life_seconds": True},
        {"life_seconds": 60.5},
        {"life_seconds": None},
        {"payment_life_seconds": 0},
        {"quotas": {"prices": 1}},
        {"quotas": {"token": -1}},
        {"quotas": {"token": "60"}},
        {"quotas": 60},
        {"clock_offset_seconds": "1"},
        {"clock_offset_seconds": 1e300},
        {"scopes": "labels"},
        {"scopes": ["a b"]},
        {"scopes": [1]},
        {"client_id": ""},
        {"client_secret": 3},
        {"more_apps": ["x"]},
        {"more_apps": {"x": 1}},
        {"issuer": "a\nb"},
        {"payment_refusal_status": 200},
    ],
)
async def test_a_wrong_setting_is_explained_and_changes_nothing(shop, change):
    """400, naming the setting and what it may be."""
    before = (await shop.http.get("/sim/settings")).json()

    answer = await shop.http.put("/sim/settings", json={"scopes": ["labels"], **change})

    assert answer.status_code == 400
    assert "expected" in answer.json()["error"] or "there are" in answer.json()["error"]
    assert (await shop.http.get("/sim/settings")).json() == before


async def test_a_wrong_setting_is_refused_in_python_as_well(usps):
    """With the same words, and without quoting a value that may be a secret."""
    with pytest.raises(SettingsError, match="client_secret to be a text") as caught:
        usps.configure(client_secret=b"hush")

    assert "hush" not in str(caught.value)


async def test_calls_are_counted_by_endpoint_status_and_outcome(shop):
    """And tokens granted by kind; calls of /sim/ do not count."""
    await shop.ask_token()
    await shop.ask_token(client_secret="wrong")
    await shop.ask_address()

    seen = (await shop.http.get("/sim/calls")).json()

    assert seen["total"] == 3
    assert seen["by_endpoint"]["token"] == {
        "total": 2,
        "by_status": {"200": 1, "401": 1},
        "by_code": {"granted": 1, "invalid_client": 1},
        "unanswered": 0,
        "most_at_once": {"demo-client-id": 1},
    }
    assert seen["tokens_granted"] == {"bearer": 2, "payment": 1}
    assert [call["code"] for call in seen["last"]] == ["granted", "invalid_client", "found"]


async def test_the_log_holds_no_secret(shop):
    """No token, no client secret, no query: not even of calls that failed."""
    await shop.ask_token(client_secret="wrong-secret")
    await shop.ask_address(firm="PRIVATE")
    await shop.ask_label()

    text = (await shop.http.get("/sim/calls")).text
    for secret in (shop.bearer, shop.payment, "demo-client-secret", "wrong-secret", "PRIVATE"):
        assert secret not in text


async def test_the_log_is_bounded():
    """The last thousand calls; the counters have them all."""
    calls = Calls()
    for _ in range(1_010):
        calls.arrived(Call(0, 0.0, Api.LABELS, "POST", "/labels/v3/label", ""))

    assert [calls.log[0].number, calls.log[-1].number] == [11, 1_010]
    assert calls.total() == 1_010


async def test_counters_can_be_reset(shop):
    """Counters and log; tokens stay good."""
    await shop.ask_address()

    await shop.http.post("/sim/reset")

    seen = (await shop.http.get("/sim/calls")).json()
    assert (seen["total"], seen["last"]) == (0, [])
    assert (await shop.ask_address()).status_code == 200


async def test_the_clock_is_moved_from_outside(shop):
    """A token that was good is past its life, and one granted then is good."""
    assert (await shop.ask_address()).status_code == 200

    moved = await shop.http.post("/sim/clock", json={"advance_seconds": 28_800})

    assert moved.json()["now"] == shop.usps.clock.now()
    assert (await shop.ask_address()).status_code == 401
    await shop.open()
    assert (await shop.ask_address()).status_code == 200


@pytest.mark.parametrize("seconds", [-1, "60", None, True, 1e10, 1e300])
async def test_a_clock_that_cannot_be_meant_stays(shop, seconds):
    """Backwards, no number, beyond what a date can say: 400, and it says what would do."""
    before = shop.usps.clock.now()

    answer = await shop.http.post("/sim/clock", json={"advance_seconds": seconds})

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("advance_seconds: ")
    assert shop.usps.clock.now() == before


async def test_a_wrong_path_is_explained(shop):
    """404, with all there is."""
    answer = await shop.http.get("/sim/fault")

    assert answer.status_code == 404
    assert "POST /sim/faults" in answer.json()["error"]


async def test_a_wrong_method_is_explained(shop):
    """405, with what would do."""
    answer = await shop.http.put("/sim/faults", json={})

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST, DELETE"


async def test_faults_do_not_hit_the_control(shop):
    """Whoever breaks USPS can mend it."""
    shop.usps.inject("hang")

    assert (await shop.http.delete("/sim/faults")).json() == {"removed": 1}


async def test_control_answers_are_json(shop):
    """All but the index, a line break last for whoever reads them in a terminal."""
    for path in ("/sim/faults", "/sim/settings", "/sim/calls"):
        text = (await shop.http.get(path)).text
        assert json.loads(text)
        assert text.endswith("}\n")
