"""`GET /v1/events`: the state first, then each change, on virtual time."""

import json
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from interface import ADMIN, ALICE, BOB, LABELS, SHOP, Lines, app, open_interface
from virtual import DOWN, HOUR

from usps_token_broker.app.queries import Query
from usps_token_broker.core.values import SlotId
from usps_token_broker.wire.replies import Streamed

pytestmark = pytest.mark.anyio

EVENTS = "/v1/events"
BEARER = SlotId("default", "bearer")
PAYMENT = SlotId("default", "payment")
MANY = tuple(f"payment-{n}" for n in range(299))


class Peer:
    """A peer whose rights can be changed."""

    def __init__(self, broker, who=ADMIN):
        self.access = broker.table.of(*who)

    def __call__(self):
        """What it may see now."""
        return self.access

    def loses(self, *slots):
        """A configuration without them, or without a rule for this peer."""
        self.access = replace(self.access, slots=self.access.slots - {*slots})

    def gains(self, *slots):
        """The opposite."""
        self.access = replace(self.access, slots=self.access.slots | {*slots})


@asynccontextmanager
async def following(broker, peer, **query):
    """The lines of a peer, and an `until` that has read the first."""
    streamed = broker.feed.stream(peer, Query(**query))
    async with aclosing(streamed.pieces):
        lines = Lines(streamed)
        await lines.next()
        yield lines


async def settled(broker, *slots):
    """Until these have been granted."""
    for slot in slots or ("bearer", "payment"):
        await broker.token(slot)


async def later(seconds, call, *arguments):
    """Calls after a while."""
    await anyio.sleep(seconds)
    call(*arguments)


def slots_of(line):
    return {f"{a['app']}/{s['slot']}" for a in line["apps"] for s in a["slots"]}


# -- what is told ---------------------------------------------------------------------------------


async def test_the_first_line_is_the_status():
    """With every field that this peer would get from `GET /v1/status`, and `event`."""
    async with open_interface() as broker:
        await settled(broker)
        for who in (ADMIN, ALICE):
            async with broker.follow(who=who) as lines:
                line = await lines.next()
                assert line.pop("event") == "status"
                assert line == (await broker.get("/v1/status", who=who)).json


async def test_each_change_is_a_line():
    """A cold start as it is seen: the bearer is fetched, then with it the payment token."""
    async with open_interface() as broker, broker.follow() as lines:
        first = await lines.next()
        assert (first["event"], first["ready"]) == ("status", False)
        told = await lines.until("alive")
        stories = [(line["slot"]["slot"], line["slot"]["phase"]) for line in told[:-1]]
        assert stories == [
            ("bearer", "fetching"),
            ("payment", "idle"),
            ("bearer", "idle"),
            ("payment", "fetching"),
            ("payment", "idle"),
        ]


async def test_a_slot_is_told_as_in_status():
    """The same fields, at the instant it says."""
    async with open_interface() as broker, broker.follow() as lines:
        last = (await lines.until("alive"))[-2]
        status = (await broker.get("/v1/status")).json
        slot = {s["slot"]: s for s in status["apps"][0]["slots"]}["payment"]
        assert list(last["slot"]) == list(slot)
        passing = {"expires_in": pytest.approx(slot["expires_in"], abs=40)}
        passing["attempts_left"] = pytest.approx(slot["attempts_left"], abs=0.2)
        assert last["slot"] == {**slot, **passing}
        assert last["slot"]["expires_at"] - last["at"] == pytest.approx(
            last["slot"]["expires_in"], abs=0.01
        )


async def test_a_trouble_is_told_and_its_end():
    """What a person who watches waits for."""
    async with open_interface() as broker:
        await settled(broker)
        peer = Peer(broker)
        broker.usps.down(0, broker.clock().boot + 7 * HOUR)
        async with following(broker, peer, app="default") as lines:
            codes = set()
            while codes != {None, DOWN.code.value}:
                line = await lines.next()
                if line["event"] == "slot" and line["slot"]["slot"] == "bearer":
                    trouble = line["slot"]["trouble"]
                    codes.add(trouble and trouble["code"])
                    last = line
            while last["slot"]["trouble"]:
                last = (await lines.until("slot"))[-1]
            assert last["slot"]["phase"] == "idle"


