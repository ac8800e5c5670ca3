"""The client for asyncio: the same facts, and cancellation."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading

import pytest
import trio
from scripted_broker import Drip, HangUp, Held, Reply, Silence, problem, untraced_fork

from usps_token_client import (
    AsyncTokenClient,
    BrokerError,
    BrokerNotInstalled,
    BrokerNotRunning,
    BrokerTimeout,
    NoPermission,
    ProtocolMismatch,
    TokenDenied,
    _aio,
    _clock,
    _dial,
    _fork,
)

QUICK = 0.3


def run(main):
    """Run in a loop of its own; nothing may be left in it."""

    async def tidy():
        result = await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not _fork.open_sockets
        return result

    result = asyncio.run(tidy())
    gc.collect()
    return result


async def arrival(held):
    await asyncio.get_running_loop().run_in_executor(None, held.arrived.wait, 20)


def refused(client):
    async def main():
        with pytest.raises(BrokerError) as caught:
            await client.bearer()
        return caught.value

    return run(main)


def test_every_method(broker, make_async):
    """Tokens, headers, report, status and readiness, awaited."""
    tokens = make_async()
    broker.verdict = {
        "code": "c", "detail": "d", "fix": "f", "retry": False, "outcome": "not_the_token",
    }  # fmt: skip

    async def main():
        assert (await tokens.bearer()).value == "bearer-1"
        assert (await tokens.payment()).value == "payment-1"
        assert (await tokens.payment("east")).value == "payment-east-1"
        headers = await tokens.headers(payment=True)
        assert headers.serials == {"bearer": 1001, "payment": 2001}
        assert (await tokens.report(401, used=headers)).outcome == "not_the_token"
        assert (await tokens.status())["version"] == "0.1.0"
        assert await tokens.ready("bearer")
        await tokens.wait_ready(5)

    run(main)


def test_warm_reads_and_checks(broker, make_async, clock):
    """Kept until `check_after`, then asked by ETag; good while the broker is away."""
    tokens = make_async()

    async def main():
        first = await tokens.bearer()
        clock.advance(59.0)
        assert await tokens.bearer() is first
        assert len(broker.requests) == 1
        clock.advance(1.0)
        assert await tokens.bearer() is first
        assert broker.requests[-1].headers["if-none-match"] == '"1001"'
        broker.always = problem(503, "restarting")
        clock.advance(60.0)
        assert await tokens.bearer() is first

    run(main)


def test_headers_are_the_callers_to_change(broker, make_async):
    """Each caller gets headers of its own."""
    tokens = make_async()

    async def main():
        (await tokens.headers()).clear()
        assert await tokens.headers() == {"Authorization": "Bearer bearer-1"}

    run(main)


def test_many_cold_tasks_ask_once(broker):
    """One task asks, all get its answer."""
    tokens = AsyncTokenClient(broker.path)
    held = Held()
    broker.script = [held]

    async def main():
        tasks = [asyncio.ensure_future(tokens.bearer()) for _ in range(100)]
        await arrival(held)
        held.released.set()
        return await asyncio.gather(*tasks)

    assert len({id(token) for token in run(main)}) == 1
    assert len(broker.requests) == 1


def test_many_cold_tasks_share_one_denial(broker):
    """The error of the one who asked is everybody's."""
    tokens = AsyncTokenClient(broker.path)
    held = Held(problem(502, "credentials_refused"))
    broker.script = [held]

    async def main():
        tasks = [asyncio.ensure_future(tokens.bearer()) for _ in range(20)]
        await arrival(held)
        held.released.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    errors = run(main)
    assert {type(error) for error in errors} == {TokenDenied}
    assert len({id(error) for error in errors}) == 20
    assert len(broker.requests) == 1


def test_a_cancelled_asker_leaves_the_question_to_another(broker):
    """Cancelling the task that asks disturbs none that waits."""
    tokens = AsyncTokenClient(broker.path)
    held = Held(Silence())
    broker.script = [held]

    async def main():
        asker, *others = [asyncio.ensure_future(tokens.bearer()) for _ in range(5)]
        await arrival(held)
        asker.cancel()
        got = await asyncio.gather(*others)
        with pytest.raises(asyncio.CancelledError):
            await asker
        held.released.set()
        return got

    assert [token.value for token in run(main)] == ["bearer-1"] * 4
    assert len(broker.requests) == 2


def test_a_cancelled_waiter_disturbs_nobody(broker):
    """Cancelling one that waits leaves asker and others alone."""
    tokens = AsyncTokenClient(broker.path)
    held = Held()
    broker.script = [held]

    async def main():
        asker, waiter, other = [asyncio.ensure_future(tokens.bearer()) for _ in range(3)]
        await arrival(held)
        waiter.cancel()
        held.released.set()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        return await asyncio.gather(asker, other)

    assert [token.value for token in run(main)] == ["bearer-1"] * 2
    assert len(broker.requests) == 1


def test_a_caller_s_timeout_closes_its_connection(broker):
    """asyncio.wait_for around a question leaves no socket behind."""
    broker.always = Silence()

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(AsyncTokenClient(broker.path).bearer(), 0.05)

    run(main)


