"""Workers of a shop on virtual time: they hold tokens, and tell when USPS refuses one."""

from dataclasses import dataclass, field

import anyio
from virtual_weeks import Weeks

from usps_token_broker.core.values import SlotId


@dataclass
class Worker:
    """One process: what it last got of each token, as a value and its serial."""

    tokens: dict[SlotId, tuple[str, int]] = field(default_factory=dict)


class Workers:
    """A crowd that makes label calls, each of which needs both tokens."""

    def __init__(self, weeks: Weeks, count: int) -> None:
        self.weeks = weeks
        self.crowd = [Worker() for _ in range(count)]
        for worker in self.crowd:
            self._ask(worker)

    def _ask(self, worker: Worker) -> None:
        for slot in self.weeks.slots:
            value = self.weeks.watched.look(self.weeks.shop, slot)
            serial = self.weeks.shop.serial(slot)
            if value is not None and serial is not None:
                worker.tokens[slot] = (value, serial)

    def can_work(self, worker: Worker) -> bool:
        """Whether USPS would take a call with what this worker holds."""
        return all(self.weeks.usps.is_alive(value) for value, _ in worker.tokens.values())

    @property
    def all_can_work(self) -> bool:
        """Whether USPS would take a call of anybody."""
        return all(map(self.can_work, self.crowd))

    async def work(self) -> None:
        """Everybody makes a call within a few seconds, and tries again when it is refused."""
        async with anyio.create_task_group() as calls:
            for worker in self.crowd:
                calls.start_soon(self._call, worker)

    async def _call(self, worker: Worker) -> None:
        await anyio.sleep(self.weeks.dice.uniform(0, 5))
        # Twice: of a refused label call the bearer is renewed first.
        for _ in range(2):
            if self.can_work(worker):
                return
            await self.tell(worker)
            self._ask(worker)

    async def tell(self, worker: Worker) -> None:
        """What USPS answered is told, with the serials it was asked with."""
        bearer, payment = self.weeks.slots[:2]
        await self.weeks.watched.report(
            self.weeks.shop, bearer, worker.tokens[bearer][1], payment, worker.tokens[payment][1]
        )

    async def until_all_can_work(self, within_seconds: float) -> None:
        """They try each minute; raises when that does not help in time."""
        end = self.weeks.clock.true + within_seconds
        while not self.all_can_work:
            assert self.weeks.clock.true < end, (
                f"still dead: {list(map(self.weeks.view, self.weeks.slots))}"
            )
            await self.work()
            await anyio.sleep(55)
        self.weeks.watched.checks += len(self.crowd)