async def test_a_day_is_told_in_order_and_without_a_token():
    """Instants do not go back, serials do not either, and no byte of a token is in any line."""
    async with open_interface() as broker, broker.follow() as lines:
        at, serials, said, values = 0.0, {}, [], set()
        while at < broker.clock.wall_offset + 24 * HOUR:
            line = await lines.next()
            said.append(json.dumps(line))
            values |= {(await broker.token(slot))["token"] for slot in ("bearer", "payment")}
            assert line["at"] >= at
            at = line["at"]
            if line["event"] == "slot" and line["slot"]["serial"]:
                name = line["slot"]["slot"]
                assert line["slot"]["serial"] >= serials.get(name, 0)
                serials[name] = line["slot"]["serial"]
        assert len(values) >= 8
        assert not any(value in text for value in values for text in said)


async def test_alive_after_half_a_minute_of_nothing():
    """And again, each half minute."""
    async with open_interface() as broker:
        await settled(broker)
        async with broker.follow() as lines:
            begin = (await lines.next())["at"]
            for n in (1, 2, 3):
                line = await lines.next()
                assert line == {"event": "alive", "at": pytest.approx(begin + 30 * n, abs=0.01)}


async def test_alive_waits_for_half_a_minute_without_any_line():
    """A change is a sign of life too."""
    async with open_interface() as broker:
        await settled(broker)
        async with broker.follow() as lines:
            await lines.next()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(later, 20, broker.feed.changed, BEARER)
                changed = await lines.next()
            alive = await lines.next()
            assert (changed["event"], alive["event"]) == ("slot", "alive")
            assert alive["at"] - changed["at"] == pytest.approx(30, abs=0.01)


async def test_stopping_is_the_last_line():
    """After what has changed before; then the stream ends."""
    async with open_interface() as broker:
        await settled(broker)
        async with broker.follow() as lines:
            await lines.next()
            broker.feed.changed(BEARER)
            broker.feed.close()
            assert (await lines.next())["event"] == "slot"
            assert (await lines.next())["event"] == "stopping"
            with pytest.raises(StopAsyncIteration):
                await lines.next()
        assert not broker.feed.followers


async def test_a_stream_of_a_broker_that_ends_is_short():
    """The state, and that it ends."""
    async with open_interface() as broker:
        broker.feed.close()
        async with broker.follow() as lines:
            kinds = [line["event"] for line in await lines.until("stopping")]
            assert kinds == ["status", "stopping"]


async def test_close_wakes_who_waits():
    """At once, not at the next sign of life."""
    async with open_interface() as broker:
        await settled(broker)
        async with broker.follow() as lines:
            await lines.next()
            async with anyio.create_task_group() as tasks:
                begin = broker.clock().boot
                tasks.start_soon(later, 1, broker.feed.close)
                assert (await lines.next())["event"] == "stopping"
            assert broker.clock().boot == pytest.approx(begin + 1, abs=0.01)


# -- who is told what -----------------------------------------------------------------------------


async def test_only_what_this_peer_may_read():
    """Nothing of others, not even that something changed."""
    theirs = app("theirs", open_to={})
    async with open_interface(app(), theirs) as broker, broker.follow(who=ALICE) as lines:
        told = await lines.until("alive")
        assert slots_of(told[0]) == {"default/bearer"}
        named = {(line["app"], line["slot"]["slot"]) for line in told[1:-1]}
        assert named == {("default", "bearer")}


async def test_of_one_app():
    """`app=` narrows it down; an unknown one is said, and other keys are no keys."""
    async with open_interface(app("one"), app("two")) as broker:
        async with broker.follow(f"{EVENTS}?app=two") as lines:
            told = await lines.until("alive")
        assert [a["app"] for a in told[0]["apps"]] == ["two"]
        assert {line["app"] for line in told[1:-1]} == {"two"}
        assert (await broker.get(f"{EVENTS}?app=three")).code == "unknown_app"
        assert (await broker.get(f"{EVENTS}?slot=bearer")).code == "bad_request"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_it_is_only_looked_at(method):
    """GET and HEAD."""
    async with open_interface() as broker:
        answer = await broker.ask(method, EVENTS)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_nothing_begins_before_the_first_line_is_asked_for():
    """A HEAD, or a stream that is one too many, leaves nothing behind."""
    async with open_interface() as broker:
        streamed = broker.feed.stream(Peer(broker), Query())
        assert isinstance(streamed, Streamed)
        assert not broker.feed.followers
        async with broker.follow() as lines:
            await lines.next()
            assert broker.feed.followers == 1
        assert not broker.feed.followers


# -- a reload -------------------------------------------------------------------------------------