def test_two_loops_share_a_client_but_no_question(broker):
    """A task does not wait for an answer that comes to another loop."""
    tokens = AsyncTokenClient(broker.path)
    held = Held()
    broker.script = [held]
    results = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(tokens.bearer())))
    thread.start()
    assert held.arrived.wait(20)
    results.append(asyncio.run(tokens.bearer()))
    held.released.set()
    thread.join(20)
    assert [token.value for token in results] == ["bearer-1"] * 2
    assert len(broker.requests) == 2


def test_a_loop_that_ended_in_the_middle_is_forgotten(broker):
    """A question whose loop is gone does not block the next loop."""
    tokens = AsyncTokenClient(broker.path)
    held = Held()
    broker.script = [held]
    loop = asyncio.new_event_loop()
    task = loop.create_task(tokens.bearer())
    loop.run_until_complete(asyncio.wait([task], timeout=0.05))
    assert asyncio.run(tokens.bearer()).value == "bearer-1"
    held.released.set()
    loop.run_until_complete(task)
    loop.close()


def test_the_loop_goes_on_while_the_broker_is_silent(broker):
    """Nothing blocks: other tasks run while one waits."""
    held = Held()
    broker.script = [held]

    async def main():
        asker = asyncio.ensure_future(AsyncTokenClient(broker.path).bearer())
        await arrival(held)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not asker.done()
        held.released.set()
        return await asker

    assert run(main).value == "bearer-1"


@pytest.mark.parametrize("trouble", [Silence(), "drip"])
def test_a_slow_broker_costs_the_deadline(broker, trouble):
    """Silence or a byte every now and then: BrokerTimeout."""
    if trouble == "drip":
        broker.always = lambda request: Drip(broker.answer(request).encode())
    else:
        broker.always = trouble
    assert type(refused(AsyncTokenClient(broker.path, timeout=QUICK))) is BrokerTimeout


def test_a_waiting_task_has_a_deadline_of_its_own(broker):
    """Who waits for another task's answer still returns in its own time."""
    tokens = AsyncTokenClient(broker.path)
    held = Held()
    broker.script = [held]

    async def main():
        asker = asyncio.ensure_future(tokens.bearer())
        await arrival(held)
        tokens._core.terms.timeout = 0.1
        with pytest.raises(BrokerTimeout, match="another thread or task"):
            await tokens.bearer()
        held.released.set()
        await asker

    run(main)


def test_errors_are_the_same(broker, tmp_path):
    """Not installed, not running, forbidden, somebody else: as in the other client."""
    assert type(refused(AsyncTokenClient(tmp_path / "gone" / "x"))) is BrokerNotInstalled
    broker.always = problem(403, "forbidden")
    assert type(refused(AsyncTokenClient(broker.path))) is NoPermission
    broker.always = Reply(raw=b"SSH-2.0\r\n")
    assert type(refused(AsyncTokenClient(broker.path))) is ProtocolMismatch
    broker.always = HangUp()
    error = refused(AsyncTokenClient(broker.path, timeout=QUICK))
    assert error.code == "cut_answer"
    broker.stop()
    assert type(refused(AsyncTokenClient(broker.path, timeout=QUICK))) is BrokerNotRunning


def test_passing_trouble_is_asked_again(broker):
    """Hanging up and restarting are waited out without blocking."""
    broker.script = [HangUp(), problem(503, "restarting")]
    assert run(AsyncTokenClient(broker.path).bearer).value == "bearer-1"
    assert len(broker.requests) == 3


def test_a_long_report_goes_out_in_pieces(broker, monkeypatch):
    """A message that does not fit the socket's buffer is sent as the broker reads."""
    plain = _dial.connect

    def narrow(paths):
        connection, path = plain(paths)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        return connection, path

    monkeypatch.setattr(_dial, "connect", narrow)
    body = b"x" * 500_000
    request = b"POST /v1/status HTTP/1.1\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(
        body
    )

    async def main():
        deadline = _clock.now() + 20
        return await _aio.exchange((broker.path,), request + body, deadline, _clock.now)

    assert run(main).status == 200
    assert len(broker.requests[-1].body) == len(body)


def test_a_child_of_a_busy_loop_asks_for_itself(broker):
    """A fork in the middle of an async question leaves the child free to ask."""
    tokens = AsyncTokenClient(broker.path)
    held = Held()
    broker.script = [held]

    async def main():
        asker = asyncio.ensure_future(tokens.bearer())
        await arrival(held)
        child = untraced_fork()
        if child == 0:
            status = 1
            try:
                asyncio.events._set_running_loop(None)
                status = 0 if asyncio.run(tokens.bearer()).value == "bearer-1" else 1
            finally:
                os._exit(status)
        _, status = await asyncio.get_running_loop().run_in_executor(None, os.waitpid, child, 0)
        held.released.set()
        await asker
        return os.waitstatus_to_exitcode(status)

    assert run(main) == 0
    assert len(broker.requests) == 2


def test_under_trio_it_says_whom_it_is_for(broker):
    """httpx runs there too, and would show no more than that there is no loop."""
    tokens = AsyncTokenClient(broker.path)
    with pytest.raises(RuntimeError, match=r"for asyncio.*trio\.to_thread"):
        trio.run(tokens.bearer)
