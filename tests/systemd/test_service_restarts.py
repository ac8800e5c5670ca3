"""Restarts of every kind, and whoever asks meanwhile: the socket stays, and so do the tokens."""

import pytest
from busy_machine import busy
from installed import (
    ADMIN_SOCKET,
    BROKER_SOCKET,
    SERVICE,
    SOCKET,
    STATE,
)
from processes import until


def kill(broker):
    """SIGKILL, and until systemd has started another."""
    before = broker.pid
    broker.systemctl("kill", "--signal=KILL", SERVICE)
    until(lambda: broker.pid not in {0, before}, broker.journal)
    broker.until_state("active")


def restart(broker):
    broker.systemctl("restart", SERVICE)


def stop_and_start(broker):
    broker.systemctl("stop", SERVICE)
    broker.systemctl("start", SERVICE)


def stop_both_and_start(broker):
    broker.systemctl("stop", SOCKET, SERVICE)
    broker.systemctl("start", SOCKET, SERVICE)


def watchdog(broker):
    """As systemd does it to one that hangs."""
    before = broker.pid
    broker.systemctl("kill", "--signal=ABRT", SERVICE)
    until(lambda: broker.pid not in {0, before}, broker.journal)
    broker.until_state("active")


def quickly(broker):
    """Without the pause after a crash: it is there to save work, and here to be waited for."""
    broker.drop_in("[Service]\nRestartSec=100ms\n", name="quickly")


def test_20_restarts_under_50_busy_clients_fail_no_call(broker):
    """48 threads of the Python client, each with a client of its own, and two of curl."""
    tokens = broker.tokens()
    with busy(broker) as story:
        for _ in range(20):
            restart(broker)
            assert broker.machine.path(ADMIN_SOCKET).is_socket()
    assert story["shim"]["failures"] == []
    assert story["shim"]["answers"] > 20
    assert story["shim"]["tokens"] == len(set(tokens))
    for said in story["curl"]:
        assert said.startswith("answered ")
    assert broker.calls() == (1, 1)


def test_kills_under_busy_clients_fail_no_call_of_the_python_client(broker):
    """A connection that was being answered breaks; the client asks again by itself."""
    quickly(broker)
    with busy(broker, curls=0) as story:
        for _ in range(5):
            kill(broker)
            broker.ask("/v1/status", ADMIN_SOCKET)
    assert story["shim"]["failures"] == []
    assert broker.calls() == (1, 1)
    assert broker.show("NRestarts") == "5"


def test_a_client_that_comes_before_the_first_start_is_served(installed):
    """It waits in the socket while the service starts because of it."""
    installed.systemctl("start", SOCKET)
    assert installed.show("ActiveState") == "inactive"
    assert installed.ask("/v1/tokens/bearer?wait=20")[0] == 200
    assert installed.show("ActiveState") == "active"


@pytest.mark.parametrize(
    "how",
    [restart, stop_and_start, stop_both_and_start, kill, watchdog],
    ids=lambda how: how.__name__,
)
def test_tokens_outlive_it_without_a_call(broker, how):
    """The same two, served by another process; the admin socket is back, too."""
    quickly(broker)
    before, pid = broker.tokens(), broker.pid
    how(broker)
    assert broker.tokens() == before
    assert broker.pid not in {0, pid}
    assert broker.calls() == (1, 1)
    assert broker.ask("/v1/status", ADMIN_SOCKET)[0] == 200


def test_the_state_is_in_memory_alone_and_only_the_brokers_user_sees_it(broker):
    """A tmpfs beneath /run, kept while the service is down, closed to all others."""
    assert broker.machine.run("stat", "-f", "-c", "%T", STATE).stdout == "tmpfs\n"
    broker.systemctl("stop", SERVICE)
    asked = ("stat", "-c", "%A %U %n", STATE, f"{STATE}/state")
    assert broker.machine.run(*asked).stdout.splitlines() == [
        f"drwx------ usps-token-broker {STATE}",
        f"-rw------- usps-token-broker {STATE}/state",
    ]
    assert broker.machine.run("cat", f"{STATE}/state", user="ann", check=False).returncode != 0


def test_nothing_that_a_broker_writes_reaches_a_disk(broker):
    """After a life with restarts every file of its user's lies on a tmpfs."""
    restart(broker)
    broker.systemctl("stop", SERVICE)
    places = ("/etc", "/home", "/opt", "/srv", "/var")
    found = broker.machine.run("find", *places, "-xdev", "-user", "usps-token-broker").stdout
    assert found == ""


def test_a_stopped_socket_leaves_none_behind(broker):
    """Clients then say "not running" at once, and do not wait."""
    broker.systemctl("stop", SOCKET, SERVICE)
    assert not broker.machine.path(BROKER_SOCKET).exists()
    assert "No such file" in broker.curl("/healthz") or not broker.curl("/healthz")


def test_a_broker_that_is_told_to_end_by_hand_is_started_by_the_next_client(broker):
    """`kill PID` is a clean end, so systemd starts none by itself."""
    broker.systemctl("kill", "--signal=TERM", SERVICE)
    broker.until_state("inactive")
    assert broker.ask("/v1/tokens/bearer")[0] == 200
    assert broker.calls() == (1, 1)
