"""The loop on virtual time: a clock that follows trio's, and a USPS that keeps its own books."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from usps_token_broker.app.loop import Loop
from usps_token_broker.app.ports import Ports
from usps_token_broker.core.broker import Broker
from usps_token_broker.core.commands import Denial, Fetch, Note
from usps_token_broker.core.events import CredentialsSeen, Restored
from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.plans import AppPlan, SlotPlan
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import BEARER, PAYMENT, Now, Secret, SlotId
from usps_token_broker.wire import state as wire_state

HOST = "apis.usps.com"
CLIENT_ID = "client"
HOUR = 3600.0
DAY = 24 * HOUR
START_WALL = 1_790_000_000.0
START_BOOT = 50_000.0
BEARER_SLOT = SlotId("default", BEARER)
PAYMENT_SLOT = SlotId("default", PAYMENT)

DOWN = Failure(FailureKind.TRANSIENT, Code.UPSTREAM_UNAVAILABLE, "USPS answered 503", "wait", 503)
UNREACHED = Failure(
    FailureKind.UNREACHED, Code.UPSTREAM_UNAVAILABLE, "no route to USPS", "mend the network"
)
INVALID_CLIENT = Failure(
    FailureKind.REFUSED,
    Code.CREDENTIALS_REFUSED,
    "USPS does not know this client",
    "check client_id and client_secret",
    401,
    "invalid_client",
)


class VirtualClock:
    """Both clocks on trio's virtual time; they can be stepped apart."""

    def __init__(self) -> None:
        self.wall_offset = START_WALL
        self.boot_offset = START_BOOT
        self._unseen = 0.0
        """What went by while the machine slept or was off."""

    def __call__(self) -> Now:
        """Both clocks."""
        elapsed = anyio.current_time()
        return Now(self.boot_offset + elapsed, self.wall_offset + elapsed)

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: both clocks go on, timers do not notice."""
        self.boot_offset += seconds
        self.wall_offset += seconds
        self._unseen += seconds

    def reboot(self, off_seconds: float, up_seconds: float = 10.0) -> None:
        """The machine was off for so long: the boot clock begins again, the wall clock went on."""
        self.boot_offset = up_seconds - anyio.current_time()
        self.wall_offset += off_seconds
        self._unseen += off_seconds

    @property
    def true(self) -> float:
        """What really went by since the beginning, whatever the clocks say."""
        return anyio.current_time() + self._unseen

    @property
    def wall_error(self) -> float:
        """How wrong the wall clock is."""
        return self.wall_offset - self._unseen - START_WALL

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall_offset += seconds


@dataclass
class Call:
    """One call that USPS saw."""

    at: float
    slot: SlotId


@dataclass
class VirtualUsps:
    """Grants tokens of a real life, but for the times and slots a test says otherwise."""

    clock: VirtualClock
    life_seconds: float = 28_799.0
    scopes: tuple[str, ...] = ("addresses", "labels", "payments")
    latency_seconds: float = 0.2
    calls: list[Call] = field(default_factory=list)
    answers: Callable[[Fetch, Now], Failure | None] = lambda _command, _now: None

    async def fetch(self, command: Fetch) -> Grant | Failure:
        """Answer one attempt after a while."""
        await anyio.sleep(self.latency_seconds)
        now = self.clock()
        self.calls.append(Call(now.boot, command.slot))
        failure = self.answers(command, now)
        if failure is not None:
            return failure
        value = f"token-{command.slot}-{len(self.calls)}"
        scopes = self.scopes if command.slot.is_bearer else None
        return Grant(Secret(value), self.life_seconds, scopes=scopes)

    def down(self, begin: float, end: float, failure: Failure = DOWN) -> None:
        """Fail everything between these boot instants."""
        self.answers = lambda _command, now: failure if begin <= now.boot < end else None

    def calls_of(self, slot: SlotId) -> list[float]:
        """When this slot's calls arrived, on the boot clock."""
        return [call.at for call in self.calls if call.slot == slot]

    def most_in_an_hour(self, slots: Iterable[SlotId] | None = None) -> int:
        """The most calls that any sliding hour saw."""
        wanted = None if slots is None else set(slots)
        times = [c.at for c in self.calls if wanted is None or c.slot in wanted]
        # A call that leaves as its hour ends may arrive a hair before: the network is not the rule.
        hour = HOUR - 1
        return max((sum(1 for t in times if at <= t < at + hour) for at in times), default=0)


