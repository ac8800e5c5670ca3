"""State files of one release read by the broker of another: an update loses and repeats nothing."""

import json
import signal

import pytest
from processes import Home, Usps, until
from releases import OLD, TODAY

from usps_token_broker.drivers.store import format as state_format

SLOTS = ("bearer", "payment")
WAYS = {"update": (OLD, TODAY), "downgrade": (TODAY, OLD)}
every_way = pytest.mark.parametrize(("before", "after"), WAYS.values(), ids=WAYS)


@pytest.fixture
def shop():
    """Makes a USPS with faults, and a home for brokers of it."""
    made = []

    def make(*faults, **config):
        usps = Usps(*(word for fault in faults for word in ("--fault", fault)))
        home = Home(usps.base_url, **config)
        made.append((usps, home))
        return usps, home

    yield make
    for usps, home in made:
        home.remove()
        with usps:
            pass


def state_of(home):
    return home.folder / "state" / "state"


def payload_of(home):
    found = state_format.decode(state_of(home).read_bytes())
    assert isinstance(found, state_format.Whole)
    return json.loads(found.payload)


def run_to_its_end(home, release, work):
    """What `work` gives while a broker of this release runs; it ends as a service is stopped."""
    with home.broker(release.broker_environ) as broker:
        said = work(broker)
        assert broker.kill(signal.SIGTERM) == 0
        assert "Traceback" not in broker.errors()
        return said


def tokens(home):
    read = [home.token(slot) for slot in SLOTS]
    return [{name: token[name] for name in ("token", "serial", "scopes")} for token in read]


def calls(usps):
    return usps.calls("token"), usps.calls("payment-authorization")


# -- between 0.1.0 and today, both ways -----------------------------------------------------------


@every_way
def test_the_tokens_go_on(shop, before, after):
    """The same ones at once, with their ends, and no call."""
    usps, home = shop()

    def look(_broker):
        ends = [home.token(slot)["expires_at"] for slot in SLOTS]
        return tokens(home), ends

    first, ends = run_to_its_end(home, before, look)
    second, ends_now = run_to_its_end(home, after, look)
    assert second == first
    assert ends_now == pytest.approx(ends, abs=2)
    assert calls(usps) == (1, 1)


def test_the_tokens_go_on_through_any_number_of_changes(shop):
    """Up, down and up again, by `kill -9` too: nothing wears off."""
    usps, home = shop()
    first = run_to_its_end(home, OLD, lambda _broker: tokens(home))
    for release in (TODAY, OLD, TODAY, OLD, TODAY):
        with home.broker(release.broker_environ) as broker:
            assert tokens(home) == first
            broker.kill(signal.SIGKILL)
    assert calls(usps) == (1, 1)


@every_way
def test_the_hours_calls_are_remembered(shop, before, after):
    """A budget that an update gave back would be no budget."""
    _, home = shop()

    def renew(_broker):
        used = {"bearer": home.token()["serial"]}
        report = {"status": 401, "path": "/addresses/v3/address", "serials": used}
        status, _, body = home.ask("POST", "/v1/answers", report)
        assert (status, json.loads(body)["outcome"]) == (200, "renewed")
        home.token("payment")
        return standing()

    def standing(_broker=None):
        [app] = home.status()["apps"]
        used = {each["endpoint"]: each["used_last_hour"] for each in app["budget"]}
        return used, [int(slot["attempts_left"]) for slot in app["slots"]]

    used, left = run_to_its_end(home, before, renew)
    assert sorted(used.values()) == [1, 2]
    assert run_to_its_end(home, after, standing) == (used, left)


@every_way
def test_refused_credentials_stay_refused(shop, before, after):
    """A halted slot: its trouble, its next attempt and its callers' answer, without a call."""
    usps, home = shop("invalid_client=wrong_secret@token")

    def look(_broker):
        until(lambda: home.slot()["phase"] == "halted", home.status)
        problem = json.loads(home.get("/v1/tokens/bearer")[2])
        slot = home.slot()
        trouble = {name: slot["trouble"][name] for name in ("code", "since", "times")}
        return problem["code"], problem["detail"], trouble, slot["next_attempt_at"]

    code, detail, trouble, at = run_to_its_end(home, before, look)
    assert code == "credentials_refused"
    assert run_to_its_end(home, after, look) == (code, detail, trouble, pytest.approx(at, abs=2))
    assert calls(usps) == (1, 0)


