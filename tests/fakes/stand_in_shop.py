"""A real broker that serves USPS's token calls, and the keys that its command makes."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

from free_port import free_port
from processes import Home, Process


class StandInShop:
    """A broker's home with a port for programs that cannot be changed."""

    def __init__(self, home: Home, port: int) -> None:
        self.home = home
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process: Process
        self.told = ""
        """All that the commands for keys wrote to standard error."""
        home.change(
            "[apps.default]\n",
            f'[http]\nlisten = "127.0.0.1:{port}"\ntokens = true\n\n[apps.default]\n',
        )

    def run(self, action: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """`key ACTION`, whatever comes of it."""
        done = self.home.command("key", action, *words)
        self.told += done.stderr
        return done

    def add(self, name: str, slots: str = "bearer,payment", *more: str) -> Any:
        """A new key with its secret, as its command prints it."""
        done = self.run("add", name, "--slots", slots, "--json", *more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@contextlib.contextmanager
def stand_in_shop(base_url: str) -> Iterator[StandInShop]:
    """One that runs, with both tokens, until the block ends."""
    home = Home(base_url)
    try:
        with free_port() as port:
            shop = StandInShop(home, port)
            with home.broker() as process:
                shop.process = process
                home.first_token("payment")
                yield shop
    finally:
        home.remove()
