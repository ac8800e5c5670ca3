"""The shipped simulator in a thread of its own, for tests that run no event loop.

    with SimulatedUsps(Settings(life_seconds=60)) as usps:
        usps.inject("unavailable=5@tokenx2")
        ...  # whatever talks to usps.base_url
        usps.wait_for_calls(3, "token")

Everything the simulator can be told goes through its own thread, so any thread may tell it.
"""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

import anyio
import anyio.abc
from anyio.from_thread import BlockingPortal, start_blocking_portal

from usps_token_broker.simulator import (
    Api,
    Call,
    Clock,
    Fault,
    Injected,
    Limits,
    Settings,
    Simulator,
)


class SimulatedUsps:
    """A context manager around `Simulator`; its methods are those, for any thread."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        port: int = 0,
        limits: Limits | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._port = port
        self._limits = limits
        self._stack = ExitStack()
        self._portal: BlockingPortal
        self._simulator: Simulator
        self._task_group: anyio.abc.TaskGroup

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal(backend="asyncio"))
            self._simulator = self._portal.call(self._make)
            self._task_group = self._portal.call(anyio.create_task_group)
            stack.enter_context(self._portal.wrap_async_context_manager(self._task_group))
            stack.callback(self.stop)
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def base_url(self) -> str:
        """Where a client finds it."""
        return self._simulator.base_url

    def start(self) -> None:
        """Listen again after `stop`, on the same port; tokens are still good."""
        self._portal.call(self._simulator.start, self._task_group)

    def stop(self) -> None:
        """Play an outage: connections are reset, and new ones refused."""
        self._portal.call(self._simulator.stop)

    def inject(self, fault: Fault | str) -> Injected:
        """Let calls meet this fault from now on."""
        return self._portal.call(self._simulator.inject, fault)

    def lift(self, injected: Injected) -> None:
        """Take one fault away, and let go the calls it holds."""
        self._portal.call(injected.lift)

    def clear_faults(self) -> int:
        """Take all faults away, let go the calls they hold, and say how many stood."""
        return self._portal.call(self._simulator.clear_faults)

    def revoke(self, what: str, client_id: str | None = None) -> int:
        """Let live tokens die (`bearer`, `payment` or `all`), and say how many did."""
        return self._portal.call(self._simulator.revoke, what, client_id)

    def configure(self, **changes: object) -> Settings:
        """Change fields of `Settings` while it runs."""
        return self._portal.call(lambda: self._simulator.configure(**changes))

    def reset(self) -> None:
        """Forget calls and open every quota anew."""
        self._portal.call(self._simulator.reset)

    def calls(self, api: Api | str = "all") -> int:
        """How many calls came in, answered or not."""
        return self._portal.call(self._simulator.calls.total, api)

    def calls_with_status(self, status: int, api: Api | str = "all") -> int:
        """How many calls were answered with this status."""
        return self._portal.call(self._simulator.calls.with_status, status, api)

    def calls_with_code(self, code: str, api: Api | str = "all") -> int:
        """How many calls ended in this outcome, such as `granted`."""
        return self._portal.call(self._simulator.calls.with_code, code, api)

    def log(self) -> list[Call]:
        """The last calls, the oldest first."""
        return self._portal.call(lambda: self._simulator.calls.log)

    def tokens_granted(self, kind: str) -> int:
        """Distinct tokens granted so far, `bearer` or `payment`."""
        return self._portal.call(self._simulator.tokens_granted, kind)

    def wait_for_calls(
        self, total: int, api: Api | str = "all", *, within_seconds: float = 10.0
    ) -> None:
        """Return once so many calls have come in.

        Raises:
            TimeoutError: Fewer have within that time.
        """
        self._portal.call(self._wait_for_calls, total, api, within_seconds)

    async def _wait_for_calls(self, total: int, api: Api | str, within_seconds: float) -> None:
        with anyio.move_on_after(within_seconds):
            await self._simulator.calls.wait_for(total, api)
            return
        seen = self._simulator.calls.total(api)
        raise TimeoutError(
            f"{total} calls of {api} were expected in {within_seconds} s, saw {seen}"
        )

    async def _make(self) -> Simulator:
        return Simulator(self._settings, clock=self._clock, port=self._port, limits=self._limits)
