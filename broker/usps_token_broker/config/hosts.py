"""Where an app's calls go: which base URLs and hosts are accepted, and which are remarked upon."""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

from usps_token_broker.config.kinds import Text, Unfit, unfit
from usps_token_broker.config.problems import shown

PRODUCTION_URL: Final = "https://apis.usps.com"
TEST_URL: Final = "https://apis-tem.usps.com"

_CURRENT: Final = frozenset({"apis.usps.com", "apis-tem.usps.com"})
_OLD: Final = re.compile(r"api\.usps\.com|[a-z0-9-]*-cat\.usps\.com")
"""Apps and tokens of the old platform are not valid on this one (USPS Cloud Enrollment, 2024)."""
_PORTS: Final = {"http": 80, "https": 443}
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = rf"(?:{_LABEL}(?:\.{_LABEL}){{0,126}}\.?|\[[0-9A-Fa-f:.]{{2,45}}\])"
_URL: Final = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?/?", re.IGNORECASE
)

HTTP_HOST: Final = Text(
    re.compile(_HOST),
    "a host name or address without scheme, port or wildcard",
    '"usps-simulator"',
)


class BaseUrl(NamedTuple):
    """Scheme and host, in the one spelling that is stored and compared."""

    url: str
    host: str
    """With the port where it is not the scheme's own."""

    @property
    def is_plain_and_local(self) -> bool:
        """Whether http was allowed only because calls do not leave the machine."""
        return self.url.startswith("http:") and is_loopback(_without_port(self.host))


PRODUCTION: Final = BaseUrl(PRODUCTION_URL, "apis.usps.com")


@dataclass(frozen=True, slots=True)
class BaseUrlKind:
    """https, or http to a host that never leaves the machine or that was named for it."""

    http_hosts: Collection[str] = ()
    allow: str = 'at the top of the file add allow_http_hosts = ["{}"]'
    """How to allow http to a host."""
    example: str = f'"{PRODUCTION_URL}"'

    def read(self, value: object) -> BaseUrl | Unfit:
        """Scheme and host. What is refused may hold a password, so strings are not shown."""
        expected = "scheme and host alone"
        if not isinstance(value, str):
            return unfit(expected, shown(value))
        match = _URL.fullmatch(value)
        if match is None:
            return unfit(expected, _odd_part(value))
        scheme, name = match["scheme"].lower(), match["host"].lower().rstrip(".")
        port = int(match["port"]) if match["port"] else _PORTS[scheme]
        if not 0 < port <= 65_535:  # noqa: PLR2004 - TCP
            return unfit("a port from 1 to 65535", str(port))
        if name.startswith("[") and not _is_address(name[1:-1]):
            return unfit(expected, "brackets without an IPv6 address in them")
        if scheme == "http" and not is_loopback(name) and name not in self.http_hosts:
            return unfit(
                "https",
                f"http to {name}",
                "write https, since over http anybody on the way reads the client secret; or for a "
                f"simulator on a net of your own {self.allow.format(name)}",
            )
        host = name if port == _PORTS[scheme] else f"{name}:{port}"
        return BaseUrl(f"{scheme}://{host}", host)


def _odd_part(value: str) -> str:
    if "://" not in value:
        return "no scheme (https://)"
    if value != value.strip():
        return "blanks around it"
    scheme, _, rest = value.partition("://")
    if scheme.lower() not in _PORTS:
        return "another scheme than https"
    authority, _, after = rest.partition("/")
    if "@" in rest:
        return "a user or password in it"
    if after or "?" in rest or "#" in rest:
        return "a path or query after the host"
    return "a port that is no number" if ":" in authority else "a host name that cannot be one"


def is_loopback(host: str) -> bool:
    """Whether calls to this host stay on the machine (RFC 6761 6.3, RFC 1122 3.2.1.3, RFC 4291)."""
    name = host.strip("[]")
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def _without_port(host: str) -> str:
    return host.rpartition(":")[0] if re.search(r":[0-9]+$", host) else host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_old(host: str) -> bool:
    """Whether it is a host of the old USPS platform."""
    return _OLD.fullmatch(_without_port(host)) is not None


def remark(app: str, host: str) -> str | None:
    """A warning about a host that is accepted but probably not meant."""
    name = _without_port(host)
    if name in _CURRENT or is_loopback(name):
        return None
    if is_old(host):
        return (
            f"app {app}: {name} is a host of the old USPS platform, where today's apps and tokens "
            f"are not valid; write {PRODUCTION_URL}, or {TEST_URL} for tests"
        )
    return (
        f"app {app}: {name} is not a host of the USPS APIs that is known here; it is sent the "
        f"client secret; unless you know whose it is, write {PRODUCTION_URL}, or {TEST_URL} for "
        "tests"
    )
