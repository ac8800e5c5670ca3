"""A state file that is cut or has a bit flipped, through the whole restore, and at real starts."""

import json
import logging
import signal
from collections import Counter

import pytest
from core_play import Playbook
from core_words import BEARER, BOOT, HOST, HOUR, PAYMENT, SECRET, app_plan
from processes import Home, Usps, until

from usps_token_broker.app.keeping import Keeper
from usps_token_broker.core.broker import Broker
from usps_token_broker.core.commands import Fetch
from usps_token_broker.core.events import CredentialsSeen, Restored
from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.plans import AppPlan
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.values import NOMINAL_LIFE_SECONDS, SlotId
from usps_token_broker.drivers.store import Store
from usps_token_broker.drivers.store import format as state_format
from usps_token_broker.wire import state as wire_state

OTHER_BEARER, OTHER_PAYMENT = SlotId("other", "bearer"), SlotId("other", "payment")
SLOTS = (BEARER, PAYMENT, OTHER_BEARER, OTHER_PAYMENT)
RETRY_AFTER_SECONDS = 1800.0
AWAY_SECONDS = 60.0
NAMES = {"cut": "cut at a byte", "flip": "a bit flipped"}
SPREAD = 29
"""Of all damages, every so manieth in the short form: a prime, so that every bit has its turn."""


class Past:
    """What a broker of two apps left: three tokens, and one endpoint that wants no calls."""

    def __init__(self):
        apps = (app_plan(), AppPlan("other", HOST, "second-client", LifePolicy(), 30))
        self.play = play = Playbook(apps=apps)
        play.start()
        for slot in SLOTS[:-1]:
            play.grant(slot)
        play.fail(OTHER_PAYMENT, FailureKind.RATE_LIMITED, retry_after=RETRY_AFTER_SECONDS)
        self.payload = wire_state.encode(play.persisted)
        self.data = state_format.encode(self.payload)
        self.granted = {slot: play.serving(slot) for slot in SLOTS}
        self.values = {
            slot: one.token.value.reveal() for slot, one in self.granted.items() if one is not None
        }
        play.wait(AWAY_SECONDS)

    def next_broker(self, saved):
        """The broker that begins with what was found, and what it does first."""
        broker = Broker(self.play.apps, self.play.slots)
        commands = []
        for app in self.play.apps:
            commands += broker.handle(CredentialsSeen(app.name, SECRET), self.play.now)
        commands += broker.handle(Restored(saved, BOOT), self.play.now)
        return broker, [command for command in commands if isinstance(command, Fetch)]


@pytest.fixture
def past():
    return Past()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "state")
    store.open()
    yield store
    store.close()


def flipped(data, bit):
    """With one bit another."""
    place, mask = divmod(bit, 8)
    return data[:place] + bytes([data[place] ^ 1 << mask]) + data[place + 1 :]


def spread(count, dice, rounds):
    """Which of so many damages are tried."""
    step = rounds(SPREAD, 1)
    return range(dice.randrange(step), count, step)


def decoded(payload):
    """What the bytes hold, and what is said when that is nothing."""
    try:
        return wire_state.decode(payload), ""
    except ValueError as error:
        return None, str(error)


def is_near(value, granted):
    """Whether at most one character differs."""
    return len(value) == len(granted) and sum(map(str.__ne__, value, granted)) <= 1


@pytest.mark.anyio
async def test_what_was_not_damaged_is_all_there(past, store, tmp_path):
    """Tokens, ends, and the Retry-After: what the tests below miss where they find nothing."""
    tmp_path.joinpath("state", "state").write_bytes(past.data)
    broker, fetches = past.next_broker(await Keeper(store).load())
    for slot in SLOTS[:-1]:
        serving = broker.serving(slot, past.play.now)
        assert serving.token.value.reveal() == past.values[slot]
        assert serving.expires_boot_at == past.granted[slot].expires_boot_at
    assert fetches == []
    view = broker.snapshot(past.play.now).slot(OTHER_PAYMENT)
    held_until = past.play.now.wall - AWAY_SECONDS + RETRY_AFTER_SECONDS
    assert view.next_attempt_at == pytest.approx(held_until)


