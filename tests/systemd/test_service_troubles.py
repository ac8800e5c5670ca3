"""What goes wrong around the broker: one clear line, the right exit code, no storm of starts."""

import re
import socket

import pytest
from installed import (
    ADMIN_SOCKET,
    BROKER_SOCKET,
    CONFIG,
    PROGRAM,
    SERVICE,
    SOCKET,
    STATE,
    USER,
)
from processes import until

PAUSE_SECONDS = 5


def starts(installed):
    """When each start began, in seconds of the machine's running clock."""
    installed.machine.run("journalctl", "--sync")
    fields = "JOB_TYPE=start", f"UNIT={SERVICE}", "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5"
    told = installed.journalctl("-o", "short-monotonic", *fields)
    return [float(at) for at in re.findall(r"^\[\s*([\d.]+)\]", told, re.MULTILINE)]


def until_starts(installed, count):
    until(lambda: len(starts(installed)) >= count, installed.journal)


def exit_codes(installed):
    """Of each process that was the service and ended."""
    return re.findall(r"Main process exited, code=exited, status=(\d+)", installed.journal())


def try_to_start(installed):
    return installed.machine.run("systemctl", "start", SERVICE, check=False)


def waiting_client(installed):
    """One that has all the time in the world."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(installed.machine.path(BROKER_SOCKET)))
    return client


# The watchdog


def test_a_core_that_is_stuck_is_killed_and_its_tokens_are_served_by_the_next(installed):
    """systemd hears nothing for WatchdogSec=; no call to USPS is made for it."""
    installed.use_loud_broker("core", "WatchdogSec=2\nRestartSec=100ms")
    installed.start()
    before, pid = installed.tokens(), installed.pid
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(str(installed.machine.path(ADMIN_SOCKET)))
        admin.sendall(b"POST /v1/tokens/bearer/renewals?wait=0 HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: installed.pid not in {0, pid}, installed.journal)
    assert "Watchdog timeout" in installed.journal()
    assert installed.tokens() == before
    assert installed.calls() == (1, 1)


def test_a_core_that_has_nothing_to_do_is_not_killed(broker):
    """It feeds the watchdog while it sleeps."""
    broker.drop_in("[Service]\nWatchdogSec=2\n")
    broker.systemctl("restart", SERVICE)
    pid, fed = broker.pid, set()

    def fed_four_times():
        fed.add(broker.show("WatchdogTimestampMonotonic"))
        return len(fed) > 4

    until(fed_four_times, broker.journal)
    assert (broker.pid, broker.show("NRestarts")) == (pid, "0")


# Errors that stay, and clients that wait


def wrong_configuration(installed):
    installed.configure("client_ids = 1")


def wrong_directory(installed):
    installed.drop_in("[Service]\nRuntimeDirectory=something-else\n")
    installed.machine.write("/etc/usps-token-broker/state", "")
    text = installed.machine.path(CONFIG).read_text()
    installed.machine.write(CONFIG, f'state_dir = "/etc/usps-token-broker/state"\n{text}')


def wrong_usage(installed):
    installed.drop_in(f"[Service]\nExecStart=\nExecStart={PROGRAM} run --confg x\n")


def broken_installation(installed):
    installed.machine.write("/opt/loud/httptools.py", "raise SystemError('broken')\n")
    installed.drop_in("[Service]\nEnvironment=PYTHONPATH=/opt/loud\n")


def no_permission(installed):
    installed.drop_in("[Service]\nExecStart=\nExecStart=/bin/sh -c 'exit 77'\n")


def test_clients_that_wait_start_no_storm(installed):
    """One start every five seconds; once somebody has mended it, who waited is served."""
    wrong_configuration(installed)
    assert try_to_start(installed).returncode != 0
    with waiting_client(installed) as one, waiting_client(installed) as other:
        until_starts(installed, 2)
        first, second = starts(installed)
        assert second - first >= PAUSE_SECONDS
        assert installed.show("ActiveState", unit=SOCKET) == "active"
        installed.configure()
        for client in (one, other):
            client.settimeout(30)
            client.sendall(b"GET /v1/tokens/bearer?wait=20 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    assert installed.calls() == (1, 1)


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (wrong_configuration, "78"),
        (no_permission, "77"),
        (wrong_directory, "73"),
        (wrong_usage, "64"),
        (broken_installation, "1"),
    ],
)
def test_no_exit_code_is_a_reason_to_go_without_the_pause(installed, trouble, code):
    """With a client that waits: whatever it is that keeps the broker from starting."""
    installed.drop_in("[Service]\nRestartSec=700ms\n", name="sooner")
    trouble(installed)
    try_to_start(installed)
    with waiting_client(installed):
        until_starts(installed, 3)
        began = starts(installed)
        assert began[2] - began[0] >= 2 * 0.7
        assert set(exit_codes(installed)) == {code}
        assert installed.show("ActiveState", unit=SOCKET) == "active"


STARTS = 5
"""More than the attempts that a slot has, so that one more for each start would be seen."""


def start_over_and_over(installed):
    installed.drop_in("[Unit]\nStartLimitIntervalSec=0\n", name="unlimited")
    for _ in range(STARTS):
        installed.systemctl("restart", SERVICE)


def test_starts_with_credentials_that_usps_refuses_make_one_call(installed):
    """The refusal is on record, so a start is no reason to ask again."""
    installed.write_secret("wrong")
    installed.start()
    installed.until_words("another try at ")
    start_over_and_over(installed)
    assert "USPS" in installed.until_words("not ready: bearer missing, another try at ")
    assert installed.calls() == (1, 0)


def test_crashes_at_every_grant_stay_within_the_budget(installed):
    """Each call was charged before it was sent; once the budget is used up, it stays up."""
    installed.use_loud_broker("grant", "RestartSec=1ms")
    installed.systemctl("start", "--no-block", SERVICE)
    installed.until_words("bearer missing, (fetch|retry) at ")
    made, _ = installed.calls()
    assert 1 <= made <= 4
    start_over_and_over(installed)
    installed.until_words("bearer missing, (fetch|retry) at ")
    assert installed.calls() == (made, 0)


# Bad surroundings


def test_a_socket_that_another_process_has_there_is_taken_from_it(installed):
    """systemd puts its own in that place: the unit's socket is where clients look."""
    installed.machine.path("/run/usps-token-broker").mkdir(0o755)
    listen = f"s = socket.socket(socket.AF_UNIX); s.bind({BROKER_SOCKET!r}); s.listen()"
    listen = f"import socket; {listen}; print('listening', flush=True); input()"
    with installed.machine.begin("python3", "-c", listen) as other:
        assert other.stdout.readline() == "listening\n"
        installed.start()
        installed.tokens()
        other.communicate("\n", timeout=30)


