"""One attempt: the secret read anew, with patience that ends, and never an exception."""

import threading
from dataclasses import dataclass, field

import anyio
import pytest

from usps_token_broker.app.fetching import (
    Account,
    Fetching,
    SecretReader,
    SecretUnreadableError,
)
from usps_token_broker.core.commands import Fetch
from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.values import AccountId, Endpoint, Secret, SlotId

pytestmark = pytest.mark.anyio
ACCOUNT = AccountId("apis.usps.com", "the-id")
ROLES = ({"roleName": "PAYER"},)


@pytest.fixture
def anyio_backend():
    """Threads are real, so time is."""
    return "asyncio"


@dataclass
class Upstream:
    """Grants, and remembers what it was asked with."""

    asked: list = field(default_factory=list, repr=False)
    loaded: int = 0

    def load(self):
        self.loaded += 1

    async def fetch_bearer(self, client_id, client_secret):
        self.asked.append((client_id, client_secret.reveal()))
        return Grant(Secret("bearer"), 28_799.0)

    async def fetch_payment(self, bearer, roles):
        self.asked.append((bearer.reveal(), roles))
        return Grant(Secret("payment"), 28_800.0)


def bearer_fetch():
    return Fetch(SlotId("default", "bearer"), 1, Endpoint.TOKEN, ACCOUNT)


def make(read, upstream):
    seen = []
    account = Account(ACCOUNT, SecretReader(read), upstream, {"payment-eu": ROLES})
    return Fetching({"default": account}, lambda *told: seen.append(told)), seen, account


async def test_the_secret_is_read_anew_for_each_bearer():
    """A file that was replaced is used at the next attempt, and its fingerprint is told."""
    secrets = iter([Secret("one"), Secret("two")])
    upstream = Upstream()
    fetching, seen, account = make(lambda: next(secrets), upstream)
    await fetching.load()
    grants = [await fetching.fetch(bearer_fetch()) for _ in range(2)]
    assert upstream.asked == [("the-id", "one"), ("the-id", "two")]
    prints = [account.fingerprint(Secret(text)) for text in ("one", "two")]
    assert seen == [("default", name) for name in prints]
    assert [grant.asked_with for grant in grants] == prints


async def test_a_payment_is_fetched_with_the_bearer_and_its_own_roles():
    """No secret is read for it."""
    upstream = Upstream()
    fetching, seen, _ = make(lambda: pytest.fail("no need to read it"), upstream)
    await fetching.load()
    command = Fetch(
        SlotId("default", "payment-eu"), 1, Endpoint.PAYMENT_AUTHORIZATION, ACCOUNT, Secret("b")
    )
    assert isinstance(await fetching.fetch(command), Grant)
    assert upstream.asked == [("b", ROLES)]
    assert seen == []


@pytest.mark.parametrize(
    ("slot", "account"),
    [
        (SlotId("gone", "payment-eu"), ACCOUNT),
        (SlotId("default", "payment-eu"), AccountId("apis-tem.usps.com", "the-id")),
        (SlotId("default", "payment-eu"), AccountId("apis.usps.com", "another-id")),
        (SlotId("default", "payment-gone"), ACCOUNT),
    ],
    ids=["app gone", "other host", "other client", "roles gone"],
)
async def test_what_a_reload_has_overtaken_is_asked_of_nobody(slot, account):
    """A bearer must not reach another host because an app's name has moved; nothing is charged."""
    upstream = Upstream()
    fetching, _, _ = make(lambda: Secret("one"), upstream)
    await fetching.load()
    command = Fetch(slot, 1, Endpoint.PAYMENT_AUTHORIZATION, account, Secret("b"))
    failure = await fetching.fetch(command)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.UNREACHED
    assert upstream.asked == []


async def test_a_secret_that_cannot_be_read_is_a_failure_that_costs_no_call():
    """Who reads it says why; a person must act, and the slot goes on trying."""

    def read():
        raise SecretUnreadableError("the secret file /s: /s does not exist", "write it")

    upstream = Upstream()
    fetching, seen, _ = make(read, upstream)
    await fetching.load()
    failure = await fetching.fetch(bearer_fetch())
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.code) == (FailureKind.UNREACHED, Code.CREDENTIALS_REFUSED)
    assert failure.detail == (
        "the client secret of app default cannot be read: the secret file /s: /s does not exist"
    )
    assert failure.fix == "write it; the broker looks again by itself within a minute"
    assert failure.reason == "secret_unusable"
    assert (upstream.asked, seen) == ([], [])


async def test_a_secret_that_only_now_cannot_be_read_is_nobodys_fault():
    """A broker without descriptors, or a share that does not answer: clients ask again."""

    def read():
        raise SecretUnreadableError("no", "wait", reason="out_of_descriptors", passing=True)

    fetching, _, _ = make(read, Upstream())
    await fetching.load()
    failure = await fetching.fetch(bearer_fetch())
    assert (failure.code, failure.reason) == (Code.NOT_READY, "out_of_descriptors")
    assert not failure.secret_unread


async def test_a_fetch_waits_until_everything_is_loaded():
    """The daemon serves what it has before it has imported what a call needs."""
    upstream = Upstream()
    fetching, _, _ = make(lambda: Secret("one"), upstream)
    grants = []

    async def fetch():
        grants.append(await fetching.fetch(bearer_fetch()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fetch)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        assert upstream.asked == []
        await fetching.load()
    assert (upstream.loaded, len(grants)) == (1, 1)


async def test_a_read_that_hangs_is_given_up_and_not_begun_again():
    """A dead network share costs one thread, however often it is tried, and the loop nothing."""
    let_go = threading.Event()
    begun = []

    def hang():
        begun.append(None)
        let_go.wait(30)
        return Secret("late")

    reader = SecretReader(hang, patience_seconds=0.05)
    try:
        for _ in range(5):
            with anyio.fail_after(10), pytest.raises(SecretUnreadableError, match=r"than 0\.05 s"):
                await reader.read()
        assert len(begun) == 1
    finally:
        let_go.set()


async def test_a_share_that_is_back_is_read_again():
    """The read that hung ends, and the next one is begun."""
    let_go = threading.Event()
    hung = threading.Event()

    def hang_once():
        if not hung.is_set():
            hung.set()
            let_go.wait(30)
        return Secret("here")

    reader = SecretReader(hang_once, patience_seconds=0.05)
    with pytest.raises(SecretUnreadableError):
        await reader.read()
    let_go.set()
    with anyio.fail_after(10):
        while True:
            try:
                assert (await reader.read()).reveal() == "here"
                break
            except SecretUnreadableError:
                await anyio.sleep(0.01)


async def test_two_readers_take_turns():
    """SIGHUP while a bearer is being fetched: two reads, one after the other."""
    under_way = []
    most = []

    def read():
        under_way.append(None)
        most.append(len(under_way))
        under_way.pop()
        return Secret("x")

    reader = SecretReader(read)
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(reader.read)
    assert most == [1] * 8


async def test_nothing_shows_the_secret():
    """Accounts and commands may stand in a traceback."""
    fetching, _, account = make(lambda: Secret("canary"), Upstream())
    await fetching.load()
    outcome = await fetching.fetch(bearer_fetch())
    command = Fetch(
        SlotId("default", "payment"), 1, Endpoint.PAYMENT_AUTHORIZATION, ACCOUNT, Secret("canary")
    )
    shown = f"{account!r} {fetching!r} {command!r} {outcome!r} {Secret('canary')}"
    assert "canary" not in shown
