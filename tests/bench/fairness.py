"""What one user at full blast costs another: its p99 beside blasts of each kind, and a control.

The control is as many processes that burn the processor and never touch the broker: on a small
machine most of what moves a p99 is the scheduler's doing, which no broker can mend: it has answered
long before the reader gets to run. So it is measured twice: with all processors free to all, and
with attackers that keep to one core, while broker and reader have the other one to themselves; what
is left then is the broker's own doing.
"""

import contextlib
import json
import multiprocessing
import os
import resource
import select
import signal
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from processes import Home, Usps

VICTIM, ATTACKER = 64_001, 64_002
"""Users that need no name: the configuration takes numbers."""
ATTACKERS = 2
MIN_CORES = 2
CONNECTIONS = 128
"""Of one attacking process. More make its own polling dearer, and its blast weaker."""
READS = 600
PAUSE_SECONDS = 0.002
ROUNDS = 5
SETTLE_SECONDS = 0.3
BLOCK_REQUESTS = 500
READ = b"GET /v1/tokens/bearer HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"


def connected(path: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(path))
    return peer


def whole_answer(peer: socket.socket) -> bytes:
    data = peer.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    at = head.index(b"Content-Length: ") + 16
    length = int(head[at:].split(b"\r\n", 1)[0])
    while len(body) < length:
        more = peer.recv(65536)
        assert more, data
        body += more
    return head


def read_for_a_while(path: Path) -> list[float]:
    """Milliseconds of each of the victim's reads, over one kept connection."""
    peer = connected(path)
    peer.sendall(READ)  # so that the connection is kept and not new
    whole_answer(peer)
    times = []
    for _ in range(READS):
        time.sleep(PAUSE_SECONDS)
        begin = time.perf_counter_ns()
        peer.sendall(READ)
        head = whole_answer(peer)
        times.append((time.perf_counter_ns() - begin) / 1e6)
        assert head.startswith(b"HTTP/1.1 200"), head
    return times


def burn(_path: Path) -> None:
    """Touches nothing."""
    while True:
        pass


def one_at_a_time(path: Path) -> None:
    """A request under way on each of many connections, always."""
    peers = [connected(path) for _ in range(CONNECTIONS)]
    while True:
        for peer in peers:
            peer.send(READ)
        for peer in peers:
            whole_answer(peer)


def pipelined(block: bytes, path: Path) -> None:
    """As many requests on each connection as the sockets hold, answers thrown away."""
    peers = {}
    for _ in range(CONNECTIONS):
        peer = connected(path)
        peer.settimeout(0)
        peers[peer.fileno()] = peer
    unsent = dict.fromkeys(peers, memoryview(block))
    poll = select.epoll()
    for number in peers:
        poll.register(number, select.EPOLLIN | select.EPOLLOUT)
    while True:
        for number, mask in poll.poll():
            if mask & select.EPOLLIN:
                peers[number].recv(1 << 20)
            if mask & select.EPOLLOUT:
                with contextlib.suppress(BlockingIOError):
                    sent = peers[number].send(unsent[number])
                    unsent[number] = unsent[number][sent:] or memoryview(block)


def churn(path: Path) -> None:
    """Connects, asks once, leaves, and again."""
    while True:
        peers = []
        for _ in range(CONNECTIONS):
            with contextlib.suppress(OSError):
                peers.append(connected(path))
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.send(READ)
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.recv(65536)
            peer.close()


def too_many_connections(path: Path) -> None:
    """Holds all that it may, and goes on knocking: each further one is refused."""
    held = [connected(path) for _ in range(1100)]
    while held:
        peers = [connected(path) for _ in range(CONNECTIONS)]
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.recv(65536)
            peer.close()


def report_block(serial: int) -> bytes:
    """Reports of a token that is no longer the one: each is read, judged and answered."""
    body = json.dumps(
        {
            "status": 401,
            "headers": {"WWW-Authenticate": 'Bearer realm="x", error="invalid_token"'},
            "body": '{"error": {"code": "401", "message": "Unauthorized"}}',
            "path": "/addresses/v3/address",
            "serials": {"bearer": serial},
        }
    ).encode()
    head = f"POST /v1/answers?wait=0 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head.encode() + body) * BLOCK_REQUESTS


Cores = set[int] | None
"""Those that a process keeps to, or all of them."""


