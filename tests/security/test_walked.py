"""What a debugger in the broker would be shown of its secrets: nothing, whichever way it looks."""

import json
import signal
from pathlib import Path

import pytest
from processes import Home, Process, until
from telling_usps import TellingUsps

FAKES = Path(__file__).parents[1] / "fakes"
SECRET = "kQ7vWx2NfGh8LpRt"
TOKEN = "KANARIsignature"
MARKS = " ".join(mark[::-1] for mark in (SECRET, TOKEN))
LOUD = {"PYTHONPATH": str(FAKES), "PYTHONDEVMODE": "1", "WALKED_BROKER_MARKS": MARKS}


def commands(home, usps):
    """How a broker is started that has its secret from a file, and from its environment."""
    return {
        "file": (["--config", str(home.config)], {}),
        "environment": (
            [],
            {
                "USPS_CLIENT_ID": "the-id",
                "USPS_CLIENT_SECRET": SECRET,
                "USPS_BASE_URL": usps.base_url,
                "USPS_TOKEN_SOCKET": str(home.socket),
                "USPS_TOKEN_STATE_DIR": str(home.folder / "state"),
            },
        ),
    }


@pytest.mark.parametrize("source", ["file", "environment"])
def test_no_living_object_shows_a_secret(source):
    """By repr, str, pprint, rich, vars, dataclasses, msgspec and pickle, each object by itself.

    While it serves, and once more after a refusal.
    """
    with TellingUsps(TOKEN) as usps:
        home = Home(usps.base_url)
        home.write_secret(SECRET)
        options, environ = commands(home, usps)[source]
        with Process("walked_broker", "run", *options, environ={**LOUD, **environ}) as broker:
            home.wait_for_socket(broker)
            serial = home.token()["serial"]
            home.get("/v1/headers")
            looks = [look(broker)]
            usps.refuse = "oauth"
            report = {"status": 401, "path": "/x", "serials": {"bearer": serial}}
            home.ask("POST", "/v1/answers?wait=5", report)
            until(lambda: home.slot()["trouble"], home.status)
            looks.append(look(broker))
        home.remove()
    for seen in looks:
        assert {"Secret", "Token", "Reply", "Daemon", "Accounts", "Upstream"} <= set(seen["kinds"])
        assert seen["leaks"] == []


def look(broker):
    """What the debugger in it sees now."""
    broker.process.send_signal(signal.SIGUSR1)
    return json.loads(broker.first_line())
