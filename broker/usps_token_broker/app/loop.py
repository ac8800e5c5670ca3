"""The loop: events to the core, its commands to the drivers, one timer.

An event is handed to the core together with the time, and no `await` happens until its commands
are listed. What takes time (a call to USPS, a write) runs as a task that posts an event when it
ends. A broken invariant raises wherever the event came from, and ends the loop and the process; the
next one starts from the saved state.
"""

from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

import anyio
from anyio.abc import TaskGroup

from usps_token_broker.app.ports import Ports
from usps_token_broker.app.record import Recorder
from usps_token_broker.core.broker import Broker
from usps_token_broker.core.commands import (
    Answer,
    Command,
    Denial,
    Deny,
    Fetch,
    Note,
    Outcome,
    Persist,
    Publish,
    Settle,
)
from usps_token_broker.core.events import (
    Asked,
    Event,
    Failed,
    Granted,
    RenewalOrdered,
    Reported,
    Withdrawn,
    Woke,
)
from usps_token_broker.core.outcomes import Grant
from usps_token_broker.core.values import SlotId

HEARTBEAT_SECONDS: Final = 30.0
"""No sleep is longer: a suspended machine or a stepped clock is noticed within one."""
CHARGE_PATIENCE_SECONDS: Final = 5.0
"""How long a call to USPS waits for its charge to be on record. A disk that hangs for longer must
not cost the shop its tokens: the charge still counts in memory."""
ANSWER_PATIENCE_SECONDS: Final = 1.0
"""How long a caller waits for a new token to be on record, so that a kill cannot lose it."""
_SHORTEST_SLEEP_SECONDS: Final = 0.001


@dataclass(slots=True)
class Question:
    """One caller's question on its way: set once, by an answer or a denial."""

    done: anyio.Event = field(default_factory=anyio.Event)
    denial: Denial | None = None
    outcome: Outcome | None = None


