"""The simulator as one object: start it in a task group, break it, ask what it saw."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Self

import anyio
import anyio.abc
import anyio.lowlevel

from usps_token_broker.simulator.calls import Calls
from usps_token_broker.simulator.clock import Clock, HostClock
from usps_token_broker.simulator.connection import Connection
from usps_token_broker.simulator.control import Control
from usps_token_broker.simulator.faults import Fault
from usps_token_broker.simulator.grants import Grants, TokenKind
from usps_token_broker.simulator.messages import Answer, Request
from usps_token_broker.simulator.reader import Limits
from usps_token_broker.simulator.service import Arrival, Service
from usps_token_broker.simulator.settings import Settings
from usps_token_broker.simulator.standing import Injected
from usps_token_broker.simulator.state import State

LOOPBACK: Final = "127.0.0.1"
_BACKLOG: Final = 512
_log = logging.getLogger(__name__)


class Simulator:
    """A USPS of one's own on a TCP port, for anyio on asyncio.

    Its tokens are good at its own address only, as those of a USPS host are. They outlive `stop`:
    a simulator that is started again listens on the same port and goes on where it was. In
    between, its port refuses connections.

    Args:
        settings: How USPS is set up; what a new account has by default.
        clock: Its time; that of this host by default.
        host: The address to listen on.
        port: The port to listen on; 0 picks one at the first start.
        limits: How much one client may ask of it.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        host: str = LOOPBACK,
        port: int = 0,
        limits: Limits | None = None,
    ) -> None:
        self.clock = clock or HostClock()
        self._state = State(settings or Settings(), self.clock, Grants())
        self._front = _Front(self._state, self._url)
        self._host = LOOPBACK if host == "localhost" else host
        self._port = port
        self._limits = limits or Limits()
        self._connections: set[Connection] = set()
        self._scope: anyio.CancelScope | None = None
        self._stopped: anyio.Event | None = None

    async def start(self, task_group: anyio.abc.TaskGroup) -> Self:
        """Listen, until `stop` is called or the task group is cancelled.

        Raises:
            RuntimeError: It runs already, or the event loop is not asyncio's.
            OSError: The address cannot be had.
        """
        if self._scope is not None:
            raise RuntimeError(f"the simulator runs already, on {self.base_url}; stop it first")
        await task_group.start(self._attend, task_group)
        return self

    async def stop(self) -> None:
        """Close the port and every connection; clients see resets and refused connections."""
        if self._scope is None or self._stopped is None:
            return
        self._scope.cancel()
        await self._stopped.wait()

    @property
    def base_url(self) -> str:
        """Where a client finds it, such as `http://127.0.0.1:45123`.

        Raises:
            RuntimeError: It has not been started, so it has no port.
        """
        if self._port == 0:
            raise RuntimeError("the simulator has no address before its first start")
        return self._url()

    @property
    def port(self) -> int:
        """The port it listens on, 0 before the first start."""
        return self._port

    @property
    def settings(self) -> Settings:
        """How it is set up now."""
        return self._state.settings

    @property
    def calls(self) -> Calls:
        """What it was asked and what it answered; calls of /sim/ do not count."""
        return self._state.calls

    @property
    def faults(self) -> list[Injected]:
        """The faults that stand, in the order in which they were injected."""
        return self._state.faults.standing(self.clock.now())

    def tokens_granted(self, kind: TokenKind | str) -> int:
        """Distinct tokens granted so far, `bearer` or `payment`."""
        return self._state.grants.count[TokenKind(kind)]

    def inject(self, fault: Fault | str) -> Injected:
        """Let calls meet this fault from now on; a text is read as on the command line.

        Raises:
            FaultError: The text is no fault.
        """
        return self._state.inject(Fault.parse(fault) if isinstance(fault, str) else fault)

    def clear_faults(self) -> int:
        """Take all faults away, let go the calls they hold, and say how many stood."""
        return self._state.clear_faults()

    def revoke(self, what: str, client_id: str | None = None) -> int:
        """Let live tokens die: `bearer`, `payment` or `all`, of one app or of every one.

        Returns:
            How many did.

        Raises:
            ValueError: `what` is none of the three.
        """
        return self._state.revoke(what, client_id)

    def configure(self, **changes: object) -> Settings:
        """Change fields of `Settings` while it runs; quotas are merged, all else is replaced.

        Raises:
            SettingsError: A name is unknown or a value does not fit; nothing is changed then.
        """
        return self._state.configure(changes)

    def reset(self) -> None:
        """Forget calls and open every quota anew; tokens, faults and settings stay."""
        self._state.reset()

    def _url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def _attend(
        self,
        task_group: anyio.abc.TaskGroup,
        *,
        task_status: anyio.abc.TaskStatus[None],
    ) -> None:
        server = await _running_loop().create_server(
            lambda: Connection(self._front, task_group, self._limits, self._connections),
            self._host,
            self._port,
            backlog=_BACKLOG,
        )
        self._port = server.sockets[0].getsockname()[1]
        self._state.grants.identify(self._url())
        self._stopped = stopped = anyio.Event()
        try:
            with anyio.CancelScope() as self._scope:
                task_status.started()
                await anyio.sleep_forever()
        finally:
            server.close()
            await self._disconnect()
            self._scope = None
            stopped.set()

    async def _disconnect(self) -> None:
        """Close every connection, and give asyncio the rounds it needs to do so."""
        with anyio.CancelScope(shield=True):
            while self._connections:
                for connection in tuple(self._connections):
                    connection.abort()
                await anyio.lowlevel.checkpoint()


class _Front:
    """Tells requests to USPS from those to the simulator itself."""

    def __init__(self, state: State, base_url: Callable[[], str]) -> None:
        self._service = Service(state)
        self._control = Control(state, base_url)

    def arrive(self, request: Request) -> Arrival | None:
        return None if Control.owns(request) else self._service.arrive(request)

    def answer(self, request: Request, arrival: Arrival | None) -> Answer:
        try:
            if Control.owns(request):
                return self._control.answer(request)
            return self._service.answer(request, arrival)
        except Exception:  # noqa: BLE001 - a fake that dies takes the tests of others along
            _log.exception("the simulator failed at %s", arrival and arrival.call.path)
            return Answer(500, b'{"error": "a fault of the simulator, not of USPS"}\n')

    def ended(self, arrival: Arrival | None) -> None:
        self._service.ended(arrival)


@asynccontextmanager
async def running(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    host: str = LOOPBACK,
    port: int = 0,
    limits: Limits | None = None,
) -> AsyncIterator[Simulator]:
    """A simulator that runs while the block does; arguments are those of `Simulator`."""
    simulator = Simulator(settings, clock=clock, host=host, port=port, limits=limits)
    failure: Exception | None = None
    async with anyio.create_task_group() as task_group:
        await simulator.start(task_group)
        try:
            yield simulator
        except Exception as error:  # noqa: BLE001 - raised below, where no group wraps it
            failure = error
        await simulator.stop()
        task_group.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "the simulator runs on asyncio only; use anyio.run(..., backend='asyncio')"
        ) from None
