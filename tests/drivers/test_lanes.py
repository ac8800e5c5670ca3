"""A lane by itself: what it takes from the kernel in a round of the loop, and in which order."""

import asyncio
import resource
import select
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from raw_http import turns, until

from usps_token_broker.drivers.server import lanes
from usps_token_broker.drivers.server.lanes import Lane, Lanes
from usps_token_broker.drivers.server.limits import Ledger, Limits

pytestmark = pytest.mark.anyio

GREEDY, MODEST = 1, 2
SOCKETS = 40
SHARE = 8


@dataclass
class Crowd:
    """Lanes of a server with two users connected, and what was done for each."""

    stack: ExitStack
    limits: Limits = field(default_factory=lambda: Limits(shared_turn=SHARE))
    done: list[object] = field(default_factory=list)

    def __post_init__(self):
        self.ledger = Ledger(self.limits)
        self.ledger.connect(GREEDY)
        self.ledger.connect(MODEST)
        self.lanes = Lanes(self.limits, self.ledger, asyncio.get_running_loop())
        self.stack.callback(self.lanes.close)

    def pair(self):
        """Both ends of a connection."""
        ours, theirs = socket.socketpair()
        self.stack.callback(ours.close)
        self.stack.callback(theirs.close)
        return ours, theirs

    def watch(self, uid, name=None, then=lambda: None):
        """Gives a lane one more socket, with something to read at once."""
        ours, theirs = self.pair()
        theirs.send(b"x")

        def ready(_events):
            if self.lanes.of(uid).take():
                ours.recv(1)
                self.done.append(name or uid)
                then()
            else:
                self.lanes.of(uid).unwatch(ours.fileno())
                self.lanes.of(uid).put_off(partial(go_on, ours))

        def go_on(ours):
            self.lanes.of(uid).take()
            ours.recv(1)
            self.done.append(name or uid)

        self.lanes.of(uid).watch(ours.fileno(), select.EPOLLIN, ready)


@pytest.fixture
async def crowd():
    """For one test."""
    with ExitStack() as stack:
        yield Crowd(stack)


async def a_round():
    """One of the loop."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@contextmanager
def without_descriptors():
    """None can be had; those that are open stay."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_turn_takes_no_more_than_its_share(crowd):
    """Of forty sockets that are ready as many are read as may be answered: each counts twice."""
    for _ in range(SOCKETS):
        crowd.watch(GREEDY)
    await a_round()
    assert 0 < len(crowd.done) <= SHARE // 2


async def test_in_the_end_all_have_had_their_turn(crowd):
    """A share is a delay, whether a socket was read or not."""
    for number in range(SOCKETS):
        crowd.watch(GREEDY, f"socket {number}")
    await until(lambda: len(crowd.done) == SOCKETS)
    assert len(set(crowd.done)) == SOCKETS


async def test_who_asks_during_a_turn_is_next(crowd):
    """It waits for what is left of that turn, and not for another one."""
    for number in range(SOCKETS):
        ask = partial(crowd.watch, MODEST, "modest") if number == 0 else lambda: None
        crowd.watch(GREEDY, f"socket {number}", then=ask)
    await until(lambda: "modest" in crowd.done)
    assert crowd.done.index("modest") <= SHARE // 2


async def test_what_was_put_off_comes_before_what_is_new(crowd):
    """In the order in which it was put off."""
    lane = crowd.lanes.of(GREEDY)
    for number in range(3):
        lane.put_off(partial(crowd.done.append, f"put off {number}"))
    for _ in range(SOCKETS):
        crowd.watch(GREEDY, "new")
    await until(lambda: len(crowd.done) == SOCKETS + 3)
    assert crowd.done[:3] == ["put off 0", "put off 1", "put off 2"]


async def test_what_was_done_beyond_the_share_is_owed(crowd):
    """A report that cost a whole share leaves little of the next turn, but never nothing."""
    lane = crowd.lanes.of(GREEDY)
    for _ in range(SOCKETS):
        crowd.watch(GREEDY)
    lane.charge(100 * SHARE)
    await a_round()
    assert len(crowd.done) <= 1
    await until(lambda: len(crowd.done) == SOCKETS)


async def test_alone_a_share_is_larger(crowd):
    """Nobody waits for it."""
    crowd.ledger.disconnect(MODEST)
    for _ in range(SOCKETS):
        crowd.watch(GREEDY)
    await a_round()
    assert len(crowd.done) == SOCKETS


async def test_a_mistake_with_one_socket_is_not_the_others(crowd, caplog):
    """It is told, and the turn goes on."""

    def fail():
        raise RuntimeError

    crowd.watch(GREEDY, "fails", then=fail)
    crowd.watch(GREEDY, "follows")
    await until(lambda: "follows" in crowd.done)
    assert "a connection failed" in caplog.text