class Loop:
    """Drives one `Broker`, in one thread; `post` may be called from any callback."""

    def __init__(self, broker: Broker, ports: Ports) -> None:
        self.broker = broker
        self._clock = ports.clock
        self._dice = ports.dice
        self._fetcher = ports.fetcher
        self._journal = ports.journal
        self._published = ports.published
        self._beats = ports.beats
        self._tally = ports.tally
        self._recorder = Recorder(ports.saver)
        self._inbox: deque[Event] = deque()
        self._draining = False
        self._rearmed = anyio.Event()
        self._questions: dict[int, Question] = {}
        self._asks = 0
        self._flights = 0
        self._landed = anyio.Event()
        self._broken: Exception | None = None
        self._turned = anyio.Event()
        self._tasks: TaskGroup | None = None

    @property
    def state_trouble(self) -> str | None:
        """Why the state could not be saved, or None."""
        return self._recorder.trouble

    async def run(self) -> None:
        """Run until cancelled. Events posted before are handled first."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._recorder.run)
            self._drain()
            await self._keep_time()

    async def _keep_time(self) -> None:
        while self._broken is None:
            self._beats()
            self._rearmed = anyio.Event()
            with anyio.move_on_after(self._delay()) as scope:
                await self._rearmed.wait()
            if scope.cancelled_caught:
                self.post(Woke())
        raise self._broken

    def _delay(self) -> float:
        now = self._clock()
        wakeup = self.broker.next_wakeup(now)
        if wakeup is None:
            return HEARTBEAT_SECONDS
        return min(HEARTBEAT_SECONDS, max(_SHORTEST_SLEEP_SECONDS, wakeup.at - now.boot))

    # -- events in --------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Hand an event to the core, now if it is not busy with another."""
        self._inbox.append(event)
        if self._tasks is not None and not self._draining and self._broken is None:
            self._drain()

    def _drain(self) -> None:
        self._draining = True
        try:
            while self._inbox:
                event = self._inbox.popleft()
                now = self._clock()
                # No await from here until every command is under way: the core's word is whole.
                commands = self.broker.handle(event, now)
                if Persist() in commands:
                    self._recorder.record(self.broker.state(now))
                self._tally.handled(event, commands)
                for command in commands:
                    self._carry_out(command)
        except Exception as error:
            # Whoever posted the event may survive this; the core must not be asked again.
            self._broken = error
            raise
        finally:
            self._draining = False
            self._rearmed.set()
            self._turned.set()

    def _carry_out(self, command: Command) -> None:
        match command:
            case Fetch():
                self._start(self._fetch, command, self._recorder.wanted)
            case Persist():
                pass  # recorded before all others: what they do must be on record first
            case Publish():
                self._published(command.slot)
            case Answer():
                self._finish(command.ask, None, None)
            case Deny():
                self._finish(command.ask, command.denial, None)
            case Settle():
                self._finish(command.ask, command.denial, command.outcome)
            case Note():
                self._journal(command)
            case _:
                assert_never(command)

    def _start(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        assert self._tasks is not None  # noqa: S101 - post() drains only while running
        self._tasks.start_soon(work, *arguments)

    async def _fetch(self, command: Fetch, version: int) -> None:
        self._flights += 1
        try:
            await self._recorder.written(version, CHARGE_PATIENCE_SECONDS)
            sent_at = self._clock()
            outcome = await self._fetcher.fetch(command)
            seconds = self._clock().boot - sent_at.boot
            self._tally.took(command.slot.app, command.endpoint, seconds)
        finally:
            self._flights -= 1
            self._landed.set()
        if isinstance(outcome, Grant):
            self.post(Granted(command.slot, command.attempt, outcome, sent_at, self._dice()))
        else:
            self.post(Failed(command.slot, command.attempt, outcome, self._dice()))

    # -- questions --------------------------------------------------------------------------------

    async def ask(
        self, slots: tuple[SlotId, ...], wait_seconds: float, min_valid_seconds: float | None
    ) -> Denial | None:
        """Wait until all these slots can be served: None, or why they cannot.

        A caller that is cancelled is withdrawn; what it caused goes on.
        """
        ask = self._next_ask()
        give_up_at = self._clock().boot + wait_seconds
        question = await self._put(ask, Asked(ask, slots, give_up_at, min_valid_seconds))
        return question.denial

    async def report(
        self,
        app: str,
        wait_seconds: float,
        *,
        bearer_serial: int | None,
        payment: SlotId | None,
        payment_serial: int | None,
    ) -> Question:
        """Tell that USPS refused these serials as dead; the question that comes back is done."""
        ask = self._next_ask()
        give_up_at = self._clock().boot + wait_seconds
        event = Reported(ask, app, give_up_at, bearer_serial, payment, payment_serial)
        return await self._put(ask, event)

    def is_superseded(
        self,
        app: str,
        *,
        bearer_serial: int | None,
        payment: SlotId | None,
        payment_serial: int | None,
    ) -> bool:
        """Whether `report` of these would say that another token has taken the place already."""
        now = self._clock()
        event = Reported(0, app, now.boot, bearer_serial, payment, payment_serial)
        return self.broker.is_superseded(event, now)

    async def renew(self, slot: SlotId, wait_seconds: float) -> Question:
        """Have another token fetched by a person's order; the question that comes back is done."""
        ask = self._next_ask()
        give_up_at = self._clock().boot + wait_seconds
        return await self._put(ask, RenewalOrdered(ask, slot, give_up_at))

    async def until(self, condition: Callable[[], bool], patience_seconds: float) -> None:
        """Wait for something about the core to become so; no longer than that, nor than it runs."""
        with anyio.move_on_after(patience_seconds):
            while not (condition() or self.broker.stopped):
                if self._turned.is_set():  # else others wait for this one already
                    self._turned = anyio.Event()
                await self._turned.wait()

    def _next_ask(self) -> int:
        self._asks += 1
        return self._asks

    async def _put(self, ask: int, event: Asked | RenewalOrdered | Reported) -> Question:
        question = self._questions[ask] = Question()
        try:
            self.post(event)
            await question.done.wait()
        finally:
            if self._questions.pop(ask, None) is not None and not question.done.is_set():
                self.post(Withdrawn(ask))
        return question

    def _finish(self, ask: int, denial: Denial | None, outcome: Outcome | None) -> None:
        question = self._questions.get(ask)
        if question is None:
            return
        question.denial, question.outcome = denial, outcome
        if self._recorder.pending():
            self._start(self._release, question, self._recorder.wanted)
        else:
            question.done.set()

    async def _release(self, question: Question, version: int) -> None:
        """Let a caller go once the token it waited for would survive our death."""
        await self._recorder.written(version, ANSWER_PATIENCE_SECONDS)
        question.done.set()

    async def landed(self) -> None:
        """Wait until no call to USPS is under way; after `Stopped`, none begins."""
        while self._flights:
            self._landed = anyio.Event()
            await self._landed.wait()

    async def saved(self) -> None:
        """Wait until all that was to be recorded is, or cannot be."""
        await self._recorder.written(self._recorder.wanted, CHARGE_PATIENCE_SECONDS)
