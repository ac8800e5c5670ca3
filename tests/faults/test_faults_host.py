"""A host that runs out of descriptors or memory under a broker, and disks that take nothing."""

import contextlib
import http.client
import itertools
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import sick_disk_broker
from identities import request
from no_descriptors import lowest_free
from processes import Home, Process, Usps, until

EX_SOFTWARE = 70
ENDS = {0, EX_SOFTWARE, -signal.SIGSEGV, -signal.SIGABRT}
"""Told to; for want of memory; by the kernel, where a stack may not grow (setrlimit(2)) or C code
went on without what it was denied; by the interpreter, where that has none to go on.

Every SIGSEGV that was looked into, one with gdb and four by Python's stack, was that of msgspec's
own `encode`, which `wire.encoding` avoids: of eighty brokers since none has ended so. Others of C
are not ours to rule out."""
LIFE_SECONDS = 600
"""Short, since back-off and budget shrink with it; long enough to renew nothing by itself here."""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may see and change the limits of another process"
)


@pytest.fixture(scope="module")
def usps():
    """One USPS for all, which takes as many calls as they make."""
    quotas = ("--quota", "token=none", "--quota", "payment-authorization=none")
    with Usps("--life", str(LIFE_SECONDS), *quotas) as process:
        yield process


@pytest.fixture
def home(usps):
    home = Home(usps.base_url)
    yield home
    home.remove()


@contextlib.contextmanager
def kept(path):
    """A connection that is there before anything is scarce: `ask(method, target)`."""
    connection = http.client.HTTPConnection("localhost")
    with contextlib.closing(connection):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(30)
        connection.sock.connect(str(path))

        def ask(method, target):
            connection.request(method, target)
            response = connection.getresponse()
            return response.status, response.read()

        assert ask("GET", "/healthz")[0] == 200
        yield ask


def processor_seconds(broker):
    """What it has used, and what the clock says."""
    fields = broker.proc("stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def virtual_bytes(broker):
    lines = broker.proc("status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmSize")) * 1024


def crowd(home, count, sent):
    """Callers outside: each has connected and sent that, or met a closed door."""
    callers = []
    for _ in range(count):
        caller = socket.socket(socket.AF_UNIX)
        caller.settimeout(30)
        callers.append(caller)
        with contextlib.suppress(OSError):
            caller.connect(str(home.socket))
            caller.sendall(sent)
    return callers


def has_no_secret(home, broker, *tokens):
    said = broker.errors()
    return not any(value in said for value in ("demo-client-secret", *tokens))


def test_without_descriptors_it_serves_who_is_there_and_recovers(home, rounds, tried):
    """Nobody else gets in, a renewal goes on or says why, and nothing runs in circles."""
    for spare in rounds([0], [0, 1, 2, 3, 4, 6, 8, 12]):
        with home.broker() as broker, contextlib.ExitStack() as stack:
            pid = broker.process.pid
            before = home.token("payment"), home.token()
            paths = home.socket, home.socket, home.folder / "state" / "admin.sock"
            held, other, admin = (stack.enter_context(kept(path)) for path in paths)
            limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            few = lowest_free(pid) + spare
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, limits[1]))
            outside = crowd(home, 40, request("/healthz"))
            used = processor_seconds(broker)
            status, told = admin("POST", "/v1/tokens/bearer/renewals?wait=2")
            assert status == 200 or b"raise its limit (LimitNOFILE=)" in told, told
            assert other("GET", "/metrics")[0] in {200, 503}
            for _ in range(100):
                assert held("GET", "/v1/tokens/payment")[0] == 200
            assert processor_seconds(broker) - used < 1.5, "two seconds of hardly anything"
            assert broker.errors().count("cannot accept connections") <= 1
            assert "waiting for a reply failed" not in broker.errors(), broker.errors()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            for caller in outside:
                assert caller.recv(65536).startswith(b"HTTP/1.1 200")
                caller.close()
            old = before[1]["serial"]
            until(lambda old=old: home.token()["serial"] != old, broker.errors)
            assert home.get("/metrics")[0] == 200
            assert admin("POST", "/v1/reload")[0] == 200
            until(lambda: home.status()["state_trouble"] is None, home.status)
            assert has_no_secret(home, broker, *(token["token"] for token in before))
            assert broker.kill(signal.SIGTERM) == 0
        shutil.rmtree(home.folder / "state")  # and with it what was charged: each has its budget
        tried("no descriptors left, at run time", 1, 149)


def test_the_first_scrape_without_descriptors_says_what_is_scarce(home):
    """It has files to read; the next one, with descriptors, has what it needs."""
    with home.broker() as broker, contextlib.ExitStack() as stack:
        home.token("payment")
        ask = stack.enter_context(kept(home.socket))
        pid = broker.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free(pid), limits[1]))
        status, told = ask("GET", "/metrics")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert (status, json.loads(told)["reason"]) == (503, "out_of_descriptors")
        assert "LimitNOFILE" in json.loads(told)["fix"]
        assert "failed: OSError" not in broker.errors()
        assert home.get("/metrics")[0] == 200


