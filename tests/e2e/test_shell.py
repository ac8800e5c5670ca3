"""The socket from a shell: curl that nobody here wrote."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")
USPS_TOKEN = str(Path(sys.executable).with_name("usps-token"))
ADDRESS = "/addresses/v3/address?streetAddress=475+LENFANT+PLZ+SW&city=WASHINGTON&state=DC"


def curl(*arguments, stdin=None):
    done = subprocess.run(
        [CURL, "-sS", *arguments], input=stdin, capture_output=True, check=True, timeout=30
    )
    return done.stdout


def test_curl_gets_a_token_as_json(home):
    """One call, one JSON object."""
    with home.broker():
        answer = json.loads(
            curl("--unix-socket", str(home.socket), "http://localhost/v1/tokens/bearer")
        )
    assert answer["slot"] == "bearer"
    assert answer["token"].count(".") == 2


def test_curl_gets_a_token_as_text(home):
    """The bare value, nothing around it."""
    with home.broker():
        socket = ["--unix-socket", str(home.socket)]
        url = "http://localhost/v1/tokens/payment"
        text = curl(*socket, "-H", "Accept: text/plain", url)
        assert text.decode() == json.loads(curl(*socket, url))["token"]


def test_the_headers_command_feeds_curl(usps, home):
    """`usps-token headers | curl -H @- …` makes a call, and no token is in any argv."""
    with home.broker():
        headers = subprocess.run(
            [USPS_TOKEN, "headers", "--socket", str(home.socket)],
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout
        answer = json.loads(curl("-H", "@-", usps.base_url + ADDRESS, stdin=headers))
    assert answer["address"]["city"] == "WASHINGTON"
    assert usps.calls("addresses") == 1


def test_curl_reports_a_refusal(usps, home):
    """POST /v1/answers with a body, as a worker in any language does it."""
    with home.broker():
        serial = home.token()["serial"]
        report = {"status": 401, "path": "/addresses/v3/address", "serials": {"bearer": serial}}
        answer = json.loads(
            curl(
                "--unix-socket",
                str(home.socket),
                "-H",
                "Content-Type: application/json",
                "-d",
                json.dumps(report),
                "http://localhost/v1/answers",
            )
        )
    assert (answer["outcome"], answer["retry"]) == ("renewed", True)
    assert usps.calls("token") == 2
