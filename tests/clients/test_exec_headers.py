"""`usps-token exec --fd` and `--file`: where the tokens are while CMD runs, and what is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from processes import until
from token_programs import PROGRAMS, command, missing, run

SECRETS = (b"bearer-1", b"payment-1")
BOTH = "Authorization: Bearer bearer-1\nX-Payment-Authorization-Token: payment-1\n"


@pytest.fixture(params=PROGRAMS)
def program(request):
    """`usps-token` in Python, and in a shell that this machine has."""
    if missing(request.param):
        pytest.skip(f"there is no {missing(request.param)}")
    return request.param


@pytest.fixture
def environment(broker, tmp_path):
    """What names the broker, and a place for files."""
    return {"USPS_TOKEN_SOCKET": broker.path, "XDG_RUNTIME_DIR": str(tmp_path)}


@pytest.fixture
def start(program, environment):
    """Starts CMD with both headers; gives the process once it has printed their path."""
    begun = []

    def begin(way, *cmd):
        process = subprocess.Popen(
            [*command(program), "exec", way, "--payment", "--", *cmd],
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        begun.append(process)
        return process, process.stdout.readline().rstrip("\n")

    yield begin
    for process in begun:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


SHOW_AND_WAIT = ["sh", "-c", 'echo "$USPS_TOKEN_HEADERS"; read -r _; exit 5']


def everything_about_processes():
    """Arguments and environment of all processes of this machine that may be read."""
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                yield folder / name, (folder / name).read_bytes()
            except OSError:
                continue


@pytest.mark.parametrize("way", ["--fd", "--file"])
def test_no_process_has_a_token_in_its_arguments_or_its_environment(start, way):
    """While CMD runs: not its own, not of what is left behind."""
    process, path = start(way, *SHOW_AND_WAIT)
    seen = list(everything_about_processes())
    own = Path(f"/proc/{process.pid}/environ").read_bytes()
    assert f"USPS_TOKEN_HEADERS={path}".encode() in own
    for name, text in seen:
        for secret in SECRETS:
            assert secret not in text, name


def test_the_environment_is_where_it_was_said_to_be(program, environment):
    """Without either option it is there: so the test above can fail."""
    done = run(program, ["exec", "cat", "/proc/self/environ"], environment)
    assert "USPS_BEARER_TOKEN=bearer-1\0" in done.out
    assert "/proc/PID/environ" in done.err


def test_a_descriptor_is_of_no_file_with_a_name(start, tmp_path):
    """Neither in the runtime directory nor in /dev/shm: nothing can stay on a disk."""
    process, path = start("--fd", *SHOW_AND_WAIT)
    number = path.rpartition("/")[2]
    opened = str(Path(f"/proc/{process.pid}/fd/{number}").readlink())
    assert opened.endswith(" (deleted)")
    assert "usps-token-headers" in opened
    assert list(tmp_path.iterdir()) == []


def test_a_descriptor_cannot_be_written_by_accident(program, environment):
    """It is open for reading alone."""
    show = 'n=${USPS_TOKEN_HEADERS##*/}; grep flags "/proc/self/fdinfo/$n"'
    done = run(program, ["exec", "--fd", "sh", "-c", show], environment)
    assert int(done.out.split()[1], 8) & os.O_ACCMODE == os.O_RDONLY


def test_descriptors_of_the_caller_stay_what_they_are(program, environment, tmp_path):
    """CMD may have been given some."""
    (tmp_path / "given").write_text("given\n")
    words = " ".join(command(program))
    show = 'cat <&3; cat <&4; cat "$USPS_TOKEN_HEADERS"'
    script = f"exec {words} exec --fd sh -c '{show}' 3<given 4<given"
    env = {"PATH": os.environ["PATH"], **environment}
    run_it = ["sh", "-c", script]
    out = subprocess.run(run_it, env=env, cwd=tmp_path, stdout=subprocess.PIPE, check=True).stdout
    assert out == b"given\ngiven\nAuthorization: Bearer bearer-1\n"


def test_closed_standard_streams_are_not_taken_for_the_headers(program, environment, tmp_path):
    """A descriptor below 3 would be read, or written, by what knows nothing of it."""
    words = " ".join(command(program))
    script = f'{words} exec --fd sh -c \'echo "$USPS_TOKEN_HEADERS" >"$OUT"\' <&- 2>&-'
    out = tmp_path / "out"
    env = {"PATH": os.environ["PATH"], **environment, "OUT": str(out)}
    subprocess.run(["sh", "-c", script], env=env, check=True, stdout=subprocess.DEVNULL)
    assert int(out.read_text().rpartition("/")[2]) >= 3


def test_a_file_is_there_for_this_user_alone_while_cmd_runs(start, tmp_path):
    """0600, with the lines; and it is the only one."""
    _, path = start("--file", *SHOW_AND_WAIT)
    assert [str(each) for each in tmp_path.iterdir()] == [path]
    assert Path(path).read_text() == BOTH
    assert Path(path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_file_goes_when_cmd_has_ended(start, number):
    """By itself or by a signal, which reaches CMD under the pid that the caller knows."""
    process, path = start("--file", *SHOW_AND_WAIT)
    if number is None:
        process.communicate("\n")
        assert process.returncode == 5
    else:
        process.send_signal(number)
        assert process.wait(30) == -number
    until(lambda: not Path(path).exists())


def test_a_file_goes_when_the_whole_group_of_cmd_is_killed(program, environment, tmp_path):
    """As by `timeout -s KILL`: what is left behind is in no group of CMD's."""
    process = subprocess.Popen(
        [*command(program), "exec", "--file", "--", *SHOW_AND_WAIT],
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        assert Path(process.stdout.readline().decode().strip()).exists()
        os.killpg(process.pid, signal.SIGKILL)
    until(lambda: not list(tmp_path.glob("usps-token-headers-*")))


def test_a_file_stays_for_as_long_as_cmd_runs(start):
    """Whatever is left behind looks more than once."""
    looks = 'i=0; while [ $i -lt 25 ]; do sleep 0.1; i=$((i+1)); done; cat "$USPS_TOKEN_HEADERS"'
    process, _ = start("--file", "sh", "-c", f'echo "$USPS_TOKEN_HEADERS"; {looks}')
    out, _ = process.communicate(timeout=60)
    assert out == BOTH


def test_a_dead_parent_that_nobody_has_waited_for_counts_as_ended(start):
    """A supervisor may be slow to look."""
    process, path = start("--file", *SHOW_AND_WAIT)
    process.stdin.close()
    until(
        lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    )
    until(lambda: not Path(path).exists())


def test_what_is_left_behind_is_no_child_of_cmd_and_holds_nothing_open(start):
    """A program that waits for all its children would wait for itself; a pipe's reader as well."""
    process, path = start("--file", *SHOW_AND_WAIT)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    assert children.read_text() == ""
    process.stdin.write("\n")
    process.stdin.flush()
    # To the end of the pipe, whose other end only CMD may have.
    assert process.stdout.read() == ""
    until(lambda: not Path(path).exists())


def test_a_name_with_line_breaks_and_brackets_is_watched_as_well(start, tmp_path):
    """The kernel shows a process's name as it is."""
    strange = tmp_path / "a) Z\n1 (b"
    strange.symlink_to(shutil.which("sh"))
    process, path = start("--file", str(strange), "-c", 'echo "$USPS_TOKEN_HEADERS"; read -r _')
    process.communicate("\n")
    assert process.returncode == 0
    until(lambda: not Path(path).exists())


def test_the_first_process_of_a_container_is_refused_a_file(program, environment):
    """With it all others end, so the file would stay; a descriptor is fine."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    probe = subprocess.run([*unshare, "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("this machine lets nobody mount a file system")
    env = {"PATH": os.environ["PATH"], **environment}
    for way, status in (("--file", 64), ("--fd", 0)):
        argv = [*unshare, *command(program), "exec", way, "true"]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert ("use --fd" in done.stderr) == (way == "--file")
    assert list(Path(environment["XDG_RUNTIME_DIR"]).iterdir()) == []


def test_a_closed_stderr_brings_no_words_into_the_output_of_cmd(program, environment):
    """It is for CMD alone; without stderr nobody wants to be told."""
    argv = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command(program), "exec", "--", "echo", "mine"]
    env = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "mine\n")


def test_without_a_place_in_memory_nothing_is_run(program, environment):
    """73, and what to do; never a file somewhere else."""
    unshare = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs -o ro x /dev/shm && exec "$@"',
        "-",
    ]
    probe = subprocess.run([*unshare, "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("this machine lets nobody mount a file system")
    env = {"PATH": os.environ["PATH"], **environment, "XDG_RUNTIME_DIR": "relative"}
    argv = [*unshare, *command(program), "exec", "--file", "echo", "ran"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (73, "")
    assert "set XDG_RUNTIME_DIR to a directory in memory" in done.stderr
