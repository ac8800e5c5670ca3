"""`run` that cannot start: the exit code, and what is said."""

import contextlib
import importlib
import io
import os
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager

import pytest
from ordinary_user import ORDINARY_UID, as_ordinary_user

from usps_token_broker.cli import main


def change(config, old, new):
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def test_a_wrong_configuration_is_78(command, config):
    """As `check` says it, and nothing is left behind."""
    change(config, "client_id", "clientid")
    done = command("run", "--config", config)
    assert done.returncode == 78
    assert "client_id" in done.stderr
    assert not (config.parent / "state").exists()


@pytest.mark.parametrize("spoil", ["gone", "open", "empty"])
def test_an_unreadable_secret_is_78(command, config, folder, spoil):
    """What, why and what to do; the socket is gone again."""
    secret = folder / "client-secret"
    match spoil:
        case "gone":
            secret.unlink()
        case "open":
            secret.chmod(0o666)
        case "empty":
            secret.write_text("")
    done = command("run", "--config", config)
    assert done.returncode == 78
    assert "ERROR   the client secret of app default cannot be read: the secret file" in done.stderr
    assert "start the broker again" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "broker.sock").exists()


def test_a_state_directory_without_a_parent_is_73(command, config, folder):
    """It names what is missing."""
    change(config, f'"{folder}/state"', f'"{folder}/no/state"')
    done = command("run", "--config", config)
    assert done.returncode == 73
    assert f"{folder}/no does not exist" in done.stderr


def test_a_state_directory_that_is_a_file_is_73(command, config, folder):
    """In a sentence."""
    (folder / "state").write_text("")
    done = command("run", "--config", config)
    assert done.returncode == 73
    assert "not a directory" in done.stderr


def test_a_state_directory_that_holds_other_things_is_73(command, config, folder):
    """Somebody wrote /tmp there: it is not ours to close."""
    (folder / "state").mkdir(0o755)
    (folder / "state" / "photos").mkdir()
    done = command("run", "--config", config)
    assert done.returncode == 73
    assert "photos" in done.stderr
    assert stat.S_IMODE((folder / "state").stat().st_mode) == 0o755


def test_a_state_directory_that_may_not_be_made_is_73(config, folder, clean_environ, monkeypatch):
    """The broker's user has no right to it."""
    monkeypatch.setattr(os, "environ", clean_environ)
    # That user may not even read our modules, so all that is needed is imported before.
    importlib.import_module("usps_token_broker.cli.run")
    assert main(["check", "--config", str(config)]) == 0
    secret = folder / "client-secret"
    if os.geteuid() == 0:
        os.chown(secret, ORDINARY_UID, ORDINARY_UID)
    else:
        folder.chmod(0o500)

    def run():
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            code = main(["run", "--config", str(config)])
        return f"{code} {errors.getvalue()}"

    said = as_other_process(run)
    folder.chmod(0o755)
    assert said.startswith("73 ")
    assert "no permission for uid" in said


def as_other_process(call):
    """What `call` returns in a child, as an ordinary user: it changes signals and umask."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answer = as_ordinary_user(call)
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


def test_a_socket_directory_without_a_parent_is_73(command, config, folder):
    """The directory itself is made; more than one would be a slip of the pen."""
    change(config, f'"{folder}/broker.sock"', f'"{folder}/a/b/broker.sock"')
    done = command("run", "--config", config)
    assert done.returncode == 73
    assert f"cannot make the directory {folder}/a/b" in done.stderr
    assert "make it" in done.stderr


def test_a_file_in_the_sockets_place_is_73_and_stays(command, config, folder):
    """It may be somebody's."""
    (folder / "broker.sock").write_text("precious")
    done = command("run", "--config", config)
    assert done.returncode == 73
    assert "is not a socket" in done.stderr
    assert (folder / "broker.sock").read_text() == "precious"


@contextmanager
def listening(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield


def test_a_socket_that_somebody_listens_on_is_73_and_stays(command, config, folder):
    """Who it is, and what to do."""
    with listening(folder / "broker.sock"):
        done = command("run", "--config", config)
        assert done.returncode == 73
        assert f"pid {os.getpid()}" in done.stderr
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(folder / "broker.sock"))


def test_without_any_configuration_it_says_both_ways(command, folder):
    """78, before anything is made."""
    done = command("run", environ={"XDG_RUNTIME_DIR": str(folder)})
    assert done.returncode == 78
    assert "USPS_CLIENT_ID" in done.stderr
    assert list(folder.iterdir()) == []


LOOP_FAILS = """
import sys, threading
import anyio
from usps_token_broker.cli import main
def run(_):
    threading.Thread(target=threading.Event().wait).start()  # as one of anyio's that waits for work
    raise MemoryError
anyio.run = run
sys.exit(main(["run", "--config", sys.argv[1]]))
"""


HANDLER_FAILS = """
import os
from usps_token_broker.cli import last_resort
last_resort.END_SECONDS = 0.1
end = os._exit
def fail(_):
    os._exit = end
    raise SystemError("error return without exception set")  # as CPython says it without memory
os._exit = fail
"""


def ended(program, config, environ):
    return subprocess.run(
        [sys.executable, "-c", program, str(config)],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_event_loop_that_fails_ends_the_process(config, clean_environ):
    """It does not hang with threads that wait for the loop: a supervisor is to start another."""
    done = ended(LOOP_FAILS, config, clean_environ)
    assert done.returncode == 70
    assert "the event loop failed, so the broker ends" in done.stderr


def test_an_event_loop_that_fails_past_every_handler_ends_the_process(config, clean_environ):
    """Nor when not even that can be said."""
    done = ended(HANDLER_FAILS + LOOP_FAILS, config, clean_environ)
    assert done.returncode == 70
    assert "SystemError" in done.stderr


THREAD_HANGS = """
import threading
from usps_token_broker.cli import last_resort
last_resort.END_SECONDS = 0.1
threading.Timer.start = lambda timer: None  # the machine is busy, and this thread comes second
threading.Thread(target=threading.Event().wait).start()
last_resort.LastResort().end_soon(0)
"""


def test_whichever_thread_ends_a_process_that_lingers_it_ends_as_it_should(config, clean_environ):
    """A broker that was told to end and did is no bug, whoever had to end its last thread."""
    assert ended(THREAD_HANGS, config, clean_environ).returncode == 0
