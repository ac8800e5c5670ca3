"""The core on paper: events in, commands out as short lines, time counted by hand.

A test reads as a transcript:

    play = Playbook()
    play.start()
    play.says("persist", "fetch bearer", "publish bearer", "publish payment")
    play.grant(BEARER)

`says` compares all commands of the last step, in order, and shows a diff and the whole transcript
where they differ; `run` is the loop with a USPS that answers, for tests that need hours.
"""

import difflib
import math
from collections.abc import Callable, Iterable

from core_words import (
    APP,
    BEARER,
    BOOT,
    HOUR,
    LIFE,
    PAYMENT,
    SCOPES,
    SECRET,
    START,
    app_plan,
    failure,
    in_words,
    line,
    short,
    slot_plans,
)

from usps_token_broker.core.broker import Broker, Wakeup
from usps_token_broker.core.commands import Command, Denial, Deny, Fetch, Note, Persist, Settle
from usps_token_broker.core.events import (
    Asked,
    CredentialsSeen,
    Event,
    Failed,
    Forgotten,
    Granted,
    Reloaded,
    RenewalOrdered,
    Reported,
    Restored,
    Used,
    Withdrawn,
    Woke,
)
from usps_token_broker.core.outcomes import Failure, FailureKind, Grant
from usps_token_broker.core.plans import AppPlan, SlotPlan
from usps_token_broker.core.snapshot import Serving, SlotView
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import Now, Secret, SlotId

Usps = Callable[[Fetch, Now], Grant | Failure]