def test_a_socket_that_was_removed_says_which_unit_to_restart(broker):
    """The service alone cannot bring it back: systemd still listens, where nobody finds it."""
    broker.drop_in("[Service]\nWatchdogSec=2\n")  # it looks after the socket as often
    broker.systemctl("restart", SERVICE)
    before = broker.tokens()
    broker.machine.path(BROKER_SOCKET).unlink()
    until(lambda: "was removed or replaced" in broker.journal(), broker.journal)
    assert "systemctl restart usps-token-broker.socket" in broker.journal()
    until(lambda: "75" in exit_codes(broker), broker.journal)
    broker.systemctl("restart", SOCKET)
    assert broker.tokens() == before
    assert broker.calls() == (1, 1)


def test_a_broker_started_by_hand_beside_the_service(broker):
    """As the service's user, on the same state: it says who has it, and harms nothing."""
    done = broker.machine.run(
        PROGRAM,
        "run",
        user=USER,
        check=False,
        environ={"RUNTIME_DIRECTORY": STATE, "CREDENTIALS_DIRECTORY": "/nowhere"},
    )
    assert done.returncode == 73
    assert "another" in done.stderr
    assert broker.ask("/v1/tokens/bearer")[0] == 200


def test_the_units_command_by_hand_as_somebody_else(broker):
    """It says what that user lacks."""
    done = broker.machine.run(PROGRAM, "run", user="ann", check=False)
    assert done.returncode == 78
    assert "XDG_RUNTIME_DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_socket_directory_of_somebody_else(installed):
    """systemd takes it as it is, and whoever it belongs to could put another socket there."""
    held = installed.machine.path("/run/usps-token-broker")
    held.mkdir(0o755)
    installed.machine.run("chown", "eve", "/run/usps-token-broker")
    try_to_start(installed)
    assert "/run/usps-token-broker belongs to uid 2013, so that others can" in installed.journal()
    assert exit_codes(installed)[0] == "73"


def test_a_missing_credential(installed):
    """systemd says it before our program begins, and tries again slowly."""
    installed.drop_in("[Service]\nRestartSec=1\n", name="sooner")
    installed.machine.path("/etc/usps-token-broker/client-secret").unlink()
    assert try_to_start(installed).returncode != 0
    assert "usps-client-secret" in installed.journal() or "credentials" in installed.journal()
    installed.write_secret("demo-client-secret")
    installed.tokens()


def test_a_credential_that_the_unit_does_not_load(installed):
    """What is missing in the unit, in a sentence."""
    installed.drop_in("[Service]\nLoadCredential=\n")
    try_to_start(installed)
    assert exit_codes(installed)[0] == "78"
    assert "LoadCredential=" in installed.journal()


def test_a_state_directory_that_cannot_be_written(installed):
    """Read-only to the service: 73, which directory, and for whom."""
    text = installed.machine.path(CONFIG).read_text()
    installed.machine.write(CONFIG, f'state_dir = "/var/lib/usps-token-broker"\n{text}')
    try_to_start(installed)
    assert exit_codes(installed)[0] == "73"
    assert "/var/lib/usps-token-broker" in installed.journal()


def test_a_full_disk_costs_no_token_and_is_told(installed):
    """Served all the same; in the journal, in the line, and mended without a restart."""
    installed.machine.path("/run/small").mkdir()
    installed.machine.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/run/small")
    installed.machine.run("chown", USER, "/run/small")
    installed.machine.path("/run/small").chmod(0o700)
    installed.drop_in("[Service]\nReadWritePaths=/run/small\n")
    text = installed.machine.path(CONFIG).read_text()
    installed.machine.write(CONFIG, f'state_dir = "/run/small"\n{text}')
    installed.machine.run("sh", "-c", "cat /dev/zero >/run/small/zero || true")
    installed.start()
    installed.tokens()
    assert "the state is not saved" in installed.journal()
    installed.until_words("the state is not saved: ")
    installed.machine.run("rm", "/run/small/zero")
    installed.ask("/v1/tokens/bearer/renewals?wait=20", "/run/small/admin.sock", "POST")
    until(lambda: "the state is saved again" in installed.journal(), installed.journal)
    until(lambda: "not saved" not in installed.words, lambda: installed.words)
    installed.systemctl("stop", SERVICE)
    installed.machine.run("umount", "/run/small")
