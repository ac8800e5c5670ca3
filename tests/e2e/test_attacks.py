"""Signals, stops, full disks and files that vanish under a running broker."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from identities import request
from processes import Process, until

BEARER = "/v1/tokens/bearer"


def waiting_callers(home, count):
    """Connections that ask for a token that does not come."""
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(count)]
    for connected in crowd:
        connected.settimeout(30)
        connected.connect(str(home.socket))
        connected.sendall(request(f"{BEARER}?wait=60"))
    until(lambda: home.status()["waiting"] == count, home.status)
    return crowd


def hold(usps):
    usps.ask("POST", "/sim/faults", {"name": "hold", "endpoint": "token"})


# -- signals --------------------------------------------------------------------------------------


def test_a_storm_of_sighup_reads_the_secrets_a_few_times(usps, home):
    """Five hundred reloads of a broken script: served throughout, and no log full of them."""
    with home.broker() as broker:
        before = home.token()
        for _ in range(500):
            broker.process.send_signal(signal.SIGHUP)
        until(lambda: "secret files read again" in broker.errors())
        assert home.token() | {"expires_in": 0} == before | {"expires_in": 0}
        assert broker.kill(signal.SIGTERM) == 0
        assert broker.errors().count("read again") < 500
        assert "Traceback" not in broker.errors()
    assert usps.calls("token") == 1


def test_sighup_from_the_first_moment_on_ends_nobody(usps, home):
    """A reload right after the start is no reason to die."""
    with Process("usps_token_broker", "run", "--config", str(home.config)) as broker:
        errors = ""
        while "serving tokens" not in errors:
            # The interpreter itself needs a moment before anything can be ignored.
            if os.path.lexists(home.folder / "state"):
                broker.process.send_signal(signal.SIGHUP)
            assert broker.process.poll() is None, broker.errors()
            errors = broker.errors()
        assert home.token()["slot"] == "bearer"


def test_sigterm_in_bursts_ends_it_once_and_cleanly(usps, home):
    """Exit code 0, no traceback, the socket gone, the tokens kept."""
    with home.broker() as broker:
        home.token("payment")
        while broker.process.poll() is None:
            broker.process.send_signal(signal.SIGTERM)
            broker.process.send_signal(signal.SIGHUP)
            broker.process.send_signal(signal.SIGINT)
        assert broker.process.returncode == 0, broker.errors()
        assert "Traceback" not in broker.errors()
        assert broker.errors().count("told to end") == 1
    assert not home.socket.exists()
    with home.broker():
        home.token("payment")
    assert usps.calls("token") == 1


def test_who_waits_when_it_is_told_to_end_hears_restarting(usps, home):
    """A 503 that shims take for what it is, at once, and not a cut connection."""
    hold(usps)
    with home.broker() as broker:
        crowd = waiting_callers(home, 30)
        broker.process.send_signal(signal.SIGTERM)
        for connected in crowd:
            answer = connected.recv(65536)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b'"restarting"' in answer
            assert b"Connection: close" in answer
            assert b"Retry-After: 1" in answer
            connected.close()
        usps.ask("DELETE", "/sim/faults")
        assert broker.process.wait(30) == 0


def test_what_usps_grants_while_it_ends_is_kept(usps, home):
    """The call that is under way is waited for: the next broker need not ask again."""
    hold(usps)
    with home.broker() as broker:
        until(lambda: home.slot()["phase"] == "fetching")
        broker.process.send_signal(signal.SIGTERM)
        until(lambda: "told to end" in broker.errors())
        usps.ask("DELETE", "/sim/faults")
        assert broker.process.wait(30) == 0
    with home.broker():
        home.token()
    assert usps.calls("token") == 1


def test_a_usps_that_hangs_does_not_keep_it_from_ending(usps, home):
    """Five seconds of patience for what is under way, and no more."""
    hold(usps)
    with home.broker() as broker:
        until(lambda: home.slot()["phase"] == "fetching")
        assert broker.kill(signal.SIGTERM) == 0


def test_stopped_for_a_while_it_goes_on_where_it_was(usps, home):
    """SIGSTOP, as a debugger or a frozen container does it."""
    with home.broker() as broker:
        before = home.token()
        broker.process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{broker.process.pid}/stat")
        until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        waiting = socket.socket(socket.AF_UNIX)
        waiting.settimeout(30)
        waiting.connect(str(home.socket))
        waiting.sendall(request("/healthz"))
        broker.process.send_signal(signal.SIGCONT)
        assert waiting.recv(65536).startswith(b"HTTP/1.1 200")
        waiting.close()
        assert home.token()["serial"] == before["serial"]


# -- disks and files ------------------------------------------------------------------------------


@contextlib.contextmanager
def broker_with_small_files(home, limit):
    """A broker that may not write files larger than that."""

    def set_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    with Process(
        "usps_token_broker", "run", "--config", str(home.config), preexec_fn=set_limit
    ) as process:
        home.wait_for_socket(process)
        yield process


def test_a_state_that_cannot_be_written_costs_no_token(usps, home):
    """Both are fetched and served; status and the log say what is wrong."""
    with broker_with_small_files(home, 200) as broker:
        assert home.token("payment")["slot"] == "payment"
        assert "LimitFSIZE" in home.status()["state_trouble"]
        assert "the state is not saved, so a restart would fetch" in broker.errors()
        assert home.get("/readyz")[0] == 200
        assert broker.kill(signal.SIGTERM) == 0
    assert (usps.calls("token"), usps.calls("payment-authorization")) == (1, 1)


@pytest.fixture
def small_disk(home):
    """A file system of a few kilobytes where the state goes."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    state = home.folder / "state"
    state.mkdir(0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(state)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a file system")
    yield state
    subprocess.run(["umount", "-l", str(state)], check=True)


def test_a_full_disk_costs_no_token_and_room_is_used_when_it_is_there(usps, home, small_disk):
    """As a log that filled the disk at night does it."""
    with contextlib.suppress(OSError), (small_disk / "state.damaged-1").open("wb") as filler:
        filler.write(b"x" * 100_000)
    with home.broker() as broker:
        home.token("payment")
        assert "the disk is full" in home.status()["state_trouble"]
        (small_disk / "state.damaged-1").unlink()
        serial = home.token()["serial"]
        report = {"status": 401, "path": "/x", "serials": {"bearer": serial}}
        home.ask("POST", "/v1/answers", report)
        until(lambda: home.status()["state_trouble"] is None, home.status)
        assert broker.kill(signal.SIGKILL) == -signal.SIGKILL
    calls = usps.calls("token")
    with home.broker():
        home.token("payment")
    assert usps.calls("token") == calls


def test_a_state_directory_that_is_removed_costs_no_token(usps, home):
    """Somebody cleaned up: said, served on, and a new broker starts with a new one."""
    with home.broker() as broker:
        home.token("payment")  # all is on record: nothing is written while it is removed
        serial = home.token()["serial"]
        shutil.rmtree(home.folder / "state")
        report = {"status": 401, "path": "/x", "serials": {"bearer": serial}}
        home.ask("POST", "/v1/answers", report)
        assert home.token()["serial"] != serial
        assert "was removed or replaced; restart the broker" in home.status()["state_trouble"]
        assert broker.kill(signal.SIGTERM) == 0
        assert "Traceback" not in broker.errors()
    with home.broker():
        home.token("payment")


def test_a_secret_that_vanishes_costs_no_token_that_is_there(usps, home):
    """The next mint says why it cannot be made; SIGHUP tells it at once."""
    secret = home.folder / "client-secret"
    with home.broker() as broker:
        before = home.token()
        secret.unlink()
        broker.process.send_signal(signal.SIGHUP)
        until(lambda: "the one read before stays in force" in broker.errors())
        report = {"status": 401, "path": "/x", "serials": {"bearer": before["serial"]}}
        home.ask("POST", "/v1/answers?wait=1", report)
        trouble = home.slot()["trouble"]
        assert trouble["code"] == "credentials_refused"
        assert trouble["reason"] == "secret_unusable"
        assert f"{secret} does not exist" in trouble["detail"]
        assert f"/dev/stdin {secret}`; the broker looks again" in trouble["fix"]
        assert home.token()["serial"] == before["serial"]
        secret.touch(0o600)
        secret.write_text("demo-client-secret\n")
        broker.process.send_signal(signal.SIGHUP)
        until(lambda: home.token()["serial"] != before["serial"])
        assert home.slot()["trouble"] is None
    assert usps.calls("token") == 2


def test_a_rotated_secret_is_proved_by_one_call(usps, home):
    """Replaced at USPS and in the file: accepted, said, and the good token stays meanwhile."""
    with home.broker() as broker:
        home.token("payment")
        usps.ask("PUT", "/sim/settings", {"client_secret": "rotated"})
        fresh = home.folder / "fresh"
        fresh.touch(0o600)
        fresh.write_text("rotated\n")
        fresh.rename(home.folder / "client-secret")
        broker.process.send_signal(signal.SIGHUP)
        until(lambda: "secret accepted" in broker.errors(), broker.errors)
        assert home.get("/readyz")[0] == 200
    assert usps.calls("token") == 2


def test_a_wrong_rotated_secret_leaves_the_good_token(usps, home):
    """Refused: said at once, one call, and served until the end of its life."""
    secret = home.folder / "client-secret"
    with home.broker() as broker:
        before = home.token("payment")
        secret.write_text("a slip of the pen\n")
        broker.process.send_signal(signal.SIGHUP)
        until(lambda: home.slot()["trouble"], home.status)
        assert home.slot()["trouble"]["code"] == "credentials_refused"
        assert home.token("payment")["serial"] == before["serial"]
        assert home.get("/readyz")[0] == 200
        assert "a slip of the pen" not in broker.errors()


# -- what the process gives away ------------------------------------------------------------------


def test_no_core_can_be_dumped(usps, home):
    """By the limit, and by the filter for handlers that ignore it."""
    with home.broker() as broker:
        home.token()
        proc = Path(f"/proc/{broker.process.pid}")
        limits = (proc / "limits").read_text().splitlines()
        core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]
        assert int((proc / "coredump_filter").read_text(), 16) == 0