async def test_a_turn_that_fails_is_followed_by_another(crowd, monkeypatch):
    """As it does when there is no memory for what the kernel has to tell: nobody is forgotten."""
    lane = crowd.lanes.of(GREEDY)
    reading = Lane._read

    def fail(*_):
        monkeypatch.setattr(Lane, "_read", reading)
        raise MemoryError

    errors = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    monkeypatch.setattr(Lane, "_read", fail)
    lane.put_off(partial(crowd.done.append, "put off"))
    await until(lambda: crowd.done)
    assert [type(error) for error in errors] == [MemoryError]


async def test_without_memory_to_leave_out_a_round_it_goes_on_at_once(crowd, monkeypatch):
    """What is put off would wait for ever, as nothing is read for it any more."""
    lane = crowd.lanes.of(GREEDY)
    call_soon = lane.loop.call_soon

    def fail(call, *arguments, **options):
        if call == lane._go_on:
            raise MemoryError
        return call_soon(call, *arguments, **options)

    monkeypatch.setattr(lane.loop, "call_soon", fail)
    lane.put_off(partial(crowd.done.append, "put off"))
    await until(lambda: crowd.done)


# -- who has a lane -------------------------------------------------------------------------------


async def test_a_uid_keeps_its_lane(crowd):
    """And another one has another."""
    assert crowd.lanes.of(GREEDY) is crowd.lanes.of(GREEDY)
    assert crowd.lanes.of(GREEDY) is not crowd.lanes.of(MODEST)


async def test_those_beyond_share_one(crowd):
    """So that a thousand uids of a container cost no thousand descriptors."""
    for uid in range(crowd.limits.lanes):
        crowd.lanes.of(uid).join()
    assert crowd.lanes.of(1000) is crowd.lanes.of(1001)
    assert crowd.lanes.of(1000) not in [crowd.lanes.of(uid) for uid in range(crowd.limits.lanes)]


async def test_a_lane_that_nobody_uses_makes_room(crowd):
    """Those in use are kept."""
    for uid in range(crowd.limits.lanes):
        crowd.lanes.of(uid).join()
    kept = crowd.lanes.of(4)
    crowd.lanes.of(5).leave()
    own = crowd.lanes.of(1000)
    own.join()
    assert own is not crowd.lanes.of(1001)
    assert crowd.lanes.of(4) is kept
    assert crowd.lanes.of(1000) is own


async def test_a_lane_that_nobody_uses_is_closed_in_a_moment(crowd, monkeypatch):
    """Its descriptor is given back; those in use stay."""
    monkeypatch.setattr(lanes, "_KEPT_SECONDS", 0.01)
    used, unused = crowd.lanes.of(GREEDY), crowd.lanes.of(MODEST)
    for lane in (used, unused):
        lane.join()
    unused.leave()
    await until(lambda: unused._epoll.closed)
    assert crowd.lanes._timer is None
    assert crowd.lanes.of(GREEDY) is used
    assert crowd.lanes.of(MODEST) is not unused


async def test_a_lane_that_nobody_came_to_use_is_closed_too(crowd, monkeypatch):
    """A caller that is refused may be gone before it has a stream."""
    monkeypatch.setattr(lanes, "_KEPT_SECONDS", 0.01)
    lane = crowd.lanes.of(1000)
    await until(lambda: lane._epoll.closed)


async def test_a_lane_with_something_put_off_is_used(crowd):
    """Even without a stream, as one that has just been lost may leave it."""
    for uid in range(crowd.limits.lanes):
        crowd.lanes.of(uid).join()
    crowd.lanes.of(5).put_off(partial(crowd.done.append, "put off"))
    crowd.lanes.of(5).leave()
    crowd.lanes.of(1000)
    await until(lambda: crowd.done)


async def test_without_descriptors_there_is_still_a_lane(crowd):
    """Who is connected already is served in the one of those who have none."""
    with without_descriptors():
        lane = crowd.lanes.of(1000)
    assert lane is crowd.lanes._for_others
    assert crowd.lanes.of(1000) is not lane


async def test_closed_lanes_do_nothing(crowd):
    """What was put off belongs to connections that have ended."""
    crowd.lanes.of(GREEDY).put_off(partial(crowd.done.append, "put off"))
    crowd.lanes.close()
    await turns(5)
    assert crowd.done == []


async def test_closed_lanes_are_not_busy(crowd):
    """So that a server that has ended can be told to end."""
    crowd.watch(GREEDY)
    crowd.lanes.of(MODEST).put_off(partial(crowd.done.append, "put off"))
    assert crowd.lanes.are_busy()
    crowd.lanes.close()
    assert not crowd.lanes.are_busy()
