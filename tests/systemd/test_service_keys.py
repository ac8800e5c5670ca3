"""Local keys under the shipped unit: root makes them, and the broker's own user can read them."""

import json

from installed import CONFIG, PROGRAM
from processes import until

KEYS = CONFIG.replace("broker.toml", "keys.json")


def key(installed, *words):
    """`key`, as root of that machine."""
    return installed.machine.run(PROGRAM, "key", *words).stdout


def take(installed, said):
    """What the token call answers there; empty without an answer."""
    form = f"grant_type=client_credentials&client_id={said['client_id']}"
    form += f"&client_secret={said['client_secret']}"
    command = ("curl", "-s", "--max-time", "20", "-d", form)
    url = "http://127.0.0.1:9842/oauth2/v3/token"
    return installed.machine.run(*command, url, check=False).stdout


def test_root_makes_a_key_that_the_sandboxed_broker_reads(installed):
    """Before it ever ran, while it runs, and after it is revoked."""
    path = installed.machine.path(CONFIG)
    lines = '[http]\nlisten = "127.0.0.1:9842"\ntokens = true\n\n'
    installed.machine.write(CONFIG, lines + path.read_text())
    try:
        early = json.loads(key(installed, "add", "early", "--json"))
        installed.start()
        installed.tokens()
        until(lambda: "access_token" in take(installed, early), installed.journal)
        late = json.loads(key(installed, "add", "late", "--json"))
        assert json.loads(take(installed, late))["access_token"]
        owner = installed.machine.run("stat", "-c", "%U %a", KEYS).stdout.split()
        assert owner == ["usps-token-broker", "600"]
        key(installed, "revoke", "early")
        assert json.loads(take(installed, early))["error"] == "invalid_client"
        assert json.loads(take(installed, late))["access_token"]
    finally:
        installed.machine.run("rm", "-f", KEYS)
