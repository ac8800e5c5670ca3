"""`[http]`: where health and figures are served over TCP, for who cannot reach a Unix socket.

And USPS's own token calls, with local keys, where `tokens` says so.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from usps_token_broker.config.kinds import Flag, FullPath, Unfit, unfit
from usps_token_broker.config.problems import key_path, shown
from usps_token_broker.config.tables import Table, Variables

VARIABLE: Final = "USPS_TOKEN_HTTP_LISTEN"
KEYS_FILE: Final = "keys.json"
"""Its name beside the configuration: there it outlives a reboot, which the state need not."""
_KEY: Final = "listen"
_TOKENS: Final = "tokens"
_BEYOND: Final = "tokens_beyond_loopback"
_KEYS_FILE: Final = "keys_file"
_LISTEN: Final = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<four>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_LONE_PORT: Final = re.compile(r"[0-9]{1,5}")
_LAST_PORT: Final = 65_535  # TCP


@dataclass(frozen=True, slots=True)
class HttpListen:
    """An address and a port of this machine."""

    address: str
    """Of IPv4 or IPv6, in its usual spelling and without brackets."""
    port: int
    key: str = field(default=VARIABLE, compare=False)
    """The key or variable that says so."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine, or this pod, can reach it."""
        return ipaddress.ip_address(self.address).is_loopback

    def remark(self) -> str | None:
        """A warning where others than this machine can reach it."""
        if self.is_loopback:
            return None
        return (
            f"{self.key}: {self} can be reached from outside of this machine: whoever gets there "
            "sees how every token stands and the names of apps and slots (no token, no secret, no "
            "client id); let a firewall or a NetworkPolicy say who that is"
        )

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ListenKind:
    """An address with a port. A name is none: what it stands for may change."""

    key: str
    example: str = '"127.0.0.1:9842"'

    def read(self, value: object) -> HttpListen | Unfit:
        """As an address that can be bound, if the machine has it."""
        expected = "an address and a port"
        if not isinstance(value, str):
            lone = isinstance(value, int) and not isinstance(value, bool) and value > 0
            return unfit(expected, shown(value), write=f'"127.0.0.1:{value}"' if lone else "")
        match = _LISTEN.fullmatch(value)
        if match is None:
            return unfit(expected, shown(value), write=_meant(value))
        port = int(match["port"])
        if not 0 < port <= _LAST_PORT:
            return unfit(f"a port from 1 to {_LAST_PORT}", str(port))
        address = _address(match["six"], match["four"], port)
        return address if isinstance(address, Unfit) else HttpListen(address, port, self.key)


def _address(six: str | None, four: str, port: int) -> str | Unfit:
    """The address in its usual spelling."""
    write = f'"127.0.0.1:{port}"'
    if not (six or four):
        return unfit("an address before the port", "none", write=write)
    try:
        parsed = ipaddress.IPv4Address(four) if six is None else ipaddress.IPv6Address(six)
    except ValueError:
        found = shown(four if six is None else six)
        return unfit("an address in numbers", found, write=write if four == "localhost" else "")
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id:
            return unfit("an address without a zone", shown(six))
        parsed = parsed.ipv4_mapped or parsed
    if not _can_be_listened_on(parsed):
        return unfit("an address of one machine, good on all of its links", str(parsed))
    return str(parsed)


def _can_be_listened_on(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether a client can ever reach it there; the kernel takes some where none can."""
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local:
        return False  # it means nothing without a zone
    return not address.is_multicast and str(address) != "255.255.255.255"


def _meant(value: str) -> str:
    """What was probably meant by a string of another form."""
    if _LONE_PORT.fullmatch(value) and 0 < int(value) <= _LAST_PORT:
        return f'"127.0.0.1:{value}"'
    address, _, port = value.rpartition(":")
    if address.count(":") > 1 and _LONE_PORT.fullmatch(port):
        return f'"[{address}]:{port}"' if "[" not in address else ""
    return ""


@dataclass(frozen=True, slots=True)
class Http:
    """All of `[http]`."""

    listen: HttpListen | None = None
    tokens: bool = False
    """Whether USPS's token calls are served there, to who has a local key."""
    keys_file: Path | None = None
    """Where local keys lie; None without a file of configuration."""

    def remarks(self) -> list[str]:
        """Warnings of what others than this machine can reach."""
        if self.listen is None or self.listen.is_loopback:
            return []
        said = [self.listen.remark() or ""]
        if self.tokens:
            said.append(
                f"http.tokens: keys and tokens go to {self.listen} in the clear: whoever can read "
                "that network has them. Let it be one that no other machine is on, or put TLS in "
                "front and listen on 127.0.0.1"
            )
        return said


def read_http(file: Table | None, environment: Variables, config: Path | None = None) -> Http:
    """What the file says, else the environment, else nothing. Faults are noted on the tables.

    `config` is the path of the file, beside which keys lie by default.
    """
    if file is None or config is None:
        return Http(environment.take(VARIABLE, ListenKind(VARIABLE), None))
    listen = file.take(_KEY, ListenKind(key_path(*file.way, _KEY)), None)
    tokens = file.take(_TOKENS, Flag(), default=False)
    beyond = file.take(_BEYOND, Flag(), default=False)
    beside = config.absolute().parent / KEYS_FILE
    keys_file = file.take(_KEYS_FILE, FullPath(f'"{beside}"'), beside)
    file.finish()
    if _KEY not in file:
        listen = environment.take(VARIABLE, ListenKind(VARIABLE), None)
    if tokens:
        _judge_tokens(file, listen, beyond=beyond)
    return Http(listen, tokens, keys_file)


def _judge_tokens(file: Table, listen: HttpListen | None, *, beyond: bool) -> None:
    """Keys and tokens go over plain HTTP: to another machine only by somebody's own word."""
    if listen is None and _KEY not in file:
        file.note(
            "an address to serve tokens on", "none", f'write: {_KEY} = "127.0.0.1:9842"', _KEY
        )
    if listen is not None and not listen.is_loopback and not beyond:
        file.note(
            "an address of this machine alone, with tokens",
            str(listen),
            f'write: {_KEY} = "127.0.0.1:{listen.port}"\n'
            f"or, where no other machine is on that network, such as one of containers: "
            f"{_BEYOND} = true",
            _KEY,
        )
