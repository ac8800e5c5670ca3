"""Stands between a client and a server on Unix sockets, and keeps what each said, byte for byte."""

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

DEADLINE_SECONDS = 30.0


@dataclass
class Conversation:
    """One connection that a client made."""

    asked: bytes = b""
    answered: bytes = b""


class Relay:
    """Passes on, to a connection that `dial` makes for each client, until the block ends.

    `conversations` are complete once the block has ended: then both sides have closed.
    """

    def __init__(self, dial: Callable[[], socket.socket]) -> None:
        self.conversations: list[Conversation] = []
        self._dial = dial
        self._folder = Path(tempfile.mkdtemp(prefix="utb-"))
        self.socket = self._folder / "relay.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen(128)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(DEADLINE_SECONDS)
        self._listener.close()
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)
        shutil.rmtree(self._folder)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            conversation = Conversation()
            self.conversations.append(conversation)
            thread = threading.Thread(
                target=self._pass_on, args=(client, self._dial(), conversation), daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _pass_on(
        self, client: socket.socket, server: socket.socket, conversation: Conversation
    ) -> None:
        def asked(data: bytes) -> None:
            conversation.asked += data

        def answered(data: bytes) -> None:
            conversation.answered += data

        with client, server:
            there = threading.Thread(target=_pump, args=(client, server, asked), daemon=True)
            there.start()
            _pump(server, client, answered)
            there.join(DEADLINE_SECONDS)


def _pump(source: socket.socket, sink: socket.socket, seen: Callable[[bytes], None]) -> None:
    """From one to the other until the end of it, which is passed on too."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            seen(data)
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
