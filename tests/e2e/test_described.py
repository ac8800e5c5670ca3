"""A real broker against its own OpenAPI document: schemathesis asks whatever that allows, and more.

It speaks to a port, so a door on loopback leads to the socket. The bounds on `min_valid` hold for
every configuration; that of this one is the widest there is, or its own would be met before them.
"""

import copy
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from processes import Home, Usps
from tcp_door import tcp_door

from usps_token_broker.wire.operations import OPERATIONS

WIDEST = "buffer_seconds = 7200"
ST = Path(sys.executable).with_name("st")


@pytest.fixture
def home():
    """A broker with both tokens."""
    with Usps() as usps:
        home = Home(usps.base_url, app=WIDEST)
        with home.broker():
            home.token("payment")
            yield home
        home.remove()


@contextmanager
def described(home, path, folder):
    """The address of what listens here, and a file with its document."""
    with tcp_door(path) as url:
        document = folder / "openapi.json"
        document.write_bytes(read(home, path))
        yield url, document


def read(home, path):
    other = copy.copy(home)
    other.socket = path
    status, headers, body = other.get("/openapi.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    return body


def explore(url, document, *options):
    """What schemathesis has to say, and whether it is content.

    Every check there is but those excluded; the same requests in each run. What goes on without
    end is left out: it would be waited for.
    """
    command = [ST, "run", document, "--url", url, "--checks", "all", "--seed", "1", *options]
    quiet = ["--no-color", "--no-shrink", "--continue-on-failure", "--generation-database", "none"]
    quiet += ["--exclude-path", "/v1/events"]
    ran = subprocess.run(
        [*command, *quiet], cwd=document.parent, capture_output=True, text=True, check=False
    )
    return ran.stdout + ran.stderr, ran.returncode


def test_what_workers_are_answered_is_what_the_document_says(home, tmp_path):
    """Any request it allows, and many it does not; with both tokens there, none is a 5xx."""
    with described(home, home.socket, tmp_path) as (url, document):
        said, code = explore(url, document, "--max-examples", "60")
    assert code == 0, said
    assert f"Tested: {sum(not operation.admin for operation in OPERATIONS) - 1}" in said


def test_what_holds_for_any_broker_holds_for_what_this_one_has(home, tmp_path):
    """The same with names that it knows, so that most requests are answered with a token.

    Without `/readyz`, whose 503 is an answer like any other.
    """
    scopes = home.token()["scopes"]
    known = {"app": ["default"], "slot": ["bearer", "payment"], "payment": ["default"]}
    with described(home, home.socket, tmp_path) as (url, document):
        altered = json.loads(document.read_bytes())
        for operation in (o for methods in altered["paths"].values() for o in methods.values()):
            for parameter in operation["parameters"]:
                names = {**known, "scope": scopes}.get(parameter["name"])
                if names is not None:
                    parameter["schema"]["enum"] = names
        document.write_text(json.dumps(altered))
        said, code = explore(url, document, "--max-examples", "60", "--exclude-path", "/readyz")
    assert code == 0, said


def test_what_administrators_are_answered_is_what_the_document_says(home, tmp_path):
    """Orders too; those that use up the budget leave 503s, which the document must name."""
    admin = home.folder / "state" / "admin.sock"
    no_check = ("--exclude-checks", "not_a_server_error")
    with described(home, admin, tmp_path) as (url, document):
        said, code = explore(url, document, "--max-examples", "30", *no_check)
    assert code == 0, said
    assert f"Tested: {len(OPERATIONS) - 1}" in said


def test_a_broker_that_does_not_keep_its_word_is_noticed(home, tmp_path):
    """The exploration itself: one field less in the document's own list of what must be there."""
    with described(home, home.socket, tmp_path) as (url, document):
        altered = json.loads(document.read_bytes())
        altered["components"]["schemas"]["AliveMessage"]["required"].append("nope")
        document.write_text(json.dumps(altered))
        said, code = explore(url, document, "--include-path", "/healthz")
    assert code == 1, said
    assert "nope" in said


def test_both_sockets_serve_a_document(home):
    """Each of what is served on it."""
    for path in (home.socket, home.folder / "state" / "admin.sock"):
        OpenAPIV31SpecValidator(json.loads(read(home, path))).validate()


def test_a_real_broker_is_scraped(home):
    """The first scrape imports what it needs while tokens go on being served."""
    status, headers, body = home.get("/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = body.decode().splitlines()
    assert 'usps_token_broker_slot_ready{app="default",slot="payment"} 1.0' in lines
    assert "usps_token_broker_connections 1.0" in lines
    assert home.token()["token"] not in body.decode()
