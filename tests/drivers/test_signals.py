"""Signals as a stream, in a process of its own: handlers belong to all of a process."""

import signal
import subprocess
import sys
import textwrap

import pytest


def run(script):
    """What a script prints that uses a stream, and how it ended."""
    head = """
        import os, signal, threading, anyio
        from usps_token_broker.drivers.signals import SignalStream
        stream = SignalStream([signal.SIGTERM, signal.SIGHUP])

        def hit(number, times=1):
            for _ in range(times):
                os.kill(os.getpid(), number)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_signals_are_told_one_after_the_other(backend):
    """Those that came before anybody listened, too."""
    code, told = run(f"""
        hit(signal.SIGHUP)

        async def main():
            async for number in stream:
                print(number.name)
                if number is signal.SIGTERM:
                    break
                hit(signal.SIGTERM)

        anyio.run(main, backend={backend!r})
    """)
    assert (code, told) == (0, ["SIGHUP", "SIGTERM"])


def test_a_sleeping_loop_is_woken():
    """By a signal that comes while nothing else happens."""
    code, told = run("""
        async def main():
            threading.Timer(0.2, hit, [signal.SIGTERM]).start()
            async for number in stream:
                print(number.name)
                break

        anyio.run(main)
    """)
    assert (code, told) == (0, ["SIGTERM"])


def test_a_storm_is_told_as_few_and_not_complained_about():
    """A hundred thousand of one kind: nothing on standard error, and the next kind gets through."""
    code, told = run("""
        hit(signal.SIGHUP, 100_000)

        async def main():
            async for number in stream:
                print(number.name)
                if number is signal.SIGTERM:
                    break
                hit(signal.SIGTERM)

        anyio.run(main)
    """)
    assert code == 0
    assert told[-1] == "SIGTERM"
    assert len(told) < 100


def test_an_order_to_end_is_told_after_more_hangups_than_a_socket_holds():
    """While nobody listens: the loop may be busy."""
    code, told = run("""
        for _ in range(2000):
            hit(signal.SIGHUP)
            while signal.SIGHUP in signal.sigpending():
                os.sched_yield()
        hit(signal.SIGTERM)
        while signal.SIGTERM in signal.sigpending():
            os.sched_yield()

        async def main():
            async for number in stream:
                print(number.name)
                if number is signal.SIGTERM:
                    break

        anyio.run(main)
    """)
    assert (code, told[-1]) == (0, "SIGTERM")


def test_they_do_nothing_to_the_very_end():
    """Not while asyncio closes, not after, and not while Python itself ends."""
    code, told = run("""
        class Last:
            def __del__(self, hit=hit, numbers=(signal.SIGTERM, signal.SIGHUP)):
                for number in numbers:
                    hit(number, 100)

        async def main():
            hit(signal.SIGTERM)
            async for number in stream:
                hit(signal.SIGTERM)
                break

        anyio.run(main)
        hit(signal.SIGHUP)
        signal.last = Last()
        print("still here")
    """)
    assert (code, told) == (0, ["still", "here"])


def test_other_signals_stay_as_they_are():
    """Only those that are named are taken."""
    code, _ = run("""
        hit(signal.SIGUSR1)
    """)
    assert code == -signal.SIGUSR1
