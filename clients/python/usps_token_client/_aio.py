"""Does the steps of `_steps` by awaiting, for asyncio. Any asyncio loop, uvloop included."""

from __future__ import annotations

import _socket
import asyncio

from . import _dial, _finding
from ._errors import BrokerError
from ._http import AnswerReader, cut_answer
from ._steps import Pause, Send, joined_too_long
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._http import Answer
    from ._steps import Step, Steps
    from ._typing import V


class TaskFlight:
    """A question that one task asks and others of its loop may wait for."""

    __slots__ = ("done", "error", "place", "value")

    def __init__(self) -> None:
        self.place = asyncio.get_running_loop()
        self.value: Any = None
        self.error: BrokerError | None = None
        self.done: asyncio.Future[None] = self.place.create_future()

    def mine(self) -> bool:
        """A task never asks in the middle of its own question."""
        return False

    def finish(self) -> None:
        """Let those who wait go on."""
        if not self.done.done() and not self.place.is_closed():
            self.done.set_result(None)


class _Exchange:
    """One question and its answer on a non-blocking socket, driven by the loop's callbacks."""

    def __init__(self, connection: _socket.socket, message: bytes) -> None:
        self.answer: asyncio.Future[Answer]
        self._loop = asyncio.get_running_loop()
        self.answer = self._loop.create_future()
        self._connection = connection
        self._unsent = memoryview(message)
        self._reader = AnswerReader()
        self._loop.add_reader(connection.fileno(), self._receive)
        self._send()

    def close(self) -> None:
        """Watch no longer."""
        self._loop.remove_reader(self._connection.fileno())
        self._loop.remove_writer(self._connection.fileno())

    def fail(self, error: BrokerError) -> None:
        """End with this error, unless it ended already."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def _send(self) -> None:
        descriptor = self._connection.fileno()
        self._loop.remove_writer(descriptor)
        try:
            sent = self._connection.send(self._unsent, _dial.SEND_FLAGS)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            # It hung up before it read all. Its refusal may lie in our buffer already.
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(descriptor, self._send)

    def _receive(self) -> None:
        try:
            data = self._connection.recv(_dial.READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.fail(cut_answer())
            return
        try:
            if data:
                self._reader.feed(data)
            else:
                self._reader.end()
        except BrokerError as error:
            self.fail(error)
        if self._reader.answer is not None and not self.answer.done():
            self.answer.set_result(self._reader.answer)


async def exchange(
    paths: tuple[str, ...], message: bytes, deadline: float, now: Callable[[], float]
) -> Answer:
    """As `_dial.exchange`, without blocking the loop."""
    connection, path = _dial.connect(paths)
    try:
        under_way = _Exchange(connection, message)
        late = _finding.timed_out(path, _dial.SLOW)
        timer = under_way.answer.get_loop().call_later(
            max(0.0, deadline - now()), under_way.fail, late
        )
        try:
            return await under_way.answer
        finally:
            timer.cancel()
            under_way.close()
    finally:
        _dial.disconnect(connection)


def _check_loop() -> None:
    """Raise RuntimeError where there is no asyncio to await with."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "AsyncTokenClient is for asyncio, and no event loop of it runs here; under trio take "
            "a TokenClient, and call it by trio.to_thread.run_sync"
        ) from None


async def run(steps: Steps[V], socket: str | None, now: Callable[[], float]) -> V:
    """Do all steps; the result of the generator."""

    async def do(step: Step) -> object:
        if isinstance(step, Send):
            return await exchange(_finding.paths(socket), step.message, step.deadline, now)
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        flight = step.flight
        if not isinstance(flight, TaskFlight):
            raise joined_too_long()
        done, _ = await asyncio.wait({flight.done}, timeout=max(0.0, step.deadline - now()))
        if not done:
            raise joined_too_long()
        return None

    _check_loop()
    try:
        step = next(steps)
        while True:
            try:
                outcome = await do(step)
            except BaseException as error:  # noqa: BLE001 - the generator decides, and cleans up
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as stop:
        result: V = stop.value
        return result
    finally:
        steps.close()
