"""A worker that forks, spawns and execs while questions of its own are under way; run as a process.

`forking_client.py HOW SOCKET BROKER ROUNDS`: HOW is a key of `WAYS`, BROKER the id of the broker's
process, which is stopped (SIGSTOP) while something shall be in mid-call. It prints how many
answers it and its children compared with the truth, and fails with the first that is another's.
"""

import asyncio
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from usps_token_client import AsyncTokenClient, TokenClient, _fork

CHILDREN = 4
BARE_CHILDREN = 60
"""So many that some are born while a thread opens or closes a connection."""
THREADS = 8
TIMEOUT_SECONDS = 60.0
QUESTIONS: dict[str, Callable[[TokenClient], object]] = {
    "bearer": lambda tokens: tokens.bearer().value,
    "payment": lambda tokens: tokens.payment().value,
    "headers": lambda tokens: dict(tokens.headers(payment=True)),
    "status": lambda tokens: tokens.status()["apps"][0]["app"],
}
OPEN = """
import os, sys
inodes = set()
for name in os.listdir("/proc/self/fd"):
    try:
        inodes.add(os.stat(f"/proc/self/fd/{name}").st_ino)
    except FileNotFoundError:
        pass
sys.exit(len(inodes & {int(word) for word in sys.argv[1:]}))
"""
"""Exits with how many of these sockets it has open."""

_socket = ""
_broker = 0
_truth: dict[str, object] = {}


def new() -> TokenClient:
    """A client that knows nothing yet."""
    return TokenClient(_socket, timeout=TIMEOUT_SECONDS, wait=30)


def compare(tokens: TokenClient) -> int:
    """Ask everything; how many answers were the right ones, which is all."""
    for name, ask in QUESTIONS.items():
        said = ask(tokens)
        assert said == _truth[name], f"{name} was answered by {said!r}"
    return len(QUESTIONS)


def connections() -> set[int]:
    """The sockets on which questions of this process are under way."""
    return {os.fstat(one.fileno()).st_ino for one in list(_fork.open_sockets)}


def inherited(theirs: set[int]) -> set[int]:
    """Those of the parent's sockets that are open here."""
    return {inode for inode, _ in _opened()} & theirs


def _opened() -> Iterator[tuple[int, str]]:
    """Each open descriptor of this process: its inode and what it is."""
    for descriptor in list(Path("/proc/self/fd").iterdir()):
        with suppress(FileNotFoundError):  # that of the listing itself
            yield descriptor.stat().st_ino, str(descriptor.readlink())


def fork(work: Callable[[], object]) -> int:
    """A child that does this and ends, with 0 if it returned."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - a child must not go on as the parent
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(status)


def ended(child: int) -> None:
    """Wait for a child, which must have been content."""
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def wait_for(condition: Callable[[], object]) -> None:
    """Come back when other threads have made it true; the test that runs us has a deadline."""
    while not condition():
        select.select([], [], [], 0.001)


@contextmanager
def in_mid_call(shared: TokenClient) -> Iterator[list[Future[object]]]:
    """While the block runs, threads wait for answers of a broker that is stopped.

    One asks for each thing with the shared client, one with a client of its own. After the block
    the broker goes on, and each gets what it asked for.
    """
    os.kill(_broker, signal.SIGSTOP)
    asking = [(name, tokens) for name in QUESTIONS for tokens in (shared, new())]
    with ThreadPoolExecutor(len(asking)) as pool:
        try:
            asked = [pool.submit(QUESTIONS[name], tokens) for name, tokens in asking]
            wait_for(lambda: len(_fork.open_sockets) == len(asking))
            yield asked
        finally:
            os.kill(_broker, signal.SIGCONT)
        for (name, _), answer in zip(asking, asked, strict=True):
            assert answer.result() == _truth[name]


def by_fork() -> int:
    """Children that ask with the parent's client, and with their own, while the parent asks."""
    shared = new()
    reading, writing = os.pipe()

    def child(theirs: set[int]) -> None:
        assert not inherited(theirs)
        assert not _fork.open_sockets
        os.write(writing, b"x")
        compare(shared)
        compare(new())

    with in_mid_call(shared) as asked:
        theirs = connections()
        children = [fork(lambda: child(theirs)) for _ in range(CHILDREN)]
        told = 0
        while told < CHILDREN:
            told += len(os.read(reading, CHILDREN))
    for one in children:
        ended(one)
    os.close(reading)
    os.close(writing)
    return len(asked) + 2 * CHILDREN * len(QUESTIONS)


def _of_a_pool(theirs: set[int]) -> int:
    assert not inherited(theirs)
    return compare(new())


