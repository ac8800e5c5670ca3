"""The broker installed in a machine as an administrator would do it, with a USPS beside it.

The units are those of `systemd/`, byte for byte; a test changes them by drop-ins, as people do.
"""

import http.client
import json
import re
import socket
from pathlib import Path
from typing import Any, Final

from machine import Machine
from machine_program import CHECKOUT, PLACE
from processes import until

from usps_token_broker.drivers import clock

UNITS: Final = CHECKOUT / "systemd"
SERVICE: Final = "usps-token-broker.service"
SOCKET: Final = "usps-token-broker.socket"
PROGRAM: Final = f"{PLACE}/bin/usps-token-broker"
CLIENT: Final = f"{PLACE}/bin/usps-token"
PYTHON: Final = f"{PLACE}/bin/python"
CONFIG: Final = "/etc/usps-token-broker/broker.toml"
SECRET: Final = "/etc/usps-token-broker/client-secret"
SEALED: Final = f"{SECRET}.cred"
BROKER_SOCKET: Final = "/run/usps-token-broker/broker.sock"
ADMIN_SOCKET: Final = "/run/usps-token-broker-state/admin.sock"
USER: Final = "usps-token-broker"
LOUD: Final = CHECKOUT / "tests" / "fakes" / "loud_broker.py"
STATE: Final = "/run/usps-token-broker-state"
USPS_PORT: Final = 8000
GOOD_SECRET: Final = "demo-client-secret"
SLOTS: Final = ("bearer", "payment")
ENDPOINTS: Final = ("token", "payment-authorization")

_CONFIG: Final = """\
[apps.default]
base_url = "http://127.0.0.1:{port}"
client_id = "demo-client-id"
client_secret = {secret}
{app}

[apps.default.bearer]
groups = ["shop"]

[apps.default.payments.default]
groups = ["labels"]
roles = [
  {{ roleName = "PAYER", CRID = "12345678", MID = "900012345", manifestMID = "900012345", \
accountType = "EPS", accountNumber = "1000000001" }},
  {{ roleName = "LABEL_OWNER", CRID = "12345678", MID = "900012345", manifestMID = "900012345" }},
]
"""
_PEOPLE: Final = """\
g shop 2001
g labels 2002
u ann 2011 "worker in shop"
u lou 2012 "worker in shop and labels"
u eve 2013 "nobody's worker"
u dev 2014 "developer" /home/dev /bin/sh
m ann shop
m lou shop
m lou labels
"""
_USPS: Final = """\
[Service]
ExecStart={program} simulate --port {port} --json {options}
"""