class MemorySaver:
    """Keeps what was saved; can refuse, as a full disk does."""

    def __init__(self) -> None:
        self.payload: bytes | None = None
        self.trouble: str | None = None

    async def save(self, payload: bytes) -> str | None:
        """Keep it, or say why not."""
        await anyio.lowlevel.checkpoint()
        if self.trouble is None:
            self.payload = payload
        return self.trouble

    def saved(self) -> SavedState | None:
        """What the next process would find."""
        return None if self.payload is None else wire_state.decode(self.payload)


@dataclass
class Shop:
    """A running loop with its outside, as a test sees it."""

    loop: Loop
    clock: VirtualClock
    usps: VirtualUsps
    saver: MemorySaver
    notes: list[Note]

    async def ask(
        self, *slots: SlotId, wait: float = 10.0, min_valid: float | None = None
    ) -> Denial | None:
        """What a caller gets: None for a token, else the denial."""
        return await self.loop.ask(slots or (BEARER_SLOT,), wait, min_valid)

    async def pass_time(self, seconds: float) -> None:
        """Let virtual time go by."""
        await anyio.sleep(seconds)

    async def until(self, boot_at: float) -> None:
        """Let virtual time go by until this boot instant."""
        await anyio.sleep(max(0.0, boot_at - self.clock().boot))

    def left(self, slot: SlotId = BEARER_SLOT) -> float | None:
        """Seconds of life a caller would get now, or None."""
        now = self.clock()
        serving = self.loop.broker.serving(slot, now)
        return None if serving is None else serving.expires_boot_at - now.boot

    def serial(self, slot: SlotId = BEARER_SLOT) -> int | None:
        """The serial a caller would get now."""
        serving = self.loop.broker.serving(slot, self.clock())
        return None if serving is None else serving.token.serial

    def events(self) -> list[str]:
        """The names of what was noted."""
        return [note.event for note in self.notes]


@asynccontextmanager
async def running(
    payments: int = 1,
    *,
    calls_per_hour: int = 30,
    credentials: str = "credentials",
    saved: SavedState | None = None,
    boot_id: str = "boot-1",
    clock: VirtualClock | None = None,
    usps: VirtualUsps | None = None,
    draw: Callable[[], float] = lambda: 0.5,
    beats: Callable[[], None] = lambda: None,
    plans: tuple[list[AppPlan], list[SlotPlan]] | None = None,
) -> AsyncIterator[Shop]:
    """A loop that runs until the block ends; `plans` takes the place of the usual ones."""
    clock = clock or VirtualClock()
    usps = usps or VirtualUsps(clock)
    saver = MemorySaver()
    notes: list[Note] = []
    apps, slots = plans or _usual(payments, calls_per_hour)
    ports = Ports(clock, draw, usps, saver, notes.append, lambda _slot: None, beats)
    loop = Loop(Broker(apps, slots), ports)
    loop.post(CredentialsSeen("default", credentials))
    loop.post(Restored(saved, boot_id))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop.run)
        yield Shop(loop, clock, usps, saver, notes)
        tasks.cancel_scope.cancel()


def _usual(payments: int, calls_per_hour: int) -> tuple[list[AppPlan], list[SlotPlan]]:
    names = [PAYMENT, *(f"{PAYMENT}-{n}" for n in range(1, payments))][:payments]
    slots = [SlotPlan(BEARER_SLOT, required=True)]
    slots += [SlotPlan(SlotId("default", name), f"roles-{name}") for name in names]
    return [AppPlan("default", HOST, CLIENT_ID, LifePolicy(), calls_per_hour)], slots