def by_multiprocessing() -> int:
    """A pool of forked workers, made while the parent asks."""
    shared = new()
    context = multiprocessing.get_context("fork")
    with in_mid_call(shared) as asked:
        pool = context.Pool(CHILDREN)
        answers = pool.map_async(_of_a_pool, [connections()] * 2 * CHILDREN, chunksize=1)
    counted = sum(answers.get(TIMEOUT_SECONDS))
    pool.close()
    pool.join()
    return len(asked) + counted


def by_exec() -> int:
    """Programs that are started in mid-call, in every way there is, have none of our sockets."""
    with in_mid_call(new()) as asked:
        command = [sys.executable, "-c", OPEN, *map(str, connections())]
        ended(fork(lambda: os.execv(command[0], command)))
        ended(os.posix_spawn(command[0], command, os.environ))
        for close_fds in (True, False):
            subprocess.run(command, close_fds=close_fds, check=True)
    return len(asked) + 4


def by_asyncio() -> int:
    """The tasks of a loop ask; the child has a loop of its own."""
    return asyncio.run(_forks_in_a_loop())


async def _forks_in_a_loop() -> int:
    tokens = AsyncTokenClient(_socket, timeout=TIMEOUT_SECONDS, wait=30)
    os.kill(_broker, signal.SIGSTOP)
    try:
        asked = [asyncio.ensure_future(ask()) for ask in (tokens.bearer, tokens.payment)]
        while len(_fork.open_sockets) < len(asked):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        theirs = connections()
        children = [fork(lambda: _loop_of_a_child(tokens, theirs)) for _ in range(CHILDREN)]
    finally:
        os.kill(_broker, signal.SIGCONT)
    for name, task in zip(("bearer", "payment"), asked, strict=True):
        assert (await task).value == _truth[name]
    for one in children:
        ended(one)
    return len(asked) * (1 + CHILDREN)


def _loop_of_a_child(tokens: AsyncTokenClient, theirs: set[int]) -> None:
    assert not inherited(theirs)

    async def ask() -> None:
        assert (await tokens.bearer()).value == _truth["bearer"]
        assert (await tokens.payment()).value == _truth["payment"]

    asyncio.run(ask())


def by_threads() -> int:
    """Threads ask without a pause while another one forks: no instant is spared."""
    over = threading.Event()
    shared = TokenClient(_socket, timeout=TIMEOUT_SECONDS, wait=30, check_after=0)

    def keep_asking() -> int:
        count = 0
        while not over.is_set():
            count += compare(shared) + compare(new())
        return count

    with ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(keep_asking) for _ in range(THREADS)]
        try:
            for _ in range(BARE_CHILDREN):
                ended(fork(_has_no_connection))
            for _ in range(CHILDREN):
                ended(fork(lambda: compare(shared) + compare(new())))
        finally:
            over.set()
        counted = sum(future.result() for future in asked)
        return counted + BARE_CHILDREN + 2 * CHILDREN * len(QUESTIONS)


def _has_no_connection() -> None:
    """No socket at all is open in a child of a process that has none but the client's."""
    found = [what for _, what in _opened() if what.startswith("socket:")]
    assert not found, found


def by_itself() -> int:
    """The process execs while its threads are in mid-call; what it becomes is a client again."""
    sys.stdout.flush()
    with in_mid_call(new()):
        again = [sys.executable, __file__, "after_exec", *sys.argv[2:], *map(str, connections())]
        os.execv(again[0], again)


def after_exec() -> int:
    """What `by_itself` becomes: it has none of its former sockets, and is answered."""
    assert not inherited({int(word) for word in sys.argv[5:]})
    os.kill(_broker, signal.SIGCONT)
    return 1


WAYS: dict[str, Callable[[], int]] = {
    "fork": by_fork,
    "multiprocessing": by_multiprocessing,
    "exec": by_exec,
    "asyncio": by_asyncio,
    "threads": by_threads,
    "itself": by_itself,
}


def main() -> None:
    """Do as we were told."""
    global _socket, _broker  # noqa: PLW0603 - what every part of this program is about
    how, _socket, broker, rounds = sys.argv[1:5]
    _broker = int(broker)
    first = after_exec() if how == "after_exec" else 0
    _truth.update({name: ask(new()) for name, ask in QUESTIONS.items()})
    if how == "after_exec":
        counted = first + len(QUESTIONS)
    else:
        counted = sum(WAYS[how]() for _ in range(int(rounds)))
    sys.stdout.write(f"{counted}\n")


if __name__ == "__main__":
    main()
