"""What the broker's service cannot do to its host, tried from within, and what it can."""

import json
import re
from pathlib import Path

import pytest
from installed import PYTHON, SERVICE, SOCKET, STATE, USER

PROBE = Path(__file__).parents[1] / "fakes" / "sandbox_probe.py"
WORST_EXPOSURE = 1.4
"""What a daemon that reads peers' uids and names and calls HTTPS can reach."""


@pytest.fixture(scope="module")
def tried(house):
    """What came of each attempt within the sandbox; the broker serves afterwards."""
    house.begin_anew()
    machine = house.machine
    machine.write("/opt/loud/sandbox_probe.py", PROBE.read_bytes())
    machine.run("install", "-d", "-o", "ann", "/home/ann")
    machine.write("/home/ann/diary", "dear diary")
    machine.write("/tmp/of-others", "left lying about")
    house.drop_in(f"[Service]\nExecStartPre={PYTHON} /opt/loud/sandbox_probe.py\n")
    house.start()
    house.tokens()
    [line] = [line for line in house.journal().splitlines() if line.startswith("{")]
    return json.loads(line)


@pytest.mark.parametrize(
    ("attempt", "errors"),
    [
        ("write the system", "EROFS"),
        ("write the program", "EROFS"),
        ("write the configuration", "EROFS"),
        ("write beside the socket", "EACCES EROFS"),
        ("read a home", "EACCES ENOENT"),
        ("read root's home", "EACCES ENOENT"),
        ("read the secret", "EACCES"),
        ("read another's /tmp", "ENOENT"),
        ("mount", "EPERM"),
        ("make a user namespace", "EPERM"),
        ("become root", "EPERM"),
        ("set the clock", "EPERM"),
        ("set the host's name", "EPERM"),
        ("another personality", "EPERM"),
        ("raise its priority", "EPERM EACCES"),
        ("real time", "EPERM"),
        ("set a user id bit", "EPERM"),
        ("write and execute", "EPERM EACCES"),
        ("raw packets", "EAFNOSUPPORT"),
        ("netlink", "EAFNOSUPPORT"),
        ("bluetooth", "EAFNOSUPPORT"),
        ("vsock", "EAFNOSUPPORT"),
        ("kernel settings", "EROFS EACCES"),
        ("control groups", "EROFS EACCES"),
        ("kernel log", "ENOENT EPERM EACCES"),
        ("another's executable", "EPERM EACCES"),
        ("another's memory", "EPERM EACCES"),
    ],
)
def test_it_cannot(tried, attempt, errors):
    """The kernel says no, whatever the program would like to do."""
    assert tried[attempt] in errors.split()


@pytest.mark.parametrize(
    "attempt", ["write the state", "internet", "internet 6", "unix", "see where it runs"]
)
def test_it_can(tried, attempt):
    """What it is there for; the same probe, so that a refusal above means something."""
    assert tried[attempt] == "done"


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("capabilities", "0000000000000000"),
        ("no new privileges", "1"),
        ("system call filter", "2"),
        ("core limit", "(0, 0)"),
        ("umask", "0077"),
        ("name another's process", "systemd"),
        ("environments of others", "0 read"),
        ("see a disk", "0 seen"),
        ("boot id", "36"),
    ],
)
def test_it_has(tried, what, value):
    """No right, no core; but the names of workers, to tell of them, and the boot's id."""
    assert tried[what] == value


def test_what_it_writes_to_var_tmp_is_seen_by_nobody_else(tried, house):
    """A /tmp and a /var/tmp of its own, gone with the service."""
    assert tried["write /var/tmp"] == "done"
    house.drop_in("[Service]\nExecStartPost=/bin/sh -c 'echo x >/var/tmp/mine'\n", name="post")
    house.systemctl("restart", SERVICE)
    assert not house.machine.path("/var/tmp/mine").exists()


def test_the_daemon_itself_leaves_no_core(tried, house):
    """By the limit and, for handlers that ignore it, by the filter."""
    proc = house.machine.path(f"/proc/{house.pid}")
    limits = (proc / "limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert int((proc / "coredump_filter").read_text(), 16) == 0


@pytest.mark.parametrize("name", ["environ", "mem", "maps", "fd/0"])
def test_another_process_of_its_user_cannot_look_into_the_daemon(tried, house, name):
    """Memory and environment are for root alone."""
    asked = ("head", "-c", "1", f"/proc/{house.pid}/{name}")
    done = house.machine.run(*asked, user=USER, check=False)
    assert done.returncode != 0
    assert "Permission denied" in done.stderr


def test_the_daemon_has_no_capability_and_a_filter(tried, house):
    """As the probe before it."""
    status = house.machine.path(f"/proc/{house.pid}/status").read_text()
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
        assert f"\n{line}\n" in status
    assert "\nSeccomp:\t2\n" in status


def test_systemds_own_measure(house):
    """The lower the better; a service without any of it has 9.6."""
    said = house.machine.run("systemd-analyze", "security", "--no-pager", SERVICE).stdout
    [exposure] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert float(exposure) <= WORST_EXPOSURE


def test_workers_of_different_users_get_different_answers(tried, house):
    """Their uids and groups can still be read from within."""
    code = ("-o", "/dev/null", "-w", "%{http_code}")
    answers = {
        (user, slot): house.curl(f"/v1/tokens/{slot}", user, *code)
        for user in ("ann", "lou", "eve")
        for slot in ("bearer", "payment")
    }
    assert answers == {
        ("ann", "bearer"): "200",
        ("ann", "payment"): "403",
        ("lou", "bearer"): "200",
        ("lou", "payment"): "200",
        ("eve", "bearer"): "403",
        ("eve", "payment"): "403",
    }


def test_whoever_is_refused_is_told_who_the_broker_takes_them_for(tried, house):
    """By uid and groups, through the sandbox."""
    said = json.loads(house.curl("/v1/tokens/bearer", "eve"))
    assert "2013" in said["detail"]


def test_the_brokers_user_can_log_in_nowhere(house):
    """A fixed system user, without a shell or a home, in no group of workers."""
    said = house.machine.run("getent", "passwd", USER).stdout.strip().split(":")
    assert said[5:] == ["/", "/usr/sbin/nologin"]
    assert int(said[2]) < 1000
    assert house.machine.run("id", "-nG", USER).stdout.split() == [USER]
    assert house.machine.run("stat", "-c", "%U", STATE).stdout == f"{USER}\n"


def test_only_root_has_what_lies_around_it(house):
    """The units' directory, the socket's and the socket itself."""
    asked = ("stat", "-c", "%A %U", "/run/usps-token-broker", "/run/usps-token-broker/broker.sock")
    assert house.machine.run(*asked).stdout.splitlines() == ["drwxr-xr-x root", "srw-rw-rw- root"]
    assert house.show("ActiveState", unit=SOCKET) == "active"