def test_without_memory_it_serves_or_ends_and_never_hangs(usps, home, rounds, dice, tried):
    """A limit on its address space, and a crowd with bodies: 70 at worst, and nothing is lost."""
    large = (
        b"POST /v1/answers HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{" + b" " * 50_000
    )
    for number in range(rounds(1, 15)):
        slack = 0 if number == 0 else int(10 ** dice.uniform(4, 7.5))
        print(f"room for {slack} bytes more")  # noqa: T201 - beside a failure
        with home.broker() as broker:
            tokens = [home.token(slot)["token"] for slot in ("payment", "bearer")]
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            least = virtual_bytes(broker) + slack
            resource.prlimit(broker.process.pid, resource.RLIMIT_AS, (least, unlimited[1]))
            callers = crowd(home, 400, large)
            for target in ("/metrics", "/v1/status", "/openapi.json"):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    home.get(target)
            for caller in callers:
                caller.close()
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(broker.process.pid, resource.RLIMIT_AS, unlimited)
            until(lambda one=broker: has_ended_or_serves(home, one), broker.errors)
            if broker.process.poll() is None:
                broker.process.send_signal(signal.SIGTERM)
            assert broker.process.wait(30) in ENDS, broker.errors()[-2000:]
            assert has_no_secret(home, broker, *tokens)
        calls = usps.calls("token")
        with home.broker():
            assert [home.token(slot)["token"] for slot in ("payment", "bearer")] == tokens
        assert usps.calls("token") == calls
        tried("no memory left, at run time", 1, 7)


def has_ended_or_serves(home, broker):
    """It may do the one while it still does the other."""
    if broker.process.poll() is not None:
        return True
    try:
        return all(home.get(target)[0] == 200 for target in ("/healthz", "/v1/tokens/payment"))
    except (OSError, http.client.HTTPException):
        return False


# -- disks ----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(home):
    """A file system of a few kilobytes where the state goes."""
    if shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    state = home.folder / "state"
    state.mkdir(0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(state)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a file system")
    yield state
    subprocess.run(["umount", "-l", str(state)], check=True)


def fill(path):
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as filler:
        while filler.write(bytes(1024)):
            pass


def reload(home):
    """Has the state saved anew, without a call."""
    assert home.ask("POST", "/v1/reload", admin=True)[0] == 200


def goes_on_without_a_disk(home, broker, number):
    """Many saves fail: served, ready, and one line for the whole of this, the numberth time."""
    for _ in range(4):
        reload(home)
        assert home.get("/v1/tokens/payment")[0] == 200
    until(lambda: home.status()["state_trouble"], home.status)
    assert home.get("/readyz")[0] == 200
    assert broker.errors().count("the state is not saved") == number


def is_saved_again(home, broker, number):
    reload(home)
    until(lambda: home.status()["state_trouble"] is None, home.status)
    assert broker.errors().count("the state is saved again") == number
    assert "Traceback" not in broker.errors()


def test_a_full_disk_costs_one_line_and_no_token(usps, home, small_disk, rounds, tried):
    """Also a renewal is served on; when there is room it is saved, and survives a kill."""
    filler = small_disk / "state.damaged-1"
    with home.broker() as broker:
        old = home.token("payment"), home.token()["serial"]
        for number in range(1, rounds(1, 20) + 1):
            fill(filler)
            if number == 1:
                assert home.renew("bearer", 10)[0] == 200
            goes_on_without_a_disk(home, broker, number)
            assert "the disk is full; make room" in home.status()["state_trouble"]
            filler.unlink()
            is_saved_again(home, broker, number)
            tried("a full disk", 1, 11)
        serial = home.token()["serial"]
        assert serial != old[1]
        broker.kill(signal.SIGKILL)
    calls = usps.calls("token")
    with home.broker():
        assert home.token()["serial"] == serial
    assert usps.calls("token") == calls


def test_a_disk_that_fails_costs_one_line_and_no_token(usps, home, dice, rounds, tried):
    """Read-only, broken, full, forbidden, at any step of a save: the same, with the reason."""
    says = home.folder / "sick"
    environ = {"UTB_SICK": str(says), "PYTHONPATH": str(Path(sick_disk_broker.__file__).parent)}
    options = ("run", "--config", str(home.config))
    with Process("sick_disk_broker", *options, environ=environ) as broker:
        home.wait_for_socket(broker)
        serial = home.token("payment")["serial"]
        every = list(itertools.product(sick_disk_broker.ERRORS, sick_disk_broker.STEPS))
        for number, (error, step) in enumerate(dice.sample(every, rounds(2, len(every))), 1):
            says.with_name("says").write_text(f"{error} {step}")
            says.with_name("says").replace(says)
            goes_on_without_a_disk(home, broker, number)
            says.unlink()
            is_saved_again(home, broker, number)
            tried("a disk that fails at a step of a save", 1, 9)
        broker.kill(signal.SIGKILL)
    calls = usps.calls("payment-authorization")
    with home.broker():
        assert home.token("payment")["serial"] == serial
    assert usps.calls("payment-authorization") == calls
