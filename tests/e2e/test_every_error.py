"""Every error of USPS that has a name, made by the simulator, comes out by that name.

What a worker meets goes through the real curl; what the broker meets goes through its own driver.
"""

import json
import shutil
import subprocess
from urllib.parse import urlsplit

import anyio
import pytest
from processes import Home, Usps, until

from usps_token_broker.catalogue import CATALOGUE, GROUPS
from usps_token_broker.core.outcomes import Failure
from usps_token_broker.core.values import Secret
from usps_token_broker.drivers import clock
from usps_token_broker.drivers.upstream import Upstream
from usps_token_broker.simulator import EXAMPLE_LABEL
from usps_token_broker.simulator.fault_table import ACCOUNT_STATES
from usps_token_broker.simulator.names import EXAMPLE_ROLES
from usps_token_broker.wire.explaining import explain

ADDRESS = "/addresses/v3/address?streetAddress=1+A&city=B&state=DC"
LABEL = "/labels/v3/label"
TOKEN = "/oauth2/v3/token"
PAYMENT = "X-Payment-Authorization-Token"
NO_QUOTAS = [
    word
    for api in ("token", "payment-authorization", "addresses", "labels")
    for word in ("--quota", f"{api}=none")
]
CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
OTHERWISE = {
    "payment_role": "only where a row of USPS's own codes does not say it better",
    "160220": "the list has it; no role that the simulator knows of brings it",
    "160304": "as 160302; the simulator makes no such label",
    "160305": "as 160302; the simulator makes no such label",
    "role_malformed": "tests/config/test_config_role_remarks.py: told before USPS is asked",
    "certificate_refused": "tests/drivers/test_upstream.py",
    "certificate_out_of_time": "tests/drivers/test_upstream.py",
    "tls_failed": "tests/drivers/test_upstream.py",
    "proxy_refused": "tests/drivers/test_upstream.py",
    "ca_file_unusable": "tests/drivers/test_upstream.py",
    "call_not_made": "tests/drivers/test_upstream.py",
    "broker_failed": "a bug, which there is none of to show",
}
"""Rows of USPS that are not made here, and where they are or why not."""
SEEN: set[str] = set()


@pytest.fixture(scope="module")
def usps():
    """A USPS that takes as many calls as it is given."""
    with Usps(*NO_QUOTAS) as process:
        yield process


@pytest.fixture(autouse=True)
def no_faults(usps):
    """Each test begins with a USPS that is well."""
    usps.ask("DELETE", "/sim/faults")
    usps.ask("PUT", "/sim/settings", {"client_secret": "demo-client-secret"})


def inject(usps, fault):
    """Begin a fault, written NAME=VALUE@ENDPOINT; an empty one is none."""
    said, _, endpoint = fault.partition("@")
    name, _, value = said.partition("=")
    told = {"name": name, "value": value, "endpoint": endpoint}
    if fault:
        usps.ask("POST", "/sim/faults", {key: text for key, text in told.items() if text})


def fetch(usps, roles=None, timeout_seconds=5.0, base_url=None):
    """What the broker's driver makes of one call: a bearer, or a payment token with `roles`."""

    async def call():
        driver = Upstream(base_url or usps.base_url, timeout_seconds, wall=lambda: clock.now().wall)
        secret = Secret("demo-client-secret")
        bearer = await driver.fetch_bearer("demo-client-id", secret)
        if roles is None or isinstance(bearer, Failure):
            return bearer
        return await driver.fetch_payment(bearer.value, roles)

    return anyio.run(call)


@pytest.fixture
def bearer(usps):
    """A good bearer token."""
    return fetch(usps).value.reveal()


@pytest.fixture
def payment(usps):
    """A good payment token."""
    return fetch(usps, EXAMPLE_ROLES).value.reveal()


def curl(usps, path, *headers, body=None, base_url=None):
    """What `curl -v` shows of a call, to be pasted."""
    words = [word for header in headers for word in ("-H", header)]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    url = (base_url or usps.base_url) + path
    command = ["curl", "-sv", "--max-time", "10", *words, url]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    return (done.stderr + done.stdout).decode("utf-8", "replace")