@every_way
def test_what_usps_said_of_coming_back_is_obeyed(shop, before, after):
    """A Retry-After of 50 minutes outlives an update."""
    usps, home = shop("rate_limited=3000@token")

    def look(_broker):
        until(lambda: home.slot()["trouble"], home.status)
        status, headers, body = home.get("/v1/tokens/bearer")
        return status, json.loads(body)["code"], int(headers["Retry-After"])

    status, code, seconds = run_to_its_end(home, before, look)
    assert (status, code) == (503, "upstream_rate_limited")
    now_status, now_code, now_seconds = run_to_its_end(home, after, look)
    assert (now_status, now_code) == (status, code)
    assert seconds - 60 < now_seconds <= seconds
    assert calls(usps) == (1, 0)


@every_way
def test_workers_notice_nothing_of_the_change(shop, before, after):
    """A kept socket path, a token that stays: a client of either release goes on."""
    usps, home = shop()
    for client in (OLD, TODAY):
        said = []
        for release in (before, after):
            with home.broker(release.broker_environ):
                said.append(client.shim("headers", "--payment", "--socket", str(home.socket)))
        assert [done.returncode for done in said] == [0, 0], said
        assert said[0].stdout == said[1].stdout
    assert calls(usps) == (1, 1)


# -- releases to come -----------------------------------------------------------------------------


@pytest.mark.parametrize("release", [OLD, TODAY], ids=["0.1.0", "today"])
@pytest.mark.parametrize(
    "of_later",
    [
        b"usps-token-broker state 2 sha256=%s length=2\n{}" % (b"0" * 64),
        b"usps-token-broker state 17 zstd blake3=0011\n\x00\xff\x00",
        b"usps-token-broker state 2\n",
    ],
    ids=["next", "far", "bare"],
)
def test_a_state_of_a_later_format_is_set_aside_whole(shop, release, of_later):
    """Whoever goes back a release and forward again finds it; the log says where it lies."""
    usps, home = shop()
    state = state_of(home)
    state.parent.mkdir(0o700)
    state.write_bytes(of_later)
    with home.broker(release.broker_environ) as broker:
        tokens(home)
        said = broker.errors()
    aside = state.with_name("state.newer-1")
    assert aside.read_bytes() == of_later
    assert str(aside) in said
    assert "of a later version" in said
    assert calls(usps) == (1, 1)


@pytest.mark.parametrize("release", [OLD, TODAY], ids=["0.1.0", "today"])
def test_fields_that_a_later_release_adds_are_passed_over(shop, release):
    """As long as the format keeps its number: the same tokens, no call."""
    usps, home = shop()
    first = run_to_its_end(home, TODAY, lambda _broker: tokens(home))
    more = with_more(payload_of(home))
    assert isinstance(more, dict)
    state_of(home).write_bytes(state_format.encode(json.dumps(more).encode()))
    assert run_to_its_end(home, release, lambda _broker: tokens(home)) == first
    assert calls(usps) == (1, 1)
    assert [path.name for path in state_of(home).parent.glob("state*")] == ["state"]


def with_more(value):
    """Another field in every object, whatever it is part of."""
    if isinstance(value, list):
        return [with_more(item) for item in value]
    if isinstance(value, dict):
        inner = {name: with_more(item) for name, item in value.items()}
        return {**inner, "a_later_field": {"deep": [None, 1, "…"]}}
    return value


@pytest.mark.parametrize("release", [OLD, TODAY], ids=["0.1.0", "today"])
def test_a_word_that_is_not_known_costs_a_call_and_no_more(shop, release):
    """A later release with a new kind of phase and the old number: set aside, and said."""
    usps, home = shop()
    run_to_its_end(home, TODAY, lambda _broker: tokens(home))
    payload = payload_of(home)
    payload["slots"][0]["phase"] = "dreaming"
    state_of(home).write_bytes(state_format.encode(json.dumps(payload).encode()))
    with home.broker(release.broker_environ) as broker:
        tokens(home)
        said = broker.errors()
    assert "state.damaged-1" in said
    assert "dreaming" not in said
    assert calls(usps) == (2, 2)


def test_no_field_of_the_format_has_gone(shop):
    """A missing one takes its default, so one with a new name would be lost in silence."""
    _, home = shop()
    had, has = (
        run_to_its_end(home, release, lambda _broker: tokens(home)) and names_in(payload_of(home))
        for release in (OLD, TODAY)
    )
    assert had <= has


def names_in(value, path=""):
    """Every field of it, by its path."""
    if isinstance(value, list):
        return set().union(*(names_in(item, path) for item in value))
    if isinstance(value, dict):
        inner = (names_in(item, f"{path}.{name}") for name, item in value.items())
        return {f"{path}.{name}" for name in value}.union(*inner)
    return set()
