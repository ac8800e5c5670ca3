"""The local interface: tokens and header sets, as any client gets them."""

import itertools

import anyio
import pytest
from interface import ADMIN, ALICE, BOB, LABELS, app, open_interface
from virtual import DOWN, HOUR, UNREACHED

from usps_token_broker.core.values import SlotId

pytestmark = pytest.mark.anyio

BEARER = "/v1/tokens/bearer"
PAYMENT = "/v1/tokens/payment"
HEADERS = "/v1/headers"
LIFE = 28_799
EVERY_PATH = (BEARER, HEADERS, "/v1/answers", "/v1/status", "/healthz", "/readyz")


# -- what a token looks like ---------------------------------------------------------------------


async def test_a_token_as_json_says_all_there_is_to_know():
    """One field for each promise of the interface, instants and spans as numbers."""
    async with open_interface() as broker:
        token = (await broker.get(BEARER)).json
        now = broker.clock().wall
    assert token["token"] == "token-default/bearer-1"
    assert (token["token_type"], token["slot"]) == ("Bearer", "bearer")
    assert (token["app"], token["host"]) == ("default", "default.example")
    assert token["scopes"] == ["addresses", "labels", "payments"]
    assert token["degraded"] is False
    assert token["expires_at"] == pytest.approx(token["issued_at"] + LIFE)
    assert token["expires_at"] - token["use_until"] == 1800
    assert token["expires_at"] - now == pytest.approx(token["expires_in"], abs=1)
    assert isinstance(token["serial"], int)


async def test_check_after_is_a_minute_or_an_eighth_of_a_short_life():
    """A token of 20 s is asked about again after two and a half."""
    async with open_interface() as broker:
        assert (await broker.token())["check_after"] == 60
    async with open_interface() as broker:
        broker.usps.life_seconds = 20.0
        assert (await broker.token())["check_after"] == 2.5


async def test_a_payment_token_is_not_a_bearer_and_has_no_scopes():
    """The slot is what was asked for, and scopes are null where USPS names none."""
    async with open_interface() as broker:
        token = await broker.token("payment")
    assert (token["slot"], token["scopes"]) == ("payment", None)


@pytest.mark.parametrize("accept", ["text/plain", "text/plain; charset=utf-8", "Text/Plain, */*"])
async def test_text_is_the_bare_token_and_nothing_else(accept):
    """No line break, so that `$(curl …)` and a file hold the very token."""
    async with open_interface() as broker:
        answer = await broker.get(BEARER, {"Accept": accept})
        assert answer.body == b"token-default/bearer-1"
        assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/plain", ""])
async def test_everything_else_is_json(accept):
    """curl's own Accept gets JSON."""
    async with open_interface() as broker:
        answer = await broker.get(BEARER, {"Accept": accept})
        assert answer.headers["content-type"] == "application/json"


async def test_a_refusal_is_a_problem_even_for_who_wants_text():
    """A worker that writes the body into a header must not get prose there unawares."""
    async with open_interface() as broker:
        answer = await broker.get("/v1/tokens/nope", {"Accept": "text/plain"})
        assert (answer.status, answer.code) == (404, "unknown_slot")


async def test_no_answer_may_be_stored():
    """Tokens and refusals alike say `no-store`."""
    async with open_interface() as broker:
        for target in (BEARER, HEADERS, "/v1/status", "/v1/tokens/nope"):
            assert (await broker.get(target)).headers["cache-control"] == "no-store"


# -- how long it is good -------------------------------------------------------------------------


async def test_expires_in_falls_from_second_to_second():
    """Never a second more than there is, however the answer was kept ready."""
    async with open_interface() as broker:
        ends_at = (await broker.token())["expires_at"]
        for _ in range(300):
            await anyio.sleep(0.13)
            left = ends_at - broker.clock().wall
            said = (await broker.token())["expires_in"]
            assert said <= left < said + 1.001