def named(text, **more):
    """The code of the row that this is."""
    found = explain(text, now=clock.now().wall, **more)
    SEEN.add(found.row.code)
    return found.row.code


@CURL
@pytest.mark.parametrize(
    ("code", "fault", "path"),
    [
        ("not_an_error", "", ADDRESS),
        ("token_dead", "unauthorized=expired", ADDRESS),
        ("token_dead", "unauthorized=revoked", ADDRESS),
        ("token_malformed", "unauthorized=malformed", ADDRESS),
        ("scope_missing", "unauthorized=insufficient_scope", ADDRESS),
        ("product_missing", "unauthorized=product", ADDRESS),
        ("contract", "contract_refused", LABEL),
        ("licence", "gateway_fault=403", ADDRESS),
        ("access_control", "gateway_fault=403", LABEL),
        ("blocked", "blocked", ADDRESS),
        ("rate_limited", "rate_limited=30", ADDRESS),
        ("server_error", "unavailable=5", ADDRESS),
        ("160302", "label_refused=160302", LABEL),
        ("160303", "label_refused=160303", LABEL),
        ("160369", "label_refused=160369", LABEL),
        ("160259", "label_refused=160259", LABEL),
        ("form_error", "", LABEL),
        ("not_found", "", "/nothing/v3/here"),
        ("not_recognised", "redirect", ADDRESS),
    ],
)
def test_what_a_worker_is_answered_has_its_name(usps, bearer, payment, code, fault, path):
    """A good request, and a USPS that says no."""
    inject(usps, fault)
    body = {} if path == LABEL else None
    told = curl(usps, path, f"Authorization: Bearer {bearer}", f"{PAYMENT}: {payment}", body=body)
    assert named(told) == code, told


@CURL
@pytest.mark.parametrize(
    ("code", "authorization"),
    [
        ("authorization_missing", None),
        ("bearer_prefix_missing", "{bearer}"),
        ("token_is_json", '{{"access_token": "{bearer}", "token_type": "Bearer"}}'),
        ("token_cut", "{cut}"),
        ("payment_token_as_bearer", "{payment}"),
    ],
)
def test_a_wrong_request_has_its_name(usps, bearer, payment, code, authorization):
    """USPS says the same 401 to all of them; what was sent tells them apart."""
    prefix = "" if code == "bearer_prefix_missing" else "Bearer "
    headers = []
    if authorization is not None:
        token = authorization.format(bearer=bearer, payment=payment, cut=bearer[:255])
        headers = [f"Authorization: {prefix}{token}"]
    assert named(curl(usps, ADDRESS, *headers)) == code


@CURL
def test_a_label_without_its_payment_token_has_its_name(usps, bearer):
    """All other calls work."""
    told = curl(usps, LABEL, f"Authorization: Bearer {bearer}", body=dict(EXAMPLE_LABEL))
    assert named(told) == "payment_token_missing"


@CURL
def test_a_payment_token_that_is_cut_has_its_name(usps, bearer, payment):
    """The bearer is as it should be."""
    headers = f"Authorization: Bearer {bearer}", f"{PAYMENT}: {payment[:255]}"
    told = curl(usps, LABEL, *headers, body=dict(EXAMPLE_LABEL))
    assert named(told) == "payment_token_malformed"


@CURL
def test_a_host_of_the_platform_before_has_its_name(usps, bearer):
    """The name alone is USPS's: curl is told to connect to the simulator."""
    inject(usps, "unauthorized=other_host")
    simulator = urlsplit(usps.base_url).netloc
    words = [
        "-sv",
        "--noproxy",
        "*",
        "--max-time",
        "10",
        "--connect-to",
        f"api.usps.com:80:{simulator}",
    ]
    url, header = f"http://api.usps.com{ADDRESS}", f"Authorization: Bearer {bearer}"
    done = subprocess.run(
        ["curl", *words, "-H", header, url], capture_output=True, check=False, timeout=30
    )
    assert named((done.stderr + done.stdout).decode("utf-8", "replace")) == "old_host"


