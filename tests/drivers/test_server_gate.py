"""Who is let in: judged before a byte is read, by what the kernel says."""

import os
import shutil
import subprocess
import threading
from functools import partial

import anyio
import pytest
from raw_http import Client, get, post, serving, until

from usps_token_broker.core.outcomes import Code
from usps_token_broker.drivers.peers import read_peer
from usps_token_broker.drivers.server import Limits
from usps_token_broker.wire.problems import problem, problem_reply
from usps_token_broker.wire.replies import json_reply

pytestmark = pytest.mark.anyio

FORBIDDEN = problem_reply(problem(Code.FORBIDDEN, "not you", "ask the administrator"))


async def test_gate_refuses_before_a_byte_is_sent():
    """A caller the gate refuses hears why without having asked, and the handler never does."""
    asked = []
    async with serving(lambda *a: asked.append(a), gate=lambda _: FORBIDDEN) as served:
        with Client(served.path) as client:
            answer = await client.answer()
            assert (answer.status, answer.json()["code"]) == (403, "forbidden")
            assert answer.headers["connection"] == "close"
            assert await client.is_closed()
        assert served.server.connections == 0
    assert asked == []


async def test_refused_caller_may_send_and_still_reads_why():
    """A refused caller that sends a long body without looking first gets its 403 all the same."""
    async with serving(gate=lambda _: FORBIDDEN) as served:
        with Client(served.path) as client:
            await client.send(post(b"x" * 1_000_000))
            assert (await client.answer()).status == 403


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("size", [0, 100, 1_000_000])
async def test_curl_reads_why(size, tmp_path):
    """curl shows the refusal, and not a broken pipe, with whatever body."""
    body = tmp_path / "body"
    body.write_bytes(b"x" * size)
    async with serving(gate=lambda _: FORBIDDEN) as served:
        command = ["curl", "-sS", "--max-time", "10", "--unix-socket", served.path]
        command += ["--data-binary", f"@{body}", "http://localhost/"]
        run = partial(subprocess.run, command, capture_output=True, text=True, check=False)
        done = await anyio.to_thread.run_sync(run)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"code":"forbidden"' in done.stdout


async def test_gate_sees_the_caller_and_leaves_word():
    """The gate is asked once per connection, and what it hangs on the peer the handler finds."""
    judged = []

    def gate(peer):
        judged.append((peer.uid, peer.pid))
        peer.access = "may read"

    def tell(request, peer):
        return json_reply(200, peer.access.encode())

    async with serving(tell, gate=gate) as served:
        with Client(served.path) as client:
            for _ in range(3):
                assert (await client.ask(get())).body == b"may read"
    assert judged == [(os.getuid(), os.getpid())]


async def test_failing_gate_lets_nobody_in(caplog):
    """A caller that cannot be judged is not let in."""

    def gate(peer):
        raise RuntimeError

    async with serving(gate=gate) as served:
        with Client(served.path) as client:
            assert (await client.answer()).status == 503
            assert await client.is_closed()
    assert "judging a caller failed: RuntimeError" in caplog.text


def without_groups(connected):
    """A caller in more groups than the kernel can tell."""
    peer = read_peer(connected)
    peer.groups = None
    return peer


async def test_groups_are_looked_up_when_the_kernel_cannot_tell():
    """The gate is asked only when the name service has said which groups they are."""
    seen = []

    def look_up(peer):
        assert threading.current_thread() is not threading.main_thread()
        peer.groups = frozenset({42})

    async with serving(
        gate=lambda peer: seen.append(peer.groups), identify=without_groups, groups=look_up
    ) as served:
        with Client(served.path) as client:
            assert (await client.ask(get())).status == 200
    assert seen == [frozenset({42})]


async def test_failing_look_up_means_no_groups(caplog):
    """Without an answer from the name service the caller is in no group."""
    seen = []

    def look_up(peer):
        raise OSError

    async with serving(
        gate=lambda peer: seen.append(peer.groups), identify=without_groups, groups=look_up
    ) as served:
        with Client(served.path) as client:
            assert (await client.ask(get())).status == 200
    assert seen == [frozenset()]
    assert "looking up the groups of a caller failed" in caplog.text


async def test_hanging_look_up_means_no_groups():
    """A name service that does not answer holds up its caller for a while, and nobody else."""
    seen = []
    release = threading.Event()
    unknown = iter([True, False])

    def identify(connected):
        return without_groups(connected) if next(unknown) else read_peer(connected)

    async with serving(
        gate=lambda peer: seen.append(peer.groups),
        identify=identify,
        groups=lambda _: release.wait(10),
        limits=Limits(head_seconds=0.1),
    ) as served:
        with Client(served.path) as slow, Client(served.path) as quick:
            await slow.send(get())
            assert (await quick.ask(get())).status == 200
            assert (await slow.answer()).status == 200
        release.set()
    assert seen[1] == frozenset()


async def test_server_that_ends_during_a_look_up_lets_go():
    """A caller whose groups are being looked up is closed with everybody else."""
    release = threading.Event()
    async with serving(identify=without_groups, groups=lambda _: release.wait(10)) as served:
        client = Client(served.path)
        await until(lambda: served.server._lookups.borrowed_tokens)
    release.set()
    with client:
        assert await client.is_closed()
    assert served.server.connections == 0


async def test_caller_that_leaves_during_its_look_up_is_forgotten():
    """A caller that is gone before its groups are known leaves nothing behind."""
    release = threading.Event()
    async with serving(identify=without_groups, groups=lambda _: release.wait(10)) as served:
        with Client(served.path):
            await until(lambda: served.server.connections)
        release.set()
        await until(lambda: not served.server.connections)