class Playbook:
    """A broker, its two clocks, the flights that are out, and everything that was said."""

    def __init__(
        self,
        payments: int = 1,
        *,
        apps: Iterable[AppPlan] = (),
        calls_per_hour: int = 30,
        now: Now = START,
    ) -> None:
        self.apps = tuple(apps) or (app_plan(calls_per_hour=calls_per_hour),)
        self.slots = [plan for app in self.apps for plan in slot_plans(app.name, payments)]
        self.now = now
        self.broker = Broker(self.apps, self.slots)
        self.flights: dict[SlotId, Fetch] = {}
        self.sent_at: dict[SlotId, Now] = {}
        self.persisted: SavedState | None = None
        self.last: list[Command] = []
        self.everything: list[Command] = []
        self.calls: list[tuple[float, SlotId]] = []
        self.transcript: list[tuple[float, Event | Command | str]] = []
        self.asks = 0
        self.values = 0

    # -- time -------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Time goes by on both clocks, and nobody looks."""
        self.now = Now(self.now.boot + seconds, self.now.wall + seconds)

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.now = Now(self.now.boot, self.now.wall + seconds)
        self.transcript.append((self.now.boot, f"the wall clock steps by {seconds:g} s"))

    def next_wakeup(self) -> Wakeup | None:
        """When the broker wants to be woken."""
        return self.broker.next_wakeup(self.now)

    def wakes_in(self) -> float | None:
        """In how many seconds the broker wants to be woken."""
        wakeup = self.next_wakeup()
        return None if wakeup is None else wakeup.at - self.now.boot

    def wake(self) -> list[Command]:
        """The broker is woken now."""
        return self.hears(Woke())

    def sleep(self) -> list[Command]:
        """Time goes by until the next wake-up."""
        wakeup = self.next_wakeup()
        assert wakeup is not None, self._told("nobody will wake the broker")
        self.wait(wakeup.at - self.now.boot)
        # Adding to the clock may fall a hair short of the instant.
        self.now = self.now._replace(boot=max(self.now.boot, wakeup.at))
        return self.wake()

    def run(
        self, seconds: float, usps: Usps | None = None, *, latency: float = 0.2, most: int = 20_000
    ) -> list[Command]:
        """What the loop does in that time: it sleeps, wakes, and carries what USPS answers."""
        end = self.now.boot + seconds
        begin = len(self.everything)
        for _ in range(most):
            landing = [at.boot + latency for at in self.sent_at.values()] if usps else []
            wakeup = self.next_wakeup()
            edges = [*landing, *([wakeup.at] if wakeup else [])]
            soonest = min(edges, default=math.inf)
            if soonest > end:
                self.wait(end - self.now.boot)
                return self.everything[begin:]
            self.wait(max(0.0, soonest - self.now.boot))
            self.now = self.now._replace(boot=max(self.now.boot, soonest))
            if usps and landing and soonest == min(landing):
                self._land(usps)
            else:
                self.wake()
        raise AssertionError(self._told(f"{most} wake-ups did not cover {seconds} s"))

    def _land(self, usps: Usps) -> None:
        slot = min(self.sent_at, key=lambda slot: self.sent_at[slot].boot)
        self.land(slot, usps(self.flights[slot], self.now), draw=0.5)

    # -- events -----------------------------------------------------------------------------------

    def hears(self, event: Event) -> list[Command]:
        """Tell the broker; what it says is kept for `says`."""
        self.transcript.append((self.now.boot, event))
        self.last = self.broker.handle(event, self.now)
        for command in self.last:
            self.everything.append(command)
            self.transcript.append((self.now.boot, command))
            if isinstance(command, Fetch):
                self.flights[command.slot] = command
                self.sent_at[command.slot] = self.now
                self.calls.append((self.now.boot, command.slot))
            if isinstance(command, Persist):
                self.persisted = self.broker.state(self.now)
        return self.last

    def start(self, *, secret: str = SECRET, boot: str = BOOT) -> list[Command]:
        """The first process: nothing was saved."""
        for app in self.apps:
            self.hears_secret(secret, app.name)
        return self.hears(Restored(None, boot))

    def hears_secret(self, fingerprint: str, app: str = APP) -> list[Command]:
        """The client secret is read; its fingerprint is this."""
        return self.hears(CredentialsSeen(app, fingerprint))

    def restart(
        self,
        *,
        secret: str = SECRET,
        boot: str = BOOT,
        change: Callable[[SavedState], SavedState] = lambda saved: saved,
        away: float = 0.0,
    ) -> list[Command]:
        """The process is killed; another one finds what was persisted last."""
        self.transcript.append((self.now.boot, "killed, started again"))
        assert self.persisted is not None
        self.broker = Broker(self.apps, self.slots)
        self.flights.clear()
        self.sent_at.clear()
        self.wait(away)
        for app in self.apps:
            if secret:
                self.hears_secret(secret, app.name)
        return self.hears(Restored(change(self.persisted), boot))

    def reboot(self, boot: str = "boot-2", *, away: float = 60.0, up: float = 10.0) -> None:
        """The machine starts again: BOOTTIME from nearly nothing, the wall clock goes on."""
        self.now = Now(up - away, self.now.wall)
        self.restart(boot=boot, away=away)

    def grants(
        self,
        slot: SlotId = BEARER,
        *,
        life: float = LIFE,
        value: str | None = None,
        scopes: tuple[str, ...] | None = SCOPES,
    ) -> Grant:
        """A grant for this slot; a new token unless a value is named."""
        self.values += 1
        value = f"secret-{short(slot)}-{self.values}" if value is None else value
        return Grant(Secret(value), life, scopes=scopes if slot.is_bearer else None)

    def grant(
        self,
        slot: SlotId = BEARER,
        *,
        draw: float = 0.0,
        life: float = LIFE,
        value: str | None = None,
        scopes: tuple[str, ...] | None = SCOPES,
    ) -> list[Command]:
        """USPS grants what this slot's flight asked for."""
        return self.land(slot, self.grants(slot, life=life, value=value, scopes=scopes), draw=draw)

    def fail(
        self,
        slot: SlotId = BEARER,
        kind: FailureKind = FailureKind.TRANSIENT,
        *,
        draw: float = 1.0,
        retry_after: float | None = None,
    ) -> list[Command]:
        """This slot's flight ends without a token."""
        return self.land(slot, failure(kind, retry_after), draw=draw)

    def land(self, slot: SlotId, outcome: Grant | Failure, *, draw: float = 0.0) -> list[Command]:
        """This slot's flight ends."""
        flight = self.flights.pop(slot)
        sent_at = self.sent_at.pop(slot)
        if isinstance(outcome, Grant):
            return self.hears(Granted(slot, flight.attempt, outcome, sent_at, draw))
        return self.hears(Failed(slot, flight.attempt, outcome, draw))

    def works(self, fetch: Fetch, _now: Now) -> Grant | Failure:
        """A USPS, for `run`, that grants whatever it is asked."""
        return self.grants(fetch.slot)

    def failing(self, slot: SlotId, kind: FailureKind, retry_after: float | None = None) -> Usps:
        """A USPS, for `run`, that fails this slot and grants all others."""

        def usps(fetch: Fetch, _now: Now) -> Grant | Failure:
            return failure(kind, retry_after) if fetch.slot == slot else self.grants(fetch.slot)

        return usps

    def ready(self) -> None:
        """Start, and have every slot granted."""
        self.start()
        while self.flights:
            self.grant(next(iter(self.flights)))

    def ask(
        self, *slots: SlotId, wait: float = 10.0, min_valid: float | None = None
    ) -> list[Command]:
        """A caller asks; its number is `asks`."""
        self.asks += 1
        until = self.now.boot + wait
        return self.hears(Asked(self.asks, slots or (BEARER,), until, min_valid))

    def leave(self) -> list[Command]:
        """The last caller goes away."""
        return self.hears(Withdrawn(self.asks))

    def report(
        self,
        bearer: int | None = None,
        payment: int | None = None,
        *,
        slot: SlotId = PAYMENT,
        wait: float = 10.0,
    ) -> list[Command]:
        """A worker tells that USPS refused these serials."""
        self.asks += 1
        until = self.now.boot + wait
        of = None if payment is None else slot
        return self.hears(Reported(self.asks, slot.app, until, bearer, of, payment))

    def report_dead(self, slot: SlotId = BEARER, *, wait: float = 10.0) -> list[Command]:
        """A worker tells that this slot's current token is dead, without another beside it."""
        if slot.is_bearer:
            return self.report(self.serial(slot), slot=slot, wait=wait)
        return self.report(payment=self.serial(slot), slot=slot, wait=wait)

    def order(self, slot: SlotId = BEARER, *, wait: float = 10.0) -> list[Command]:
        """A person orders another token; the number of the order is `asks`."""
        self.asks += 1
        return self.hears(RenewalOrdered(self.asks, slot, self.now.boot + wait))

    def forget(self, *slots: SlotId) -> list[Command]:
        """A person orders these tokens gone."""
        return self.hears(Forgotten(slots))

    def use(self, slot: SlotId) -> list[Command]:
        """A token is handed out without anybody waiting."""
        return self.hears(Used(slot))

    def reload(
        self, slots: Iterable[SlotPlan], apps: Iterable[AppPlan] | None = None
    ) -> list[Command]:
        """Another configuration is in force."""
        self.apps = self.apps if apps is None else tuple(apps)
        self.slots = list(slots)
        return self.hears(Reloaded(self.apps, tuple(self.slots)))

    # -- what is so -------------------------------------------------------------------------------

    def serving(self, slot: SlotId = BEARER) -> Serving | None:
        """What may be handed out now."""
        return self.broker.serving(slot, self.now)

    def serial(self, slot: SlotId = BEARER) -> int | None:
        """The serial of what may be handed out now."""
        serving = self.serving(slot)
        return serving.token.serial if serving else None

    def left(self, slot: SlotId = BEARER) -> float | None:
        """Seconds of life of what may be handed out now."""
        serving = self.serving(slot)
        return serving.expires_boot_at - self.now.boot if serving else None

    def view(self, slot: SlotId = BEARER) -> SlotView:
        """What a person sees of this slot."""
        return self.broker.snapshot(self.now).slot(slot)

    def next_attempt_in(self, slot: SlotId = BEARER) -> float | None:
        """In how many seconds this slot tries again."""
        at = self.view(slot).next_attempt_at
        return None if at is None else at - self.now.wall

    def denial(self) -> Denial:
        """The denial in the last commands."""
        denials = [c.denial for c in self.last if isinstance(c, Deny | Settle) and c.denial]
        assert len(denials) == 1, self._told(f"{len(denials)} denials")
        return denials[0]

    def notes(self) -> list[Note]:
        """The notes in the last commands."""
        return [command for command in self.last if isinstance(command, Note)]

    def calls_of(self, slot: SlotId) -> list[float]:
        """When this slot's flights left, on the boot clock."""
        return [at for at, of in self.calls if of == slot]

    def most_in_an_hour(self, slot: SlotId) -> int:
        """The most flights of this slot that left within any hour."""
        times = self.calls_of(slot)
        return max((sum(at <= t < at + HOUR for t in times) for at in times), default=0)

    # -- what must be so --------------------------------------------------------------------------

    def says(self, *expected: str) -> None:
        """These were the commands of the last step, all of them, in this order."""
        got = [line(command) for command in self.last]
        if got != list(expected):
            diff = difflib.ndiff(list(expected), got)
            raise AssertionError(self._told("expected (-), said (+):\n" + "\n".join(diff)))

    def said(self, *expected: str) -> None:
        """These were among the commands of the last step, in this order."""
        got = iter([line(command) for command in self.last])
        missing = [wanted for wanted in expected if wanted not in got]
        assert not missing, self._told(f"never said, or not in this order: {missing}")

    def _told(self, what: str) -> str:
        told = [f"{at - START.boot:9.1f} {in_words(entry)}" for at, entry in self.transcript[-60:]]
        return f"{what}\n\ntranscript:\n" + "\n".join(told)
