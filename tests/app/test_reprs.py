"""What the loop handles may end up in a log or a traceback: none of it shows a token."""

import copy
import pickle

import anyio
import pytest
from interface import open_interface
from virtual import DAY

from usps_token_broker.core.events import CredentialsSeen
from usps_token_broker.core.values import Secret
from usps_token_broker.wire import state as wire_state

pytestmark = pytest.mark.anyio

MARK = "token-default"
"""What every token of the virtual USPS begins with."""


@pytest.fixture
async def seen():
    """Every event, command, record and reply of a day with renewals, reports and an outage."""
    things = []
    async with open_interface() as broker:
        handle = broker.loop.broker.handle

        def watched(event, now):
            commands = handle(event, now)
            things.extend([event, *commands])
            return commands

        broker.loop.broker.handle = watched
        token = await broker.token("payment")
        assert MARK in token["token"]
        await anyio.sleep(DAY / 2)
        for slot in ("bearer", "payment"):
            serial = (await broker.token(slot))["serial"]
            things.append(await broker.report(401, serials={"bearer": serial}))
        broker.usps.down(0, float("inf"))
        broker.loop.post(CredentialsSeen("default", "another"))
        await anyio.sleep(DAY)
        things += [broker.loop.broker.state(broker.clock()), broker.loop, broker.shelf]
        things += [broker.loop.broker.snapshot(broker.clock()), broker.door.front, broker.table]
        things += list(broker.loop.broker._slots.values())
        things.append(wire_state.decode(broker.saver.payload))
        yield [thing for thing in things if not hasattr(thing, "body")]


async def test_no_event_command_or_record_shows_a_token(seen):
    """By repr, str and format, alone and in containers."""
    kinds = {type(thing).__name__ for thing in seen}
    assert {"Granted", "Failed", "Fetch", "SavedState", "Snapshot", "Slot"} <= kinds
    for thing in seen:
        for shown in (repr(thing), str(thing), f"{thing}", repr([thing]), repr({"a": thing})):
            assert MARK not in shown, type(thing)


def test_a_secret_is_not_copied_or_pickled():
    """Neither into a child process nor into a crash report."""
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            take(Secret("x"))
