"""A recognisable secret and the tokens it earns: found only where they belong."""

import json
from pathlib import Path

import pytest
from processes import Home, Usps

CANARY = "canary-Zq7Kd93mXw-secret"


@pytest.fixture
def canary_home(tmp_path):
    """A USPS and a broker's folder whose client secret is the canary."""
    secret_file = tmp_path / "secret"
    secret_file.write_text(CANARY)
    with Usps("--client-secret-file", str(secret_file)) as usps:
        home = Home(usps.base_url)
        (home.folder / "client-secret").write_text(CANARY)
        yield usps, home
        home.remove()


def shown(home, broker):
    """Everything that a person or another program gets to see of a running broker."""
    process = Path("/proc") / str(broker.process.pid)
    yield "log", broker.errors().encode()
    yield "argv", (process / "cmdline").read_bytes()
    yield "environment", (process / "environ").read_bytes()
    targets = ["/v1/status", "/healthz", "/readyz", "/v1/tokens/none", "/v1/tokens/bearer?x=1"]
    for target in targets:
        yield target, home.get(target)[2]
    for path in home.folder.rglob("*"):
        if path.is_file() and path.name not in {"state", "client-secret"}:
            yield str(path), path.read_bytes()


def test_no_secret_is_seen_while_all_is_well(canary_home):
    """Not in the log, argv, environment, status, problems, nor in any other file."""
    _, home = canary_home
    with home.broker() as broker:
        values = [home.token(slot)["token"] for slot in ("bearer", "payment")]
        for where, seen in shown(home, broker):
            for value in (CANARY, *values):
                assert value.encode() not in seen, where


def test_no_secret_is_seen_in_trouble(canary_home):
    """Refusals, pages of HTML, and a report that quotes the token back at us."""
    usps, home = canary_home
    with home.broker() as broker:
        values = {slot: home.token(slot) for slot in ("bearer", "payment")}
        usps.ask("POST", "/sim/faults", {"name": "invalid_client"})
        report = {
            "status": 401,
            "body": json.dumps({"error": {"message": f"dead: {values['bearer']['token']}"}}),
            "path": "/addresses/v3/address",
            "serials": {"bearer": values["bearer"]["serial"]},
        }
        _, _, body = home.ask("POST", "/v1/answers?wait=5", report)
        answer = json.loads(body)
        words = (answer["detail"] + answer["fix"]).encode()
        for where, seen in (*shown(home, broker), ("verdict", words)):
            for value in (CANARY, *(token["token"] for token in values.values())):
                assert value.encode() not in seen, where


def test_what_holds_secrets_is_closed_to_others(canary_home):
    """The state is 0600 in a directory of 0700, whatever the umask was."""
    _, home = canary_home
    with home.broker():
        home.token("payment")
        state = home.folder / "state"
        assert state.stat().st_mode & 0o777 == 0o700
        assert (state / "state").stat().st_mode & 0o777 == 0o600
