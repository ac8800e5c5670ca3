"""The room where callers wait."""

from core_words import BEARER, PAYMENT

from usps_token_broker.core.waiting import Waiter, WaitingRoom


def test_a_room_starts_empty():
    """Nobody waits, for nothing, until never."""
    room = WaitingRoom()
    assert len(room) == 0
    assert room.all() == ()
    assert room.wanted_slots() == frozenset()
    assert room.next_give_up_at() is None


def test_callers_are_kept_in_the_order_they_came():
    """The first to ask is the first to be answered."""
    room = WaitingRoom()
    for ask in (3, 1, 2):
        room.add(Waiter(ask, (BEARER,), 10.0))
    assert [waiter.ask for waiter in room.all()] == [3, 1, 2]


def test_a_room_knows_which_slots_are_wanted():
    """Of all its callers together."""
    room = WaitingRoom()
    room.add(Waiter(1, (BEARER,), 10.0))
    room.add(Waiter(2, (BEARER, PAYMENT), 10.0))
    assert room.wanted_slots() == {BEARER, PAYMENT}


def test_a_room_knows_who_gives_up_first():
    """And when."""
    room = WaitingRoom()
    room.add(Waiter(1, (BEARER,), 20.0))
    room.add(Waiter(2, (BEARER,), 10.0))
    assert room.next_give_up_at() == 10.0


def test_a_caller_who_leaves_is_forgotten():
    """Leaving twice, or never having been there, is no harm."""
    room = WaitingRoom()
    room.add(Waiter(1, (BEARER,), 10.0))
    room.remove(1)
    room.remove(1)
    assert len(room) == 0