def keep_to(cores: Cores, pid: int) -> None:
    """All threads of a process run there."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if cores is not None:
            os.sched_setaffinity(int(task.name), cores)


def as_user(uid: int, cores: Cores, call: Callable[[], object]) -> None:
    """The rest of this process is somebody else."""
    keep_to(cores, os.getpid())
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    call()


@contextlib.contextmanager
def at_once(blast: Callable[[Path], None] | None, path: Path, cores: Cores) -> Iterator[None]:
    """A blast from processes of the attacker, for as long as the block takes."""
    processes = []
    if blast is not None:
        for _ in range(ATTACKERS):
            job = partial(as_user, ATTACKER, cores, partial(blast, path))
            processes.append(multiprocessing.Process(target=job))
    for process in processes:
        process.start()
    time.sleep(SETTLE_SECONDS)
    try:
        yield
        assert all(process.is_alive() for process in processes), "an attacker gave up"
    finally:
        for process in processes:
            process.terminate()
            process.join()


def victims_times(path: Path, cores: Cores) -> list[float]:
    results: multiprocessing.SimpleQueue[list[float]] = multiprocessing.SimpleQueue()

    def reading() -> None:
        results.put(read_for_a_while(path))

    process = multiprocessing.Process(target=as_user, args=(VICTIM, cores, reading))
    process.start()
    times = results.get()
    process.join()
    return times


def percentile(times: list[float], part: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


def main() -> None:
    """Print the table."""
    if os.geteuid() != 0:
        print("only root can be two other users: not measured")
        return
    if len(os.sched_getaffinity(0)) < MIN_CORES:
        print("on a single core there is nothing but the scheduler to measure")
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    blasts: dict[str, Callable[[Path], None] | None] = {
        "alone": None,
        f"control: {ATTACKERS} burning processes": burn,
        f"{ATTACKERS * CONNECTIONS} connections, one request each": one_at_a_time,
        f"{ATTACKERS * CONNECTIONS} connections, pipelined": partial(
            pipelined, READ * BLOCK_REQUESTS
        ),
        "refused requests, pipelined": partial(pipelined, REFUSED * BLOCK_REQUESTS),
        "reports, pipelined": partial(pipelined, report_block(1)),
        "connections that come and go": churn,
        "connections beyond the limit": too_many_connections,
    }
    with Usps() as usps:
        home = Home(usps.base_url, bearer=f"users = [{VICTIM}, {ATTACKER}]")
        # What is measured is how turns are shared, and not how cheap refusals are.
        home.lift_rates()
        with home.broker() as broker:
            home.token()
            show("all cores free to all", measure(blasts, home.socket, None, None))
            ours, *theirs = sorted(os.sched_getaffinity(0))
            keep_to({ours}, broker.process.pid)
            show(
                "attackers on a core of their own",
                measure(blasts, home.socket, {ours}, {theirs[0]}),
            )
        home.remove()


def measure(
    blasts: dict[str, Callable[[Path], None] | None], path: Path, ours: Cores, theirs: Cores
) -> dict[str, list[list[float]]]:
    """The victim's times of each round, by the name of the blast."""
    results: dict[str, list[list[float]]] = {name: [] for name in blasts}
    for _ in range(ROUNDS):
        for name, blast in blasts.items():
            with at_once(blast, path, theirs):
                results[name].append(victims_times(path, ours))
    return results


def show(manners: str, results: dict[str, list[list[float]]]) -> None:
    """Medians over the rounds, of percentiles and of the ratios within each round."""
    alone, control = list(results)[:2]
    width = max(map(len, results))
    head = ("p50 ms", "p99 ms", "p99/alone", "p99/control")
    every = f"{PAUSE_SECONDS * 1000:g} ms"
    print(f"a kept connection's read every {every}, beside another user's, {manners}:")
    print(f"{'':<{width}}" + "".join(f"{name:>12}" for name in head))
    p99 = {name: [percentile(times, 0.99) for times in rounds] for name, rounds in results.items()}
    for name, rounds in results.items():
        figures = [
            statistics.median(percentile(times, 0.5) for times in rounds),
            statistics.median(p99[name]),
            statistics.median(a / b for a, b in zip(p99[name], p99[alone], strict=True)),
            statistics.median(a / b for a, b in zip(p99[name], p99[control], strict=True)),
        ]
        print(f"{name:<{width}}" + "".join(f"{figure:>12.2f}" for figure in figures))
