"""A loopback port that leads to a Unix socket, for tools that speak to host and port alone."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def tcp_door(path: Path) -> Iterator[str]:
    """The base URL of whatever listens on this Unix socket, until the block ends."""

    class Passage(socketserver.BaseRequestHandler):
        """One connection, carried both ways until either side ends it."""

        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as inside:
                inside.connect(str(path))
                back = threading.Thread(target=_carry, args=(inside, self.request))
                back.start()
                _carry(self.request, inside)
                back.join()

    class Door(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Door(("127.0.0.1", 0), Passage) as door:
        thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{door.server_address[1]}"
        finally:
            door.shutdown()
            thread.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Passes on what comes, and then the end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