async def test_a_reload_is_told_with_the_state():
    """Then it goes on."""
    async with open_interface() as broker:
        await settled(broker)
        async with following(broker, Peer(broker)) as lines:
            broker.feed.reloaded()
            assert (await lines.next())["event"] == "reloaded"
            line = await lines.next()
            assert line["event"] == "status"
            assert slots_of(line) == {"default/bearer", "default/payment"}
            broker.feed.changed(BEARER)
            assert (await lines.next())["slot"]["slot"] == "bearer"


async def test_what_a_reload_takes_away_is_told_once_and_then_no_more():
    """A slot that is gone, or no longer open to this peer: it cannot tell, and need not."""
    async with open_interface() as broker:
        await settled(broker)
        peer = Peer(broker, BOB)
        async with following(broker, peer) as lines:
            peer.loses(PAYMENT)
            broker.feed.reloaded()
            told = await lines.until("removed")
            assert [line["event"] for line in told] == ["reloaded", "status", "removed"]
            assert slots_of(told[1]) == {"default/bearer"}
            assert (told[2]["app"], told[2]["slot"]) == ("default", "payment")
            broker.feed.changed(PAYMENT)
            assert (await lines.next())["event"] == "alive"


async def test_a_reload_of_the_configuration_is_followed():
    """A slot more, another less, and rules that let a peer see one no longer."""
    before = app(payments=("payment", "payment-eu"))
    after = app(payments=("payment", "payment-us"), open_to={"bearer": (SHOP,)})
    async with open_interface(before) as broker:
        await settled(broker, "bearer", "payment", "payment-eu")
        async with broker.follow() as root, broker.follow(who=BOB) as bob:
            await root.next()
            await bob.next()
            broker.reload(after)
            told = await root.until("removed")
            assert [line["event"] for line in told] == ["reloaded", "status", "removed"]
            assert slots_of(told[1]) == {
                "default/bearer",
                "default/payment",
                "default/payment-us",
            }
            assert told[2]["slot"] == "payment-eu"
            named = {line["slot"]["slot"] for line in (await root.until("alive"))[:-1]}
            assert named == {"payment-us"}
            sent_away = [await bob.next() for _ in range(3)]
            assert [line["event"] for line in sent_away] == ["reloaded", "removed", "removed"]
            with pytest.raises(StopAsyncIteration):
                await bob.next()


async def test_what_a_reload_opens_is_told_from_then_on():
    """The payment token, to somebody who had the bearer alone."""
    async with open_interface() as broker:
        await settled(broker)
        peer = Peer(broker, ALICE)
        async with following(broker, peer) as lines:
            broker.feed.changed(PAYMENT)
            peer.gains(PAYMENT)
            broker.feed.reloaded()
            assert slots_of((await lines.until("status"))[-1]) == {
                "default/bearer",
                "default/payment",
            }
            broker.feed.changed(PAYMENT)
            assert (await lines.next())["slot"]["slot"] == "payment"


async def test_a_reload_in_force_counts_before_it_is_told():
    """What waits to be told is not told to who may no longer see it."""
    async with open_interface() as broker:
        await settled(broker)
        peer = Peer(broker, BOB)
        async with following(broker, peer) as lines:
            broker.feed.changed(PAYMENT)
            broker.feed.changed(BEARER)
            peer.loses(PAYMENT)
            assert (await lines.next())["slot"]["slot"] == "bearer"
            assert (await lines.next())["event"] == "alive"


async def test_a_slot_that_is_gone_before_the_reload_is_told():
    """There is nothing to say of it."""
    async with open_interface() as broker:
        await settled(broker)
        gone = SlotId("default", "payment-gone")
        peer = Peer(broker)
        peer.gains(gone)
        async with following(broker, peer) as lines:
            broker.feed.changed(gone)
            assert (await lines.next())["event"] == "alive"


@pytest.mark.parametrize("query", [{}, {"app": "default"}])
async def test_who_may_see_nothing_any_more_is_sent_away(query):
    """With what was taken away; the refusal of the next request says why."""
    async with open_interface() as broker:
        await settled(broker)
        peer = Peer(broker, BOB)
        async with following(broker, peer, **query) as lines:
            peer.loses(BEARER, PAYMENT)
            broker.feed.reloaded()
            told = [await lines.next() for _ in range(3)]
            assert [line["event"] for line in told] == ["reloaded", "removed", "removed"]
            with pytest.raises(StopAsyncIteration):
                await lines.next()


# -- slow followers, and many ---------------------------------------------------------------------


