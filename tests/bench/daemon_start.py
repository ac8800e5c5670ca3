"""From `run` to a listening socket; resident memory; processor time while idle."""

import os
import socket
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from processes import Home, Usps

ROUNDS = 15
IDLE_SECONDS = 20
CONNECTIONS = 1000


def resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listening_ms(home: Home) -> float:
    command = [sys.executable, "-m", "usps_token_broker", "run", "--config", str(home.config)]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while True:
            with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
                probe.connect(str(home.socket))
                return (time.perf_counter() - begin) * 1000
            time.sleep(0.001)
    finally:
        process.terminate()
        process.wait()


def bare_ms() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - begin) * 1000


def main() -> None:
    """Print the figures."""
    with Usps() as usps:
        home = Home(usps.base_url)
        try:
            bare, listening = [], []
            for _ in range(ROUNDS):
                bare.append(bare_ms())
                listening.append(listening_ms(home))
            bare_median = statistics.median(bare)
            median = statistics.median(listening)
            print(f"bare Python start          {bare_median:7.1f} ms")
            print(f"`run` to listening         {median:7.1f} ms  {median / bare_median:.1f}x")
            measure_running(home)
        finally:
            home.remove()


def measure_running(home: Home) -> None:
    with home.broker() as broker:
        pid = broker.process.pid
        home.token("payment")
        print(f"resident, both tokens held {resident_kb(pid) / 1024:7.1f} MiB")
        begin = cpu_seconds(pid)
        time.sleep(IDLE_SECONDS)
        spent = cpu_seconds(pid) - begin
        print(f"processor while idle       {spent * 1000:7.1f} ms in {IDLE_SECONDS} s")
        before = resident_kb(pid)
        peers = []
        for _ in range(CONNECTIONS):
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(str(home.socket))
            peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            peer.recv(4096)
            peers.append(peer)
        grown = resident_kb(pid) - before
        print(f"{CONNECTIONS} idle connections      {grown / CONNECTIONS:7.2f} KiB each")
        for peer in peers:
            peer.close()