async def test_a_ready_answer_is_made_once_a_second_at_most():
    """A thousand workers in one second cost one encoding."""
    async with open_interface() as broker:
        await broker.token()
        bearer = SlotId("default", "bearer")
        made = {broker.shelf.token(bearer, broker.clock().boot) for _ in range(3)}
        assert len(made) == 1


async def test_a_token_in_its_buffer_is_flagged():
    """USPS is down at the renewal: the token is served on, and says that it is late."""
    async with open_interface() as broker:
        await broker.token()
        broker.usps.down(0, float("inf"))
        await anyio.sleep(LIFE - 1801)
        assert (await broker.token())["degraded"] is False
        await anyio.sleep(10)
        assert (await broker.token())["degraded"] is True
        assert (await broker.get(HEADERS)).json["degraded"] is True


async def test_a_token_is_not_served_in_its_last_minute():
    """Past the end less a minute there is a refusal with the reason, not a token."""
    async with open_interface() as broker:
        await broker.token()
        broker.usps.down(0, float("inf"))
        await anyio.sleep(LIFE - 62)
        assert (await broker.get(BEARER)).status == 200
        await anyio.sleep(3)
        answer = await broker.get(f"{BEARER}?wait=0")
        assert (answer.status, answer.code) == (503, "upstream_unavailable")


async def test_an_answer_made_before_the_end_is_not_served_after_it():
    """The limit is on the boot clock: a suspended machine that wakes up past it serves nothing."""
    async with open_interface() as broker:
        await broker.token()
        assert (await broker.get(f"{HEADERS}?payment=default")).status == 200
        broker.usps.down(0, float("inf"))
        broker.clock.suspend(8 * HOUR)
        # No turn of the loop has passed: what lies ready is older than the token's end.
        assert broker.shelf.token(SlotId("default", "bearer"), broker.clock().boot) is None
        for target in (
            f"{BEARER}?wait=0",
            f"{HEADERS}?wait=0",
            f"{HEADERS}?payment=default&wait=0",
        ):
            assert (await broker.get(target)).status == 503


async def test_a_renewed_token_is_served_at_once():
    """The answer that lay ready is dropped with the grant, not a second later."""
    async with open_interface() as broker:
        old = await broker.token()
        answer = await broker.report(401, serials={"bearer": old["serial"]})
        assert answer.json["outcome"] == "renewed"
        assert (await broker.token())["serial"] == answer.json["serials"]["bearer"] != old["serial"]