async def test_a_slow_follower_is_told_the_present():
    """However often a slot changed meanwhile: one line, as it is now."""
    async with open_interface() as broker:
        await settled(broker)
        async with following(broker, Peer(broker)) as lines:
            before = (await broker.token())["serial"]
            await anyio.sleep(30 * HOUR)
            line = await lines.next()
            assert line["slot"]["serial"] == (await broker.token())["serial"] > before
            now = broker.clock().wall
            assert line["at"] == pytest.approx(now, abs=0.01)
            kinds = [line["event"] for line in await lines.until("alive")]
            assert kinds == ["slot", "alive"]


async def test_a_slow_follower_costs_the_names_of_what_changed():
    """And lines go out together, not all at once."""
    async with open_interface(app(payments=MANY, calls_per_hour=600)) as broker:
        streamed = broker.feed.stream(Peer(broker), Query())
        async with aclosing(streamed.pieces) as pieces:
            await anext(pieces)
            for _ in range(100):
                for name in MANY:
                    broker.feed.changed(SlotId("default", name))
            (follower,) = broker.feed._followers
            assert len(follower.changed) == len(MANY)
            sizes, told = [], []
            while len(told) < len(MANY):
                piece = await anext(pieces)
                sizes.append(len(piece))
                told += [json.loads(line)["slot"]["slot"] for line in piece.splitlines()]
            assert told == list(MANY)
            assert max(sizes) < 20_000
            assert len(sizes) < len(MANY) / 10


async def test_a_change_is_encoded_once_for_all():
    """A hundred followers of three hundred slots get the very same bytes."""
    async with open_interface(app(payments=MANY, calls_per_hour=600), start=False) as broker:
        slot = SlotId("default", MANY[7])
        views = []
        look = broker.loop.broker.slot_view
        broker.loop.broker.slot_view = lambda *asked: views.append(asked) or look(*asked)
        snapshots = []
        take = broker.loop.broker.snapshot
        broker.loop.broker.snapshot = lambda now: snapshots.append(now) or take(now)
        streams = [broker.feed.stream(Peer(broker), Query()).pieces for _ in range(100)]
        assert len({await anext(pieces) for pieces in streams}) == 1
        assert len(snapshots) == 1
        broker.feed.changed(slot)
        told = [await anext(pieces) for pieces in streams]
        assert len(set(told)) == 1
        assert (len(views), len(snapshots)) == (1, 1)
        broker.feed.reloaded()
        for pieces in streams:
            await anext(pieces)
        assert len(snapshots) == 2
        for pieces in streams:
            await pieces.aclose()
        assert not broker.feed.followers


async def test_identities_are_not_mixed_up():
    """What is kept for one is not told to another."""
    open_to = {"bearer": (SHOP, LABELS), "payment": (LABELS,)}
    async with open_interface(app(open_to=open_to), start=False) as broker:
        for who, count in ((ADMIN, 2), (ALICE, 1), (BOB, 2), (ALICE, 1)):
            async with broker.follow(who=who) as lines:
                assert len(slots_of(await lines.next())) == count


async def test_a_state_is_kept_for_a_second_at_most():
    """Whoever comes later is told how it stands then."""
    async with open_interface() as broker:
        await settled(broker)
        for seconds, later_by in ((0.5, 0), (5, 5.5)):
            async with broker.follow() as lines:
                first = (await lines.next())["at"]
            await anyio.sleep(seconds)
            async with broker.follow() as lines:
                assert (await lines.next())["at"] - first == pytest.approx(later_by, abs=0.01)


async def test_a_state_is_not_kept_over_a_change():
    """However short ago it was told."""
    async with open_interface() as broker:
        async with broker.follow() as lines:
            assert not (await lines.next())["ready"]
        await settled(broker)
        assert broker.clock().boot - 50_000 < 1
        async with broker.follow() as lines:
            assert (await lines.next())["ready"]


async def test_a_line_is_kept_for_a_second_at_most():
    """A slow follower is told how it stands now, not how a quick one was told."""
    async with open_interface() as broker:
        await settled(broker)
        async with (
            following(broker, Peer(broker)) as quick,
            following(broker, Peer(broker)) as slow,
        ):
            broker.feed.changed(BEARER)
            first = (await quick.next())["at"]
            await anyio.sleep(10)
            assert (await slow.next())["at"] - first == pytest.approx(10, abs=0.01)


async def test_the_state_after_a_reload_stands_for_all_changes_before():
    """They are not told again."""
    async with open_interface() as broker:
        await settled(broker)
        async with following(broker, Peer(broker)) as lines:
            broker.feed.changed(BEARER)
            broker.feed.reloaded()
            told = [line["event"] for line in await lines.until("alive")]
            assert told == ["reloaded", "status", "alive"]
