"""The 403, for whoever has to find out at night why a worker has no token."""

import json
import threading

import anyio
import pytest
from interface import GROUPS, LABELS, OWN_UID, SHOP, USERS, answer_of, app

from usps_token_broker.app import forbidding
from usps_token_broker.app.access import AccessTable
from usps_token_broker.app.forbidding import Forbidding, group_name, user_name
from usps_token_broker.core.values import SlotId
from usps_token_broker.drivers.peers import OVERFLOW_ID

pytestmark = pytest.mark.anyio
PAYMENT = SlotId("default", "payment")


@pytest.fixture
def anyio_backend():
    """Threads are what this is about, and the virtual clock does not wait for them."""
    return "asyncio"


def said_to(uid, groups, *apps, slot=None):
    table = AccessTable(apps or (app(),), OWN_UID)
    words = Forbidding(table.rules, USERS.get, GROUPS.get)
    answer = answer_of(words.say(table.of(uid, groups), slot))
    assert (answer.status, answer.code) == (403, "forbidden")
    return answer.json["detail"], answer.json["fix"]


def test_it_says_who_you_are():
    """By name and number, with your groups."""
    detail, _ = said_to(1001, (100,))
    assert detail.startswith("user alice (uid 1001; groups: users) may not use this broker.")


def test_it_says_what_is_open_to_whom():
    """Every slot, or the one that was asked for."""
    detail, _ = said_to(1001, (100,))
    assert "Open: default/bearer to group shop, group labels; default/payment to group labels" in (
        detail
    )
    detail, _ = said_to(1001, (SHOP,), slot=PAYMENT)
    assert "may not have the token default/payment. Open: default/payment to group" in detail


def test_it_says_which_line_to_add():
    """Ready to be pasted, with the table it belongs to."""
    _, fix = said_to(1001, (100,))
    assert 'add users = ["alice"]' in fix
    assert "to [apps.default.bearer]" in fix
    assert "usps-token-broker reload" in fix
    _, fix = said_to(1001, (SHOP,), slot=PAYMENT)
    assert "to [apps.default.payments.default]" in fix
    _, fix = said_to(1001, (SHOP,), slot=SlotId("default", "payment-eu.2"))
    assert 'to [apps.default.payments."eu.2"]' in fix


def test_a_user_without_a_name_goes_by_number():
    """As is usual in containers; the line to add works with numbers, too."""
    detail, fix = said_to(4242, (4242, 100))
    assert "the user without a name (uid 4242; groups: users, 4242)" in detail
    assert "add users = [4242]" in fix


def test_a_user_in_no_group_is_said_to_be():
    """The bare fact."""
    assert "groups: none)" in said_to(1001, ())[0]


def test_who_cannot_be_told_apart_is_told_so():
    """No line in the configuration would help."""
    _, fix = said_to(OVERFLOW_ID, (OVERFLOW_ID,))
    assert "65534 is what the kernel says of everybody" in fix
    assert "add users" not in fix


def test_what_is_open_to_nobody_is_said_to_be():
    """A slot without users and groups is root's and the broker's own."""
    detail, _ = said_to(1001, (100,), app(open_to={}))
    assert "default/bearer, default/payment to root and the broker's own user alone" in detail


def test_hundreds_of_slots_and_groups_make_no_long_story():
    """It must fit a screen, and a log line."""
    many = [f"payment-{n}" for n in range(300)]
    rules = {name: range(10_000 + n, 10_020 + n) for n, name in enumerate(many)}
    detail, _ = said_to(1001, range(20_000, 20_400), app(payments=many, open_to=rules))
    assert "and 392 more" in detail
    assert len(detail) < 3000


async def test_it_is_worked_out_once_for_each_peer_and_slot():
    """A worker that asks in a loop costs the name service nothing."""
    looked_up = []
    table = AccessTable([app()], OWN_UID)
    words = Forbidding(table.rules, looked_up.append, GROUPS.get)
    access = table.of(1001, {SHOP})
    first = await words.reply(access, PAYMENT)
    count = len(looked_up)
    assert await words.reply(access, PAYMENT) is first
    assert len(looked_up) == count


async def test_it_is_logged_once_for_each_peer_and_slot(caplog):
    """Administrators read it before a worker's; a worker's loop must not fill it."""
    table = AccessTable([app()], OWN_UID)
    words = Forbidding(table.rules, USERS.get, GROUPS.get)
    for _ in range(5):
        await words.reply(table.of(1001, {SHOP}), PAYMENT)
    assert len(caplog.messages) == 1
    assert "refused: user alice (uid 1001; groups: shop) may not have" in caplog.messages[0]


async def test_a_name_service_that_hangs_costs_seconds_and_no_more(monkeypatch):
    """Numbers must do then, and nobody else is held up."""
    monkeypatch.setattr(forbidding, "NAMES_SECONDS", 0.05)
    let_go = threading.Event()

    def hang(_uid):
        let_go.wait(20)

    table = AccessTable([app()], OWN_UID)
    words = Forbidding(table.rules, hang, GROUPS.get)
    try:
        with anyio.fail_after(10):
            reply = await words.reply(table.of(1001, {SHOP}), PAYMENT)
        assert "uid 1001; groups: 2001" in json.loads(reply.body)["detail"]
    finally:
        let_go.set()


def test_what_is_said_is_remembered_within_bounds():
    """A host with many users who may nothing is no reason to grow."""
    table = AccessTable([app()], OWN_UID)
    words = Forbidding(table.rules, USERS.get, GROUPS.get)
    for uid in range(10_000, 12_000):
        words.say(table.of(uid, {LABELS + 1}))
    assert len(words._said) <= 1024


def test_names_come_from_the_name_service():
    """And none is not an error."""
    assert (user_name(0), group_name(0)) == ("root", "root")
    assert (user_name(4_000_000_001), group_name(4_000_000_001)) == (None, None)