def test_it_takes_no_more_connections_than_it_has_descriptors_for(usps, home):
    """Files for the state and for USPS are kept back, so a crowd cannot starve it of them."""

    def set_limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    with Process(
        "usps_token_broker", "run", "--config", str(home.config), preexec_fn=set_limit
    ) as broker:
        home.wait_for_socket(broker)
        crowd = []
        for _ in range(250):
            connected = socket.socket(socket.AF_UNIX)
            connected.settimeout(30)
            connected.connect(str(home.socket))
            crowd.append(connected)
        refused = crowd[-1].recv(65536)
        assert refused.startswith(b"HTTP/1.1 429")
        crowd[0].sendall(request(BEARER))
        assert crowd[0].recv(65536).startswith(b"HTTP/1.1 200")
        for connected in crowd:
            connected.close()
        assert until(lambda: home.status()["state_trouble"] is None)
        assert "cannot accept" not in broker.errors()


def test_logs_that_nobody_reads_are_no_trouble(home):
    """Standard error is a pipe whose reader is gone: it serves, and ends when told to."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "usps_token_broker", "run", "--config", str(home.config)]
    with subprocess.Popen(command, stdout=writing, stderr=writing) as broker:
        os.close(writing)
        until(home.socket.exists)
        assert home.token("payment")["slot"] == "payment"
        broker.terminate()
        assert broker.wait(30) == 0


# -- what hangs for ever --------------------------------------------------------------------------


@contextlib.contextmanager
def broker_with_trouble(home, trouble):
    fakes = Path(__file__).parents[1] / "fakes"
    environ = {"PYTHONPATH": str(fakes), "LOUD_BROKER_BREAKS": trouble}
    command = ("loud_broker", "run", "--config", str(home.config))
    with Process(*command, environ=environ) as broker:
        home.wait_for_socket(broker)
        yield broker


@pytest.mark.parametrize("trouble", ["save", "load", "imports"])
def test_a_thread_that_hangs_does_not_keep_it_from_ending(home, trouble):
    """A dead disk or share: told to end, it ends, without SIGKILL."""
    with broker_with_trouble(home, trouble) as broker:
        assert broker.kill(signal.SIGTERM) == 0
        assert "told to end by SIGTERM" in broker.errors()


def test_a_disk_that_hangs_costs_seconds_and_no_token(home):
    """The charge cannot be put on record; the shop gets its tokens all the same."""
    with broker_with_trouble(home, "save"):
        status, _, body = home.get("/v1/tokens/payment?wait=60")
        assert status == 200, body


def test_a_reload_that_hangs_is_told_while_it_does(home):
    """In the log, in the status, and to whoever hangs up once more; it is served on, and ends."""
    with broker_with_trouble(home, "reload") as broker:
        home.token("payment")
        broker.process.send_signal(signal.SIGHUP)
        until(lambda: "a reload has been under way for 0.05 s" in broker.errors(), broker.errors)
        status = home.status()
        assert status["started_at"] <= status["reloading_since"] <= status["at"]
        for _ in range(3):
            broker.process.send_signal(signal.SIGHUP)
            until(lambda: "another one follows it" in broker.errors(), broker.errors)
        assert broker.errors().count("another one follows it") == 1
        assert home.get("/readyz")[0] == 200
        assert broker.kill(signal.SIGTERM) == 0


def test_reloads_that_hang_leave_one_thread_behind(home):
    """However often it is told to: what hung before is not begun again beside it."""
    with broker_with_trouble(home, "reloads") as broker:
        home.token("payment")
        threads = []
        for number in range(1, 9):
            broker.process.send_signal(signal.SIGHUP)
            until(lambda n=number: broker.errors().count("not reloaded: ") == n, broker.errors)
            threads.append(len(list(broker.proc("task").iterdir())))
        assert threads[-1] <= threads[0]
        assert "reloading_since" not in home.status()
        assert broker.kill(signal.SIGTERM) == 0


def test_a_secret_that_cannot_be_read_in_time_is_78(home):
    """A share that does not answer is said to be that."""
    with broker_with_trouble(home, "secret") as broker:
        assert broker.process.wait(30) == 78
        assert "reading it takes longer than 5 s" in broker.errors()
