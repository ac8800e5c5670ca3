"""A token over a kept connection, against redis-py's GET of as many bytes; and 64 connections."""

import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from processes import Home, Usps
from timing import table

ROUNDS = 9
CALLS = 3000
PARALLEL = 64
SECONDS = 1.0
REQUEST = b"GET /v1/tokens/bearer HTTP/1.1\r\nHost: x\r\n\r\n"


def connected(path: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(path))
    return peer


def answer_length(peer: socket.socket) -> int:
    peer.sendall(REQUEST)
    time.sleep(0.05)
    return len(peer.recv(65536))


def p50_us(call: Callable[[], object]) -> float:
    times = []
    for _ in range(CALLS):
        begin = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begin)
    return statistics.median(times) / 1000


def raw_call(peer: socket.socket) -> Callable[[], object]:
    # `expires_in` may lose a digit in the course of a run, but not within a second's answer.
    def call() -> None:
        peer.sendall(REQUEST)
        data = peer.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        at = head.index(b"Content-Length: ") + 16
        length = int(head[at : head.index(b"\r\n", at)])
        while len(body) < length:
            body += peer.recv(65536)

    return call


def one_connection(home: Home, pids: list[int], redis_call: Callable[[], object] | None) -> None:
    ways = {"broker, raw socket": raw_call(connected(home.socket))}
    if redis_call is not None:
        ways["redis-py GET, 1.3 KB"] = redis_call
    for name, cores in (("same core", {1}), ("placed freely", set(range(os.cpu_count() or 1)))):
        for pid in pids:
            os.sched_setaffinity(pid, cores)
        os.sched_setaffinity(0, cores)
        results: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, call in ways.items():
                results[way].append(p50_us(call))
        print(f"one kept connection, {name}, p50:")
        table({w: statistics.median(v) for w, v in results.items()}, "us", list(ways)[-1])
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))


def drive(
    path: Path, connections: int, results: "multiprocessing.Queue[tuple[int, float]]"
) -> None:
    """Keep every connection busy for a while from one process; requests made, seconds taken."""
    os.sched_setaffinity(0, {1})
    peers = [connected(path) for _ in range(connections)]
    length = answer_length(peers[0])
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        for peer in peers:
            peer.send(REQUEST)
        for peer in peers:
            got = len(peer.recv(65536))
            while got < length:
                got += len(peer.recv(65536))
        count += connections
    results.put((count, time.perf_counter() - begin))


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process, to the nanosecond (proc(5), schedstat)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def many_connections(home: Home, pid: int) -> None:
    """The broker on core 0, the driver on core 1, one request under way on each connection.

    The driver is Python too and often the slower of the two, so what one core of the broker can
    do is told by the processor time it took for each request.
    """
    os.sched_setaffinity(pid, {0})
    rates, capacities = [], []
    for _ in range(ROUNDS):
        results: multiprocessing.Queue[tuple[int, float]] = multiprocessing.Queue()
        driver = multiprocessing.Process(target=drive, args=(home.socket, PARALLEL, results))
        begin = cpu_seconds(pid)
        driver.start()
        count, seconds = results.get(timeout=30)
        driver.join()
        rates.append(count / seconds)
        capacities.append(count / (cpu_seconds(pid) - begin))
    print(f"{PARALLEL} connections: {statistics.median(rates):,.0f} requests a second as driven,")
    print(f"  {statistics.median(capacities):,.0f} for each second of the broker's processor time")


def main() -> None:
    """Print the tables."""
    folder = Path(tempfile.mkdtemp(prefix="utb-bench-"))
    server, call = None, None
    if shutil.which("redis-server"):
        import redis

        path = folder / "redis.sock"
        command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", ""]
        server = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL)
        while not path.exists():
            time.sleep(0.01)
        client = redis.Redis(unix_socket_path=str(path))
        client.set("usps", "x" * 1300)
        call = lambda: client.get("usps")  # noqa: E731
    else:
        print("redis-server is not installed: no row for it")
    try:
        with Usps() as usps:
            home = Home(usps.base_url)
            home.lift_rates()
            with home.broker() as broker:
                home.token()
                pids = [broker.process.pid, *([server.pid] if server else [])]
                one_connection(home, pids, call)
                many_connections(home, broker.process.pid)
            home.remove()
    finally:
        if server is not None:
            server.terminate()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)
