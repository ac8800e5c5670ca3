"""What can be seen of processes: of real ones, by root and by others."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

import pytest
from identities import Identity, as_identity
from processes import until

from usps_token_broker.drivers import clock, processes
from usps_token_broker.drivers.processes import ELSEWHERE, GONE, HIDDEN, Sight

PR_SET_NAME = 15
STRANGER = Identity(51004, 51004)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")


@contextmanager
def running(*command):
    """A process of that command, ended with the block."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def seen_by(identity, pid):
    """What somebody else can see, as a tuple's text."""
    return as_identity(identity, lambda: repr(astuple(processes.look(pid))).encode()).decode()


def test_a_process_of_ones_own_is_seen_with_its_executable():
    """The path that the kernel knows, links resolved, and no name beside it."""
    with running("cat") as cat:
        until(lambda: processes.look(cat.pid).executable != os.path.realpath(sys.executable))
        sight = processes.look(cat.pid)
    assert sight.executable == os.path.realpath(shutil.which("cat"))
    assert (sight.name, sight.unseen) == ("", "")
    assert sight.started_at > 0


@needs_root
def test_of_another_users_process_the_name_is_seen():
    """Neither the path nor more than everybody may know; no privilege is needed."""
    with running("cat") as cat:
        until(lambda: processes.look(cat.pid).executable != os.path.realpath(sys.executable))
        sight = processes.look(cat.pid)
        assert seen_by(STRANGER, cat.pid) == repr((sight.started_at, sight.unit, "", "cat", ""))


def test_a_process_that_ended_is_gone():
    """Its number is nobody's."""
    with running("cat") as cat:
        pass
    assert processes.look(cat.pid) == Sight(unseen=GONE)
    assert not processes.is_there(cat.pid)


def test_a_process_that_ended_and_was_not_waited_for_is_seen_by_name():
    """A zombie has no executable any more."""
    with running("cat") as cat:
        cat.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, cat.pid, os.WEXITED | os.WNOWAIT)
        sight = processes.look(cat.pid)
    assert (sight.executable, sight.name) == ("", "cat")


def test_a_process_of_another_pid_namespace_has_no_number():
    """SO_PEERCRED says 0."""
    assert processes.look(0) == Sight(unseen=ELSEWHERE)


def test_a_process_that_proc_does_not_show_is_hidden_and_not_gone(tmp_path):
    """A /proc without it stands for one that is mounted with hidepid=."""
    assert processes.look(os.getpid(), str(tmp_path)) == Sight(unseen=HIDDEN)


@needs_root
def test_a_process_of_another_user_is_there():
    """Though it may not be signalled."""
    said = as_identity(STRANGER, lambda: str(processes.is_there(os.getppid())).encode())
    assert said == b"True"


def test_the_start_is_on_the_boot_clock():
    """Between the instants before and after, to a hundredth of a second."""
    before = clock.boot()
    with running("cat") as cat:
        started_at = processes.look(cat.pid).started_at
        assert before - 0.011 <= started_at <= clock.boot()


def test_where_a_process_runs_is_what_its_control_group_says():
    """Ours, from the file as it is."""
    cgroup = Path("/proc/self/cgroup").read_text()
    assert processes.look(os.getpid()).unit == processes.unit_of(cgroup)
    hierarchies = dict(line.split(":", 1)[1].split(":", 1) for line in cgroup.splitlines())
    inside = {hierarchies.get(""), hierarchies.get("name=systemd")} - {None, "/"}
    assert bool(processes.look(os.getpid()).unit) == bool(inside)


def test_exec_changes_the_program_and_not_the_start():
    """So it is the same process as another program."""
    with running("sh", "-c", "echo; read line; exec cat") as shell:
        shell.stdout.readline()
        before = processes.look(shell.pid)
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        until(lambda: processes.look(shell.pid).executable.endswith("cat"))
        after = processes.look(shell.pid)
    assert before.started_at == after.started_at
    assert before.executable != after.executable


def make_process_of_number(pid):
    """A process of exactly this number, by the kernel's counter; its start."""
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        return child, processes.look(child).started_at
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@needs_root
def test_a_number_that_is_used_again_has_another_start():
    """Two processes of one pid, one after the other, more than a tick of the clock apart."""
    with running("cat") as cat:
        first = processes.look(cat.pid).started_at
    seen = []

    def came_round():
        pid, started = make_process_of_number(cat.pid)
        seen.append((pid, started))
        return pid == cat.pid and started > first

    until(came_round, lambda: seen[-3:])


@pytest.mark.parametrize(
    "name", [b"a\nb", b"a) R 1 1", b"\x1b[2J", b"\xff", b"", b"a b c d e f g h"]
)
def test_a_process_may_call_itself_anything(name):
    """Parsing goes by the last bracket; what it says is kept as it is."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(PR_SET_NAME, name, 0, 0, 0)
        os.write(writing, b"x")
        signal.pause()
        os._exit(0)
    try:
        os.read(reading, 1)
        sight = processes.look(child)
        assert (sight.unseen, sight.started_at > 0) == ("", True)
        os.kill(child, signal.SIGKILL)  # a zombie has nothing but its name
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert os.fsencode(processes.look(child).name) == name[:15]
    finally:
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_looking_leaves_no_descriptor_open():
    """Whether there was something to see or not."""
    before = sorted(Path("/proc/self/fd").iterdir())
    for pid in (os.getpid(), 0, 2**22 - 1, 1):
        processes.look(pid)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/php8.2-fpm.service", "php8.2-fpm.service"),
        ("0::/system.slice/shop.service/worker", "shop.service"),
        ("0::/system.slice/system-worker.slice/worker@3.service", "worker@3.service"),
        ("0::/system.slice/system-hook.slice/hook@4-512-1000.service", "hook@*.service"),
        ("0::/user.slice/user-1000.slice/session-c12.scope", "session-*.scope"),
        ("0::/system.slice/run-u42.service", "run-*.service"),
        ("0::/system.slice/run-p812-i901.scope", "run-*.scope"),
        (f"0::/system.slice/run-r{ID[:32]}.service", "run-*.service"),
        ("0::/system.slice/run-parts.service", "run-parts.service"),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service",
            "user@1000.service/shop.service",
        ),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/php-fpm.service/sshd.service",
            "user@1000.service/php-fpm.service",
        ),
        (f"0::/system.slice/docker-{ID}.scope", "docker-0123456789ab.scope"),
        (
            f"0::/system.slice/docker-{ID}.scope/system.slice/sshd.service",
            "docker-0123456789ab.scope",
        ),
        (f"0::/docker/{ID}", "/docker/0123456789ab"),
        (
            f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope",
            "cri-containerd-0123456789ab.scope",
        ),
        ("0::/a:b\\x0a.service", "a:b\\x0a.service"),
        ("0::/", ""),
        ("", ""),
        ("4:memory:/x\n1:name=systemd:/system.slice/cron.service\n0::/", "cron.service"),
        ("0::/" + "x" * 1000, "/" + "x" * 77 + "..." + "x" * 78),
        ("0::/mine\u20280::/system.slice/sshd.service", "/mine\u20280::/system.slice/sshd.service"),
    ],
)
def test_the_unit_is_read_from_the_control_group(cgroup, unit):
    """The outermost, which no user made up; and without what makes each run a new one."""
    assert processes.unit_of(f"{cgroup}\n") == unit