@pytest.mark.anyio
@pytest.mark.parametrize("damage", NAMES)
async def test_no_damage_to_the_file_gives_a_token_that_was_not_granted(
    past, store, tmp_path, damage, dice, rounds, tried, caplog
):
    """At every byte, at every bit: said, set aside, and one call each for what is missing."""
    count = len(past.data) if damage == "cut" else len(past.data) * 8
    file = tmp_path / "state" / "state"
    for number in spread(count, dice, rounds):
        damaged = past.data[:number] if damage == "cut" else flipped(past.data, number)
        file.write_bytes(damaged)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            broker, fetches = past.next_broker(await Keeper(store).load())
        [said] = caplog.messages
        assert "the saved state is set aside as" in said
        assert not any(value in said for value in past.values.values())
        assert not file.exists()
        assert [broker.serving(slot, past.play.now) for slot in SLOTS] == [None] * len(SLOTS)
        assert Counter(f.slot for f in fetches) == {BEARER: 1, OTHER_BEARER: 1}
        tried(f"state file, {NAMES[damage]}", 1, 5)
    assert len(list(file.parent.glob("state.*"))) <= 10, "a few of each kind are kept"


def test_no_flip_before_it_was_summed_breaks_the_restore(past, dice, rounds, tried):
    """Memory that fails, or a hand: whatever decodes gives no token of another, none for longer."""
    now = past.play.now
    restored = 0
    for bit in spread(len(past.payload) * 8, dice, rounds):
        saved, said = decoded(flipped(past.payload, bit))
        assert not any(value in said for value in past.values.values())
        broker, fetches = past.next_broker(saved)
        assert max(Counter(fetch.slot for fetch in fetches).values(), default=0) <= 1
        for view in (slot for app in broker.snapshot(now).apps for slot in app.slots):
            assert 0 <= view.attempts_left <= 4
            served = broker.serving(view.id, now)
            if served is not None:
                restored += 1
                assert is_near(served.token.value.reveal(), past.values[view.id])
                assert served.expires_boot_at <= now.boot + NOMINAL_LIFE_SECONDS
        wakeup = broker.next_wakeup(now)
        assert fetches or wakeup is not None, "it never wakes again"
        assert wakeup is None or wakeup.at <= now.boot + 8 * HOUR
        assert wire_state.decode(wire_state.encode(broker.state(now))), "it can be saved again"
        tried("state, a bit flipped before it was summed", 1, 12)
    assert restored, "most flips leave most tokens"


# -- real starts ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def usps():
    """One USPS for all, which takes as many calls as they make."""
    with Usps("--quota", "token=none", "--quota", "payment-authorization=none") as process:
        yield process


@pytest.fixture
def home(usps):
    """A folder in which a broker ran."""
    home = Home(usps.base_url)
    with home.broker() as broker:
        home.token("payment")
        broker.kill(signal.SIGTERM)
    yield home
    home.remove()


def test_a_damaged_state_at_a_real_start_costs_one_call_each(usps, home, dice, rounds, tried):
    """It says what it found, serves tokens of today, and keeps the broken file for a person."""
    state = home.folder / "state" / "state"
    for _ in range(rounds(2, 60)):
        whole = state.read_bytes()
        tokens = {slot["token"]["value"] for slot in tokens_in(whole)}
        damaged = whole[: dice.randrange(len(whole))]
        if dice.random() < 0.7:
            damaged = flipped(whole, dice.randrange(len(whole) * 8))
        state.write_bytes(damaged)
        state.with_name("state.new").write_bytes(damaged[: dice.randrange(len(damaged) + 1)])
        before = [usps.calls(endpoint) for endpoint in ("token", "payment-authorization")]
        with home.broker() as broker:
            now = {home.token(slot)["token"] for slot in ("bearer", "payment")}
            said = broker.errors()
            assert "the saved state is set aside as" in said
            assert "state.new, which a crash had left unfinished" in said
            assert "Traceback" not in said
            assert not any(token in said for token in tokens | now)
            assert not tokens & now
            until(lambda: home.status()["state_trouble"] is None)
            assert broker.kill(signal.SIGTERM) == 0
        after = [usps.calls(endpoint) for endpoint in ("token", "payment-authorization")]
        assert after == [calls + 1 for calls in before]
        tried("state file damaged before a real start", 1, 8)


def tokens_in(whole):
    return json.loads(state_format.decode(whole).payload)["slots"]
