"""What the journal says of workers that took tokens, with the units as shipped."""

import re

from installed import BROKER_SOCKET, SERVICE

ASK = f"curl -sS --unix-socket {BROKER_SOCKET} http://localhost/v1/tokens/bearer"
WORKER = f"[Service]\nType=oneshot\nUser=ann\nExecStart=/usr/bin/{ASK}\n"


def told(broker, uid):
    """What the journal has of processes of this uid."""
    said = re.findall(r"handed out: (.*)", broker.journal())
    return [line for line in said if f" uid={uid} " in line]


def test_a_worker_is_told_by_its_unit_and_its_name(broker):
    """Through the sandbox, of another user's process, once; the daemon has no privilege for it."""
    broker.unit("shop.service", WORKER)
    broker.systemctl("daemon-reload")
    for _ in range(3):
        broker.systemctl("start", "shop.service")
    [line] = told(broker, 2011)
    assert re.fullmatch(
        r"tokens=default/bearer uid=2011 pid=\d+ unit=shop\.service comm=curl", line
    )
    broker.systemctl("stop", SERVICE)
    _, more = told(broker, 2011)
    assert " more_processes=2 unit=shop.service comm=curl" in more


def test_a_host_that_hides_processes_has_the_uid_told(broker):
    """By a drop-in, as the unit says."""
    broker.drop_in("[Service]\nProtectProc=invisible\n")
    broker.systemctl("restart", SERVICE)
    broker.curl("/v1/tokens/bearer", "ann")
    [line] = told(broker, 2011)
    assert re.fullmatch(r"tokens=default/bearer uid=2011 pid=\d+ process=hidden", line)