class Installed:
    """An installed broker that has not been started."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._usps_options: tuple[str, ...] | None = None
        self._journal_from: tuple[str, ...] = ()
        machine.write("/etc/sysusers.d/people.conf", _PEOPLE)
        for path in (UNITS / "sysusers.d").iterdir():
            machine.write(f"/usr/lib/sysusers.d/{path.name}", path.read_bytes())
        machine.run("systemd-sysusers")
        for name in (SERVICE, SOCKET):
            self.unit(name, (UNITS / name).read_text())
        self.configure()
        self.write_secret(GOOD_SECRET)
        self.systemctl("daemon-reload")

    def begin_anew(self) -> None:
        """As it was when it had just been installed, with a USPS that has seen no call."""
        self.systemctl("stop", SERVICE, SOCKET, check=False)
        self.systemctl("reset-failed", check=False)
        traces = (STATE, str(Path(BROKER_SOCKET).parent), "/opt/loud", "/tmp/stop", SEALED)
        self.machine.run("rm", "-rf", *traces, f"/etc/systemd/system/{SOCKET}.d")
        self.as_shipped()
        self.configure()
        self.write_secret(GOOD_SECRET)
        if self._usps_options == () and self.show("ActiveState", unit="usps.service") == "active":
            self.usps_mends()
            self.usps("POST", "reset")
        else:
            self.start_usps()
        self._journal_from = (f"--since=@{clock.now().wall:.6f}",)

    # -- what an administrator does ---------------------------------------------------------------

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """What systemctl says."""
        return self.machine.run("systemctl", *arguments, check=check).stdout

    def unit(self, name: str, text: str) -> None:
        """A unit file of the administrator's; `systemctl daemon-reload` has it read."""
        self.machine.write(f"/etc/systemd/system/{name}", text)

    def drop_in(self, lines: str, unit: str = SERVICE, name: str = "test") -> None:
        """Something different from what is shipped."""
        self.unit(f"{unit}.d/{name}.conf", lines)
        self.systemctl("daemon-reload")

    def configure(
        self,
        app: str = "",
        secret: str = '{ credential = "usps-client-secret" }',
        place: str = CONFIG,
    ) -> None:
        """The configuration, with these lines for the app."""
        self.machine.write(place, _CONFIG.format(port=USPS_PORT, app=app, secret=secret))

    def write_secret(self, secret: str) -> None:
        """The client secret: root's own file, or the broker's where that reads it itself."""
        self.machine.write(SECRET, f"{secret}\n", 0o600)
        if "file =" in self.machine.path(CONFIG).read_text():
            self.machine.run("chown", USER, SECRET)

    def use_secret_file(self) -> None:
        """The secret as a file of the broker's user, without a credential."""
        self.drop_in("[Service]\nLoadCredential=\n", name="secret")
        self.configure(secret=f'{{ file = "{SECRET}" }}')
        self.write_secret(GOOD_SECRET)

    def use_loud_broker(self, breaks: str, lines: str = "") -> None:
        """A broker that has every log turned up and breaks so (tests/fakes/loud_broker.py)."""
        self.machine.write("/opt/loud/loud_broker.py", LOUD.read_bytes())
        self.drop_in(
            f"[Service]\nExecStart=\nExecStart={PYTHON} -m loud_broker run\n"
            f"Environment=PYTHONPATH=/opt/loud LOUD_BROKER_BREAKS={breaks}\n{lines}\n",
            name="loud",
        )

    def as_shipped(self) -> None:
        """Take all drop-ins away."""
        self.machine.run("rm", "-rf", f"/etc/systemd/system/{SERVICE}.d")
        self.systemctl("daemon-reload")

    def start(self) -> None:
        """Both units, as `systemctl enable --now` does."""
        self.systemctl("start", SOCKET, SERVICE)

    # -- the USPS beside it -----------------------------------------------------------------------

    def start_usps(self, *options: str) -> None:
        """It listens once this returns."""
        self._usps_options = options
        text = _USPS.format(program=PROGRAM, port=USPS_PORT, options=" ".join(options))
        self.unit("usps.service", text)
        self.systemctl("daemon-reload")
        self.systemctl("restart", "usps.service")
        until(self._usps_listens, "the simulated USPS does not listen")

    def _usps_listens(self) -> bool:
        asked = self.machine.run("curl", "-sS", f"{self._usps}/sim/calls", check=False)
        return asked.returncode == 0

    @property
    def _usps(self) -> str:
        return f"http://127.0.0.1:{USPS_PORT}"

    def usps(self, method: str, path: str, text: str | None = None) -> Any:
        """One call of its controls."""
        content = [] if text is None else ["--data-binary", "@-"]
        asked = ["curl", "-sSf", "-X", method, *content, f"{self._usps}/sim/{path}"]
        return json.loads(self.machine.run(*asked, text=text).stdout)

    def usps_breaks(self, fault: str) -> None:
        """From now on it has this fault, as `usps-token-broker simulate --help` writes it."""
        self.usps("POST", "faults", fault)

    def usps_mends(self) -> None:
        """It has no fault."""
        self.usps("DELETE", "faults")

    def calls(self) -> tuple[int, ...]:
        """How many calls each of the two endpoints has seen."""
        seen = self.usps("GET", "calls")["by_endpoint"]
        return tuple(seen[endpoint]["total"] for endpoint in ENDPOINTS)

    # -- what is seen of it -----------------------------------------------------------------------

    def show(self, *properties: str, unit: str = SERVICE) -> Any:
        """Properties of a unit, as systemd has them: one as text, several as a list."""
        found = self.systemctl("show", unit, *(f"--property={name}" for name in properties))
        values = dict(line.split("=", 1) for line in found.splitlines() if "=" in line)
        told = [values[name] for name in properties]
        return told[0] if len(told) == 1 else told

    @property
    def pid(self) -> int:
        """The daemon's process, by the machine's numbers; 0 for none."""
        return int(self.show("MainPID"))

    @property
    def words(self) -> str:
        """The line that `systemctl status` shows."""
        return str(self.show("StatusText"))

    def until_words(self, pattern: str) -> str:
        """Wait until the line says something of this pattern."""
        until(lambda: re.search(pattern, self.words), lambda: f"{pattern!r} not in {self.words!r}")
        return self.words

    def until_state(self, state: str, unit: str = SERVICE) -> None:
        """Wait until a unit is `active`, `failed`, …"""
        until(lambda: self.show("ActiveState", unit=unit) == state, self.journal)

    def journalctl(self, *options: str) -> str:
        """What the journal has since this test began."""
        return self.machine.run("journalctl", *self._journal_from, *options).stdout

    def journal(self, unit: str = SERVICE) -> str:
        """What the journal has of a unit, what systemd says of it included."""
        self.machine.run("journalctl", "--sync")
        return self.journalctl("-o", "cat", "-u", unit)

    def until_journal(self, pattern: str) -> None:
        """Wait until the journal has a line of this pattern."""
        until(lambda: re.search(pattern, self.journal()), self.journal)

    # -- what workers do --------------------------------------------------------------------------

    def ask(self, target: str, place: str = BROKER_SOCKET, method: str = "GET") -> tuple[int, Any]:
        """One request of root's, from outside: status and JSON."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(30)
        connection.sock.connect(str(self.machine.path(place)))
        try:
            connection.request(method, target)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def tokens(self) -> list[str]:
        """Both tokens, as root gets them; waits until they are there."""
        answers = [self.ask(f"/v1/tokens/{slot}?wait=20") for slot in SLOTS]
        assert [status for status, _ in answers] == [200, 200], answers
        return [body["token"] for _, body in answers]

    def renew(self, slot: str = "bearer", wait_seconds: int = 20) -> None:
        """Have another token fetched, and wait that long for it."""
        self.ask(f"/v1/tokens/{slot}/renewals?wait={wait_seconds}", ADMIN_SOCKET, "POST")

    def curl(self, target: str, user: str | None = None, *options: str) -> str:
        """What curl prints inside, as a user of the machine."""
        asked = ["curl", "-sS", "--max-time", "30", "--unix-socket", BROKER_SOCKET, *options]
        return self.machine.run(*asked, f"http://localhost{target}", user=user, check=False).stdout