@CURL
def test_a_dead_payment_token_has_its_name(usps, bearer, payment):
    """It is named in the answer, so the bearer is not suspected."""
    usps.ask("POST", "/sim/revocations", {"what": "payment"})
    headers = f"Authorization: Bearer {bearer}", f"{PAYMENT}: {payment}"
    assert named(curl(usps, LABEL, *headers, body=dict(EXAMPLE_LABEL))) == "payment_token_dead"


@CURL
def test_a_token_of_the_other_environment_has_its_name(usps, bearer):
    """TEM against production: 401 without a word."""
    inject(usps, "unauthorized=other_host")
    told = curl(usps, ADDRESS, f"Authorization: Bearer {bearer}")
    assert named(told, own_host="apis-tem.usps.com") == "host_mismatch"


@CURL
def test_a_worker_that_asks_for_tokens_itself_is_told_why_it_is_refused(usps):
    """Wrong secret, or not approved yet: USPS says invalid_client to both."""
    body = {
        "grant_type": "client_credentials", "client_id": "demo-client-id", "client_secret": "wrong"
    }  # fmt: skip
    assert named(curl(usps, TOKEN, body=body)) == "client_secret_wrong"
    assert named(curl(usps, TOKEN, body=body | {"client_id": "not-yet"})) == "client_unknown"
    assert named(curl(usps, TOKEN, body=body | {"grant_type": "x"})) == "grant_not_allowed"
    del body["grant_type"]
    assert named(curl(usps, TOKEN, body=body)) == "token_request_malformed"


def of_driver(outcome):
    """The row that a failure of the broker's own call is."""
    assert isinstance(outcome, Failure), outcome
    SEEN.add(outcome.reason)
    return outcome.reason


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("client_unknown", "invalid_client=unknown_key@token"),
        ("client_secret_wrong", "invalid_client=wrong_secret@token"),
        ("oauth_product_missing", "invalid_client=other_product@token"),
        ("token_access_denied", "gateway_fault=403@token"),
        ("credentials_refused", "empty_body=401@token"),
        ("answer_unexpected", "gateway_fault=422@token"),
        ("upstream_rate_limited", "rate_limited=30@token"),
        ("upstream_unavailable", "unavailable=5@token"),
        ("call_timed_out", "hang@token"),
        ("answer_broken", "cut_body@token"),
        ("token_unusable", "not_json@token"),
        ("token_unusable", "past_end@token"),
        ("answered_in_between", "html=403@token"),
        ("redirected", "redirect_307@token"),
    ],
)
def test_what_the_token_endpoint_says_has_its_name(usps, code, fault):
    """As the broker's trouble says it."""
    inject(usps, fault)
    assert of_driver(fetch(usps, timeout_seconds=0.5)) == code


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("payments_scope_missing", "missing_scope=payments@token"),
        ("payments_scope_missing", "unauthorized=insufficient_scope@payment-authorization"),
        ("bearer_refused", "unauthorized=expired@payment-authorization"),
        ("payments_forbidden", "gateway_fault=403@payment-authorization"),
        ("payment_refused", "empty_body=400@payment-authorization"),
        ("not_enrolled", "not_enrolled@payment-authorization"),
        *((state, f"account_state={state}@payment-authorization") for state in ACCOUNT_STATES),
    ],
)
def test_what_payment_authorization_says_has_its_name(usps, code, fault):
    """Scope, enrolment and the states of an account."""
    inject(usps, fault)
    assert of_driver(fetch(usps, EXAMPLE_ROLES)) == code


def changed(index, **fields):
    """The example's roles, with these fields of one of them changed; None takes one away."""
    roles = [dict(role) for role in EXAMPLE_ROLES]
    merged = roles[index] | fields
    roles[index] = {key: value for key, value in merged.items() if value is not None}
    return roles


def more(**role):
    """The example's roles and a further one."""
    return [*EXAMPLE_ROLES, role]