# -- ETag ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [BEARER, PAYMENT, HEADERS, f"{HEADERS}?payment=default"])
async def test_an_etag_that_is_still_the_one_gets_304_without_a_body(target):
    """A worker asks again for the price of a few bytes."""
    async with open_interface() as broker:
        await broker.token("payment")
        first = await broker.get(target)
        again = await broker.get(target, {"If-None-Match": first.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert "content-length" not in again.headers


async def test_the_etag_is_the_serial_in_quotes():
    """`"N"` for one token, `"N.M"` for two."""
    async with open_interface() as broker:
        bearer, payment = await broker.token(), await broker.token("payment")
        one, two = bearer["serial"], payment["serial"]
        assert (await broker.get(BEARER)).headers["etag"] == f'"{one}"'
        assert (await broker.get(HEADERS)).headers["etag"] == f'"{one}"'
        both = await broker.get(f"{HEADERS}?payment=default")
        assert both.headers["etag"] == f'"{one}.{two}"'


@pytest.mark.parametrize("held", ["W/{}", '"0", {}', '{} , "0"', "*", 'W/"7",W/{}'])
async def test_weak_etags_lists_and_the_star_count_as_well(held):
    """RFC 9110 13.1.2: any of a list, by the weak comparison."""
    async with open_interface() as broker:
        etag = (await broker.get(BEARER)).headers["etag"]
        assert (await broker.get(BEARER, {"If-None-Match": held.format(etag)})).status == 304


@pytest.mark.parametrize("held", ['"0"', "", "{bare}", '"{bare}.1"', ","])
async def test_another_etag_gets_the_token(held):
    """So does one that lacks its quotes."""
    async with open_interface() as broker:
        bare = (await broker.get(BEARER)).headers["etag"].strip('"')
        answer = await broker.get(BEARER, {"If-None-Match": held.format(bare=bare)})
        assert answer.status == 200


async def test_the_old_etag_gets_the_new_token_after_a_renewal():
    """That is how a worker learns of it."""
    async with open_interface() as broker:
        first = await broker.get(BEARER)
        await broker.report(401, serials={"bearer": first.json["serial"]})
        again = await broker.get(BEARER, {"If-None-Match": first.headers["etag"]})
        assert (again.status, again.json["token"] != first.json["token"]) == (200, True)


async def test_an_etag_is_no_way_around_the_end_of_a_life():
    """What may not be served may not be confirmed either."""
    async with open_interface() as broker:
        etag = (await broker.get(BEARER)).headers["etag"]
        broker.usps.down(0, float("inf"))
        broker.clock.suspend(8 * HOUR)
        assert (await broker.get(f"{BEARER}?wait=0", {"If-None-Match": etag})).status == 503


# -- header sets ---------------------------------------------------------------------------------


async def test_headers_are_one_snapshot_with_their_serials():
    """What a label call needs, in one answer, with the names it is reported by."""
    async with open_interface() as broker:
        bearer, payment = await broker.token(), await broker.token("payment")
        said = (await broker.get(f"{HEADERS}?payment=default")).json
    assert said["headers"] == {
        "Authorization": f"Bearer {bearer['token']}",
        "X-Payment-Authorization-Token": payment["token"],
    }
    assert said["serials"] == {"bearer": bearer["serial"], "payment": payment["serial"]}
    assert (said["app"], said["host"]) == ("default", "default.example")
    assert said["base_url"] == "https://default.example"
    assert said["check_after"] == 60


async def test_headers_without_payment_are_the_bearer_alone():
    """A worker that makes no labels asks for no more than it needs."""
    async with open_interface() as broker:
        said = (await broker.get(HEADERS)).json
        assert (list(said["headers"]), list(said["serials"])) == (["Authorization"], ["bearer"])


async def test_a_header_set_ends_with_the_sooner_of_its_tokens():
    """A payment token that was renewed later does not lengthen the bearer's life."""
    async with open_interface() as broker:
        await broker.token("payment")
        await anyio.sleep(HOUR)
        old = await broker.get(f"{HEADERS}?payment=default")
        await broker.report(401, serials={"bearer": old.json["serials"]["bearer"]})
        payment, bearer = await broker.token("payment"), await broker.token()
        said = (await broker.get(f"{HEADERS}?payment=default")).json
        assert payment["expires_in"] < bearer["expires_in"]
        assert said["expires_in"] == payment["expires_in"]
        assert said["use_until"] == pytest.approx(payment["use_until"])


async def test_headers_as_text_are_lines_for_curl():
    """`curl -H @-` reads lines; each one ends."""
    async with open_interface() as broker:
        answer = await broker.get(f"{HEADERS}?payment=default", {"Accept": "text/plain"})
        first, second, rest = answer.body.decode().split("\n")
        assert first == "Authorization: Bearer token-default/bearer-1"
        assert second == "X-Payment-Authorization-Token: token-default/payment-2"
        assert rest == ""


async def test_another_payment_slot_goes_by_its_name():
    """`payment=eu` is the slot `payment-eu`; `default`, or nothing after the sign, is `payment`."""
    async with open_interface(app(payments=("payment", "payment-eu"))) as broker:
        header = "X-Payment-Authorization-Token"
        for query, slot in (("eu", "payment-eu"), ("default", "payment"), ("", "payment")):
            said = (await broker.get(f"{HEADERS}?payment={query}")).json
            assert said["headers"][header] == (await broker.token(slot))["token"]


async def test_a_bearer_as_token_and_as_headers_are_two_answers():
    """They lie ready side by side."""
    async with open_interface() as broker:
        for _ in range(2):
            assert "token" in (await broker.get(BEARER)).json
            assert "headers" in (await broker.get(HEADERS)).json


# -- min_valid -----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [BEARER, HEADERS])
async def test_min_valid_above_the_buffer_is_a_bad_request(target):
    """No renewal could promise it, so it is a mistake in the worker, said at once."""
    async with open_interface() as broker:
        assert (await broker.get(f"{target}?min_valid=1800")).status == 200
        answer = await broker.get(f"{target}?min_valid=1801")
        assert (answer.status, answer.code) == (400, "bad_request")
        assert "1800 seconds" in answer.json["detail"]


async def test_the_buffer_of_the_app_is_what_counts():
    """An app with a longer buffer can promise more."""
    async with open_interface(app(buffer_seconds=3000.0)) as broker:
        assert (await broker.get(f"{BEARER}?min_valid=3000")).status == 200


async def test_min_valid_that_is_not_met_is_denied_at_once_and_costs_no_call():
    """It is a condition and never an order: nobody can burn the quota by asking for more."""
    async with open_interface() as broker:
        await broker.token()
        broker.usps.answers = lambda command, _now: DOWN if command.slot.is_bearer else None
        await anyio.sleep(LIFE - 600)
        calls = len(broker.usps.calls)
        before = broker.clock().boot
        answer = await broker.get(f"{BEARER}?min_valid=1000&wait=1")
        assert answer.status == 503
        assert "10 min left" in answer.json["detail"]
        assert broker.clock().boot - before <= 1
        assert len(broker.usps.calls) == calls
        assert (await broker.get(f"{BEARER}?min_valid=300")).status == 200


async def test_min_valid_is_met_by_the_renewal_that_is_under_way():
    """A caller who waits gets the new token, and nobody else is held up."""
    async with open_interface() as broker:
        await broker.token()
        broker.usps.down(0, broker.clock().boot + LIFE - 1000, UNREACHED)
        await anyio.sleep(LIFE - 1010)
        answer = await broker.get(f"{BEARER}?min_valid=1500&wait=60")
        assert answer.status == 200
        assert answer.json["expires_in"] > 28_000


# -- wait ----------------------------------------------------------------------------------------


async def test_a_caller_waits_while_a_flight_runs():
    """The first caller of a cold broker gets the token, not a refusal."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 5.0
        before = broker.clock().boot
        assert (await broker.get(BEARER)).status == 200
        assert broker.clock().boot - before == pytest.approx(5)


async def test_wait_0_never_waits():
    """Under a flight too: the answer is that there is none yet, and when to come back."""
    async with open_interface() as broker:
        await anyio.sleep(0.05)
        before = broker.clock().boot
        answer = await broker.get(f"{BEARER}?wait=0")
        assert (answer.status, answer.code) == (503, "not_ready")
        assert broker.clock().boot == before
        assert "being fetched" in answer.json["detail"]


async def test_a_caller_waits_no_longer_than_it_said():
    """The flight goes on without it."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 7.0
        before = broker.clock().boot
        answer = await broker.get(f"{BEARER}?wait=3")
        assert answer.code == "not_ready"
        assert broker.clock().boot - before == pytest.approx(3)
        assert (await broker.get(BEARER)).status == 200
        assert len(broker.usps.calls) == 1


async def test_a_caller_does_not_wait_for_what_is_not_due():
    """The next attempt is minutes away: told so at once, with the instant."""
    async with open_interface() as broker:
        broker.usps.down(0, float("inf"))
        bearer = SlotId("default", "bearer")
        next_in = 0.0
        while next_in < 10:
            await anyio.sleep(60)
            view = broker.loop.broker.snapshot(broker.clock()).slot(bearer)
            next_in = (view.next_attempt_at or 0.0) - broker.clock().wall
        before = broker.clock().boot
        answer = await broker.get(f"{BEARER}?wait=5")
        assert broker.clock().boot == before
        said = answer.json
        assert (answer.status, answer.code) == (503, "upstream_unavailable")
        assert said["next_attempt_at"] == pytest.approx(broker.clock().wall + said["retry_after"])
        assert int(answer.headers["retry-after"]) >= said["retry_after"]
        assert said["upstream_status"] == 503


async def test_a_caller_waits_for_an_attempt_that_is_due_in_time():
    """The back-off ends while it waits: one request, one token."""
    async with open_interface() as broker:
        broker.usps.down(0, broker.clock().boot + 0.5)
        await anyio.sleep(1)
        assert (await broker.get(f"{BEARER}?wait=30")).status == 200


@pytest.mark.parametrize("value", ["61", "3600", "1e3"])
async def test_nobody_waits_longer_than_a_minute(value):
    """A worker that wants more asks again."""
    async with open_interface() as broker:
        answer = await broker.get(f"{BEARER}?wait={value}")
        assert (answer.status, answer.code) == (400, "bad_request")
        assert "at most 60 seconds" in answer.json["detail"]


@pytest.mark.parametrize("key", ["wait", "min_valid"])
@pytest.mark.parametrize(
    "value",
    ["", "-1", "nan", "inf", "1_0", "ten", "%D9%A3", "0x10", "1%200", "+5", "1e999", "9" * 400],
)
async def test_what_is_no_span_is_a_bad_request(key, value):
    """Whatever Python might take for a number."""
    async with open_interface() as broker:
        assert (await broker.get(f"{BEARER}?{key}={value}")).code == "bad_request"


@pytest.mark.parametrize("value", ["0", "1.5", "5e-05", "1E1", "60."])
async def test_spans_may_be_written_as_programs_do(value):
    """A shim that counts down its deadline may end up with very small numbers."""
    async with open_interface() as broker:
        await broker.token()
        assert (await broker.get(f"{BEARER}?wait={value}")).status == 200


# -- scope ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [BEARER, HEADERS])
async def test_a_scope_that_the_token_lacks_is_refused_at_once(target):
    """With what it has, and without a call to USPS."""
    async with open_interface() as broker:
        await broker.token()
        calls = len(broker.usps.calls)
        assert (await broker.get(f"{target}?scope=labels")).status == 200
        answer = await broker.get(f"{target}?scope=tracking")
        assert (answer.status, answer.code) == (403, "scope_missing")
        assert "addresses, labels, payments" in answer.json["detail"]
        assert "USPS" in answer.json["fix"]
        assert len(broker.usps.calls) == calls


async def test_a_scope_is_looked_at_once_the_token_is_there():
    """A cold broker cannot know; the caller waits and is then refused."""
    async with open_interface() as broker:
        assert (await broker.get(f"{BEARER}?scope=tracking")).code == "scope_missing"


async def test_a_missing_scope_is_said_even_to_who_has_the_token_already():
    """An ETag does not make up for it."""
    async with open_interface() as broker:
        etag = (await broker.get(BEARER)).headers["etag"]
        answer = await broker.get(f"{BEARER}?scope=tracking", {"If-None-Match": etag})
        assert answer.code == "scope_missing"


async def test_no_scope_is_missed_where_none_are_known():
    """A payment token has none, and a bearer whose answer named none may have all."""
    async with open_interface() as broker:
        broker.usps.scopes = None
        assert (await broker.get(f"{BEARER}?scope=tracking")).status == 200
        assert (await broker.get(f"{PAYMENT}?scope=labels")).status == 200


# -- paths, methods, queries ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/tokens", "/v1/tokens/", "/v2/tokens/bearer", "*"]
)
async def test_an_unknown_path_says_what_there_is(path):
    """404, with the paths that are served."""
    async with open_interface() as broker:
        answer = await broker.get(path)
        assert (answer.status, answer.code) == (404, "not_found")
        assert "/v1/tokens/bearer" in answer.json["fix"]


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_a_wrong_method_says_the_right_one(path, method):
    """405, with `Allow` as RFC 9110 wants it."""
    async with open_interface() as broker:
        answer = await broker.ask(method, path)
        assert (answer.status, answer.code) == (405, "method_not_allowed")
        right = "POST" if path == "/v1/answers" else "GET, HEAD"
        assert answer.headers["allow"] == right
        assert right in answer.json["fix"]


async def test_a_report_is_not_for_get():
    """A token is not dead because somebody looked."""
    async with open_interface() as broker:
        for method in ("GET", "HEAD"):
            assert (await broker.ask(method, "/v1/answers")).status == 405


@pytest.mark.parametrize("path", [p for p in EVERY_PATH if p != "/v1/answers"])
async def test_head_is_answered_like_get(path):
    """The server leaves the body out."""
    async with open_interface() as broker:
        await broker.token()
        head, get = await broker.ask("HEAD", path), await broker.get(path)
        assert (head.status, head.headers) == (get.status, get.headers)


@pytest.mark.parametrize("path", EVERY_PATH)
async def test_an_unknown_query_key_is_a_bad_request(path):
    """A typo must not be taken for a wish that was granted."""
    async with open_interface() as broker:
        method = "POST" if path == "/v1/answers" else "GET"
        answer = await broker.ask(method, f"{path}?minvalid=5")
        assert (answer.status, answer.code) == (400, "bad_request")
        assert "`minvalid`" in answer.json["detail"]
        assert "takes:" in answer.json["fix"]


@pytest.mark.parametrize(
    "target", [f"{BEARER}?payment=x", f"{BEARER}?slot=x", "/healthz?app=default"]
)
async def test_a_key_of_another_call_is_unknown_too(target):
    """Each call takes its own."""
    async with open_interface() as broker:
        assert (await broker.get(target)).code == "bad_request"


async def test_a_wrong_query_stays_wrong():
    """It is not understood better the second time."""
    async with open_interface() as broker:
        for _ in range(3):
            assert (await broker.get(f"{BEARER}?wat=1")).status == 400


async def test_what_was_understood_once_is_bounded():
    """A client that asks in ever new ways cannot fill the memory."""
    async with open_interface() as broker:
        await broker.token()
        for n in range(600):
            assert (await broker.get(f"{BEARER}?wait=1.{n:05}")).status == 200
        await broker.get(f"{BEARER}?scope={'labels':0<600}")
        plans = broker.table.of(*ADMIN).plans
        assert len(plans) <= 256
        assert max(map(len, plans)) <= 512


# -- slots and apps ------------------------------------------------------------------------------


async def test_a_slot_that_is_not_there_says_which_are():
    """Only those that this peer may use are named."""
    async with open_interface(app(payments=("payment", "payment-eu"))) as broker:
        answer = await broker.get("/v1/tokens/payment-us", who=ALICE)
        assert (answer.status, answer.code) == (404, "unknown_slot")
        assert "you may use: bearer" in answer.json["detail"]
        assert "payment-eu" not in str(answer.json)


@pytest.mark.parametrize("target", [PAYMENT, f"{HEADERS}?payment=default"])
async def test_without_payment_roles_the_answer_is_how_to_add_them(target):
    """Another word than for a slip of the pen."""
    async with open_interface(app(payments=())) as broker:
        answer = await broker.get(target)
        assert (answer.status, answer.code) == (404, "payment_not_configured")
        assert "[apps.default.payments.default]" in answer.json["fix"]


@pytest.mark.parametrize(
    "anyio_backend", ["asyncio"]
)  # the virtual clock does not wait for threads
async def test_a_slot_of_others_is_forbidden_and_says_how_to_open_it():
    """Who you are, to whom it is open, the line to add."""
    async with open_interface() as broker:
        answer = await broker.get(PAYMENT, who=ALICE)
        assert (answer.status, answer.code) == (403, "forbidden")
        assert "user alice (uid 1001; groups: shop)" in answer.json["detail"]
        assert "default/payment to group labels" in answer.json["detail"]
        assert 'users = ["alice"]' in answer.json["fix"]
        assert "[apps.default.payments.default]" in answer.json["fix"]
        assert (await broker.get(f"{HEADERS}?payment=default", who=ALICE)).code == "forbidden"


async def test_a_peer_gets_what_is_open_to_its_group():
    """Bob is of the label makers, who have both."""
    async with open_interface() as broker:
        for target in (BEARER, PAYMENT, f"{HEADERS}?payment=default"):
            assert (await broker.get(target, who=BOB)).status == 200
        assert (await broker.get(BEARER, who=ALICE)).status == 200


async def test_the_only_app_need_not_be_named():
    """Whatever it is called."""
    async with open_interface(app("outlet")) as broker:
        assert (await broker.get(BEARER)).json["app"] == "outlet"
        assert (await broker.get(f"{BEARER}?app=outlet")).status == 200


async def test_of_several_apps_the_one_named_default_is_meant():
    """Unless another is named."""
    async with open_interface(app("outlet"), app("default")) as broker:
        assert (await broker.get(BEARER)).json["app"] == "default"
        assert (await broker.get(f"{BEARER}?app=outlet")).json["app"] == "outlet"
        said = (await broker.get(f"{HEADERS}?app=outlet")).json
        assert said["base_url"] == "https://outlet.example"


async def test_the_only_app_is_the_only_one_that_this_peer_may_use():
    """Others do not exist for it: it need not name its own, and cannot name theirs."""
    theirs = app("default", open_to={})
    async with open_interface(theirs, app("outlet")) as broker:
        assert (await broker.get(BEARER, who=BOB)).json["app"] == "outlet"
        answer = await broker.get(f"{BEARER}?app=default", who=BOB)
        assert (answer.status, answer.code) == (404, "unknown_app")
        assert "you may use: outlet" in answer.json["detail"]


async def test_of_several_apps_without_a_default_one_must_be_named():
    """The answer says which there are."""
    async with open_interface(app("outlet"), app("shop")) as broker:
        for target in (BEARER, HEADERS):
            answer = await broker.get(target)
            assert (answer.status, answer.code) == (404, "unknown_app")
            assert "outlet, shop" in answer.json["detail"]
            assert "app=NAME" in answer.json["fix"]


@pytest.mark.parametrize("name", ["nope", "", "DEFAULT", "default/bearer"])
async def test_an_unknown_app_is_said(name):
    """As written, and cut where it is long."""
    async with open_interface() as broker:
        answer = await broker.get(f"{BEARER}?app={name}")
        assert (answer.status, answer.code) == (404, "unknown_app")
        assert f"`{name}`" in answer.json["detail"]


async def test_two_apps_have_their_own_tokens_and_scopes():
    """A bearer of one is never served for the other."""
    async with open_interface(app("a", ()), app("b", ())) as broker:
        tokens = [(await broker.get(f"{BEARER}?app={name}")).json["token"] for name in "ab"]
        assert len(set(tokens)) == 2
        assert all(f"-{name}/bearer" in token for name, token in zip("ab", tokens, strict=True))


async def test_hostile_names_do_not_get_far():
    """They come back cut, and in one line."""
    async with open_interface() as broker:
        for name in ("x" * 5000, "..%2f..%2fetc", "%00", "%0d%0aX-Evil:%201", "%ff", "payment-"):
            answer = await broker.get(f"/v1/tokens/{name}")
            assert answer.status in (400, 404)
            assert len(answer.body) < 1000
            assert "x-evil" not in answer.headers


async def test_groups_are_matched_each_by_itself():
    """One of many is enough, whichever."""
    async with open_interface() as broker:
        crowd = tuple(itertools.chain(range(5000, 5300), [LABELS]))
        assert (await broker.get(PAYMENT, who=(4242, crowd))).status == 200
