"""No file at all: the environment alone makes a broker that serves both tokens."""

import json
from pathlib import Path

import pytest
from processes import Home, Process, Usps, until

ROLES = json.dumps(
    [
        {"roleName": role, "CRID": "12345678", "MID": "900012345", "manifestMID": "900012345"}
        | {"accountType": "EPS", "accountNumber": "1000000001"}
        for role in ("PAYER", "LABEL_OWNER")
    ]
)
SECRET = "demo-client-secret"

pytestmark = pytest.mark.skipif(
    Path("/etc/usps-token-broker/broker.toml").exists(),
    reason="this machine has a configuration, beside which the environment is refused",
)


@pytest.fixture(scope="module")
def usps():
    """One USPS for all tests here."""
    with Usps("--quota", "token=none", "--quota", "payment-authorization=none") as process:
        yield process


@pytest.fixture
def home(usps):
    """A folder whose configuration nobody reads."""
    home = Home(usps.base_url)
    home.config.unlink()
    yield home
    home.remove()


@pytest.fixture
def environ(usps, home):
    """What a container would be given, but for the roles."""
    return {
        "USPS_CLIENT_ID": "demo-client-id",
        "USPS_CLIENT_SECRET": SECRET,
        "USPS_BASE_URL": usps.base_url,
        "USPS_TOKEN_SOCKET": str(home.socket),
        "USPS_TOKEN_STATE_DIR": str(home.folder / "state"),
    }


def run(home, environ):
    """A broker; wait for its socket."""
    return Process("usps_token_broker", "run", environ=environ)


def refused(environ):
    """What a broker says that does not start."""
    with Process("usps_token_broker", "run", environ=environ) as broker:
        assert broker.process.wait(30) == 78
        return broker.errors()


def test_a_trio_that_cannot_be_imported_is_not_missed(home, environ, tmp_path):
    """It wants a place for temporary files, and nothing of the broker runs on it."""
    (tmp_path / "trio.py").write_text("raise FileNotFoundError('no usable temporary directory')")
    with run(home, {**environ, "PYTHONPATH": str(tmp_path)}) as broker:
        home.wait_for_socket(broker)
        assert home.token()["slot"] == "bearer"


def test_roles_in_a_variable_make_a_payment_token(home, environ):
    """The app is named `default`; a worker of our own user gets both tokens."""
    with run(home, {**environ, "USPS_PAYMENT_ROLES": ROLES}) as broker:
        home.wait_for_socket(broker)
        assert home.token("bearer")["app"] == home.token("payment")["app"] == "default"
        assert home.get("/readyz")[0] == 200
        assert SECRET not in broker.errors()


def test_roles_in_a_file_make_a_payment_token(home, environ):
    """And the secret in another."""
    roles = home.folder / "roles.json"
    roles.write_text(ROLES)
    more = {
        "USPS_PAYMENT_ROLES_FILE": str(roles),
        "USPS_CLIENT_SECRET": "",
        "USPS_CLIENT_SECRET_FILE": str(home.folder / "client-secret"),
    }
    with run(home, {**environ, **more}) as broker:
        home.wait_for_socket(broker)
        assert home.token("payment")["token"]


def test_usps_is_asked_with_these_roles(home, environ):
    """It refuses those that lack one, in its own words."""
    alone = json.dumps(json.loads(ROLES)[:1])
    with run(home, {**environ, "USPS_PAYMENT_ROLES": alone}) as broker:
        home.wait_for_socket(broker)
        trouble = until(lambda: home.slot("payment")["trouble"], home.status)
        assert trouble["code"] == "payment_refused"
        assert "160229" in json.dumps(trouble)
        assert home.token("bearer")["token"]


def test_without_roles_a_payment_token_is_not_configured(home, environ):
    """The bearer is there, and the refusal says that there is no such token."""
    with run(home, environ) as broker:
        home.wait_for_socket(broker)
        assert home.token("bearer")["token"]
        status, _, body = home.get("/v1/tokens/payment")
    said = json.loads(body)
    assert (status, said["code"]) == (404, "payment_not_configured")
    assert "roles" in said["fix"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"USPS_PAYMENT_ROLES": "[{"}, "USPS_PAYMENT_ROLES: expected JSON"),
        ({"USPS_PAYMENT_ROLES_FILE": "/nowhere/roles.json"}, "/nowhere/roles.json: expected"),
        (
            {"USPS_PAYMENT_ROLES": ROLES, "USPS_PAYMENT_ROLES_FILE": "/nowhere"},
            "unset USPS_PAYMENT_ROLES",
        ),
        ({"USPS_CLIENT_ID": ""}, "set USPS_CLIENT_ID="),
    ],
)
def test_what_is_wrong_keeps_it_from_starting(environ, more, words):
    """By variable, and without the secret."""
    said = refused({**environ, **more})
    assert words in said
    assert SECRET not in said
    assert "Traceback" not in said


def test_a_restart_with_other_roles_asks_anew(usps, home, environ):
    """The saved token was for the roles before."""
    with run(home, {**environ, "USPS_PAYMENT_ROLES": ROLES}) as broker:
        home.wait_for_socket(broker)
        first = home.token("payment")
        broker.kill(15)
    before = usps.calls("payment-authorization")
    with run(home, {**environ, "USPS_PAYMENT_ROLES": ROLES}) as broker:
        home.wait_for_socket(broker)
        assert home.token("payment")["serial"] == first["serial"]
        broker.kill(15)
    assert usps.calls("payment-authorization") == before
    others = ROLES.replace("1000000001", "1000000002")
    with run(home, {**environ, "USPS_PAYMENT_ROLES": others}) as broker:
        home.wait_for_socket(broker)
        assert home.token("payment")["serial"] != first["serial"]
    assert usps.calls("payment-authorization") == before + 1


def test_the_environment_sets_limits(home, environ):
    """A variable for each: the fourth question of a minute is one too many."""
    environ |= {"USPS_LIMIT_REQUESTS_PER_MINUTE_PER_UID": "3"}
    with run(home, environ) as broker:
        home.wait_for_socket(broker)
        assert [home.get("/v1/status")[0] for _ in range(4)] == [200, 200, 200, 429]