@pytest.mark.parametrize(
    ("code", "roles"),
    [
        ("160218", changed(0, CRID=None)),
        ("160219", more(CRID="12345678")),
        ("160221", changed(1, MID=None)),
        ("160222", changed(1, manifestMID=None)),
        ("160223", changed(0, accountType=None)),
        ("160224", changed(0, accountNumber=None)),
        ("160225", changed(0, accountType="PERMIT", permitZIP="63155")),
        ("160226", changed(0, accountType="PERMIT", permitNumber="42")),
        ("160227", more(**EXAMPLE_ROLES[1])),
        ("160228", [EXAMPLE_ROLES[1]]),
        ("160229", [EXAMPLE_ROLES[0]]),
        ("160254", more(roleName="LOGISTICS_MANAGER")),
        ("160289", changed(0, accountType="METER", accountNumber=None)),
        ("160290", changed(0, accountType="METER")),
        ("160372", more(roleName="LABEL_PROVIDER", CRID="12345678", accountType="PERMIT")),
        ("160390", changed(0, accountType="CASH")),
    ],
)
def test_wrong_roles_have_their_names(usps, code, roles):
    """By USPS's own numbers."""
    assert of_driver(fetch(usps, roles)) == code


def test_a_base_url_with_nothing_behind_it_has_its_name(usps):
    """A path too many is the usual reason."""
    assert of_driver(fetch(usps, base_url=f"{usps.base_url}/nothing")) == "base_url_wrong"


def test_no_way_to_usps_has_its_name(usps):
    """A closed port, and a host that no DNS knows."""
    assert of_driver(fetch(usps, base_url="http://127.0.0.1:9")) == "not_connected"
    assert of_driver(fetch(usps, base_url="https://nowhere.invalid")) == "dns_failed"


def test_the_broker_tells_the_name_where_people_look(usps):
    """In the status, in the refusal, and in the log's code: the same row."""
    inject(usps, "invalid_client=wrong_secret@token")
    home = Home(usps.base_url)
    try:
        with home.broker():
            until(lambda: home.status()["apps"][0]["slots"][0]["trouble"])
            trouble = home.status()["apps"][0]["slots"][0]["trouble"]
            problem = json.loads(home.get("/v1/tokens/bearer")[2])
    finally:
        home.remove()
    assert trouble["reason"] == problem["reason"] == "client_secret_wrong"
    assert problem["code"] == "credentials_refused"
    assert problem["fix"] == CATALOGUE["client_secret_wrong"].fix


def test_what_the_broker_alone_can_tell_has_its_name(usps):
    """That a worker asks for tokens itself, and that USPS repeats a token."""
    home = Home(usps.base_url)
    try:
        with home.broker():
            serials = {"bearer": home.token()["serial"]}
            report = {"status": 401, "body": "", "path": TOKEN, "serials": serials}
            told = json.loads(home.ask("POST", "/v1/answers", report)[2])
            inject(usps, "same_token@token")
            again = home.renew("bearer", 10)[1]
    finally:
        home.remove()
    SEEN.update({told["reason"], again["reason"]})
    assert (told["reason"], again["reason"]) == ("token_endpoint", "token_unchanged")


def test_a_product_granted_after_the_token_needs_another_token(usps):
    """401 goes on until the bearer is renewed by hand; then both tokens are there."""
    inject(usps, "missing_scope=payments@token")
    home = Home(usps.base_url)
    try:
        with home.broker():
            home.token()
            problem = json.loads(home.get("/v1/tokens/payment")[2])
            assert problem["reason"] == "payments_scope_missing"
            assert "renew bearer" in problem["fix"]
            usps.ask("DELETE", "/sim/faults")
            assert home.renew("bearer", 10)[0] == 200
            assert home.token("payment")["token"]
    finally:
        home.remove()


def test_no_row_of_usps_is_left_out(request):
    """Each was made above, or stands in the list of those that are made elsewhere, with where."""
    ours = {"What the broker refuses", "What keeps a client from the broker", "The host"}
    rows = {row.code for heading, group in GROUPS.items() if heading not in ours for row in group}
    if len(request.session.items) < 10:
        pytest.skip("a part of the file alone")
    assert rows - SEEN == OTHERWISE.keys() - SEEN
