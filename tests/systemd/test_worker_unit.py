"""The example of a worker's unit, as shipped: it begins when its tokens are there."""

import pytest
from installed import CLIENT, SERVICE, SOCKET, UNITS
from processes import until

WORKER = "usps-worker.service"
PROGRAM = "/usr/local/bin/usps-worker"


@pytest.fixture
def worker(installed):
    """The unit, its user in the groups that the configuration names, and a program that notes."""
    machine = installed.machine
    installed.systemctl("stop", WORKER, check=False)
    machine.run("rm", "-rf", f"/etc/systemd/system/{WORKER}.d")
    installed.unit(WORKER, (UNITS / "examples" / WORKER).read_text())
    people = "u usps-worker\nm usps-worker shop\nm usps-worker labels\n"
    machine.write("/etc/sysusers.d/worker.conf", people)
    machine.run("systemd-sysusers")
    machine.write(PROGRAM, "#!/bin/sh\necho working\nexec sleep infinity\n", 0o755)
    installed.systemctl("daemon-reload")
    yield installed
    installed.systemctl("stop", WORKER, check=False)


def test_it_begins_once_both_tokens_are_there(worker):
    """It starts the broker by its question, and waits while USPS takes its time."""
    worker.usps_breaks("hold@payment-authorization")
    worker.systemctl("start", "--no-block", WORKER)
    until(lambda: worker.calls()[1] == 1, worker.journal)
    assert worker.show("ActiveState", "SubState", unit=WORKER) == ["activating", "start-pre"]
    assert "working" not in worker.journal(WORKER)
    worker.usps_mends()
    until(lambda: "working" in worker.journal(WORKER), lambda: worker.journal(WORKER))
    assert worker.show("ActiveState", unit=SERVICE) == "active"


def test_it_says_what_is_missing_and_is_tried_again(worker):
    """As the example but for its patience: which token, why, what to do."""
    worker.write_secret("wrong")
    wait = f"{CLIENT} wait --timeout 2 --slot bearer payment"
    impatient = f"[Service]\nRestartSec=1\nExecStartPre=\nExecStartPre={wait}\n"
    worker.drop_in(impatient, WORKER)
    worker.machine.run("systemctl", "start", WORKER, check=False)
    said = worker.journal(WORKER)
    assert "working" not in said
    assert "no bearer token: USPS answered 401 invalid_client" in said
    assert "check the client secret" in said
    worker.write_secret("demo-client-secret")
    worker.systemctl("restart", SERVICE)
    until(lambda: "working" in worker.journal(WORKER), lambda: worker.journal(WORKER))


def test_a_restart_of_the_broker_is_none_of_the_worker(worker):
    """The worker goes on."""
    worker.start()
    worker.systemctl("start", WORKER)
    before = worker.show("MainPID", unit=WORKER)
    worker.systemctl("restart", SERVICE)
    worker.systemctl("restart", SOCKET)
    worker.tokens()
    assert worker.show("MainPID", "ActiveState", unit=WORKER) == [before, "active"]
