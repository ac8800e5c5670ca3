"""Our socket unit without systemd: `python -m socket_unit SOCKET CONFIG`, with this on the path.

Holds the socket and has a broker serve it, as systemd/usps-token-broker.socket and .service do.
SIGHUP is `systemctl restart usps-token-broker.service`: who connects meanwhile waits in the
backlog. SIGTERM ends both.
"""

import os
import signal
import socket
import sys

BACKLOG = 4096
FIRST = 3
"""SD_LISTEN_FDS_START."""
SIGNALS = (signal.SIGHUP, signal.SIGTERM)


def start(listener: socket.socket, config: str) -> int:  # noqa: RET503 - execve does not return
    """A broker that is passed the socket; its id."""
    child = os.fork()
    if child:
        return child
    # Out of the way first, should it be the third already: dup2 onto itself would not pass it on.
    os.dup2(os.dup(listener.fileno()), FIRST, inheritable=True)
    passed = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "broker"}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    command = [sys.executable, "-m", "usps_token_broker", "run", "--config", config]
    os.execve(command[0], command, {**os.environ, **passed})


def main(path: str, config: str) -> None:
    """Hold the socket until we are told to end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(BACKLOG)
    broker = start(listener, config)
    going_on = True
    while going_on:
        going_on = signal.sigwait(SIGNALS) == signal.SIGHUP
        os.kill(broker, signal.SIGTERM)
        os.waitpid(broker, 0)
        if going_on:
            broker = start(listener, config)


if __name__ == "__main__":
    main(*sys.argv[1:])
