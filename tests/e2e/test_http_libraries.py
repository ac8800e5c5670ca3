"""Workers with each HTTP library, a real broker and a simulated USPS that takes tokens back."""

import concurrent.futures

import pytest
from http_libraries import LIBRARIES, Asked
from processes import Home, Usps

from usps_token_broker.simulator import EXAMPLE_LABEL
from usps_token_client import CallRefused

ADDRESS = "/addresses/v3/address?streetAddress=1+A&city=B&state=DC"
WORKERS = 8


@pytest.fixture(scope="module")
def usps():
    """A USPS that takes as many calls as it is given."""
    quotas = ("token", "payment-authorization", "addresses", "labels")
    with Usps(*(word for api in quotas for word in ("--quota", f"{api}=none"))) as process:
        yield process


@pytest.fixture(scope="module", params=LIBRARIES, ids=lambda library: library.name)
def library(request):
    """An HTTP library."""
    return request.param


@pytest.fixture(scope="module")
def home(usps, library):
    """A broker for each: right after a renewal the next one is held back."""
    home = Home(usps.base_url)
    with home.broker():
        home.first_token("payment")
        yield home
    home.remove()


@pytest.fixture
def lacking_scope(usps):
    """A USPS that says for a while that the token lacks a scope."""
    usps.ask("POST", "/sim/faults", {"name": "unauthorized", "value": "insufficient_scope"})
    yield
    usps.ask("DELETE", "/sim/faults")


@pytest.fixture
def client(library, home):
    """One client for all workers of a test."""
    return library.client(home.socket)


def test_labels_and_addresses_are_made(library, client, usps):
    """The headers are those that USPS wants."""
    label = Asked("POST", f"{usps.base_url}/labels/v3/label", json=dict(EXAMPLE_LABEL))
    assert library.send(client, label).status == 200
    assert library.send(client, Asked("GET", usps.base_url + ADDRESS)).status == 200


def test_a_revoked_bearer_costs_one_call_and_no_worker_notices(library, client, usps):
    """All of them meet it at once, and all are served."""
    address = Asked("GET", usps.base_url + ADDRESS)
    assert library.send(client, address).status == 200
    calls = usps.calls("token")
    usps.ask("POST", "/sim/revocations", {"what": "bearer"})
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        asked = [pool.submit(library.send, client, address) for _ in range(3 * WORKERS)]
        assert {call.result().status for call in asked} == {200}
    assert usps.calls("token") == calls + 1


def test_what_is_not_the_token_costs_no_call_and_has_a_name(library, client, usps, lacking_scope):
    """The broker's own verdict, raised where it is asked for."""
    calls = usps.calls("token")
    address = Asked("GET", usps.base_url + ADDRESS)
    answer = library.send(client, address)
    assert answer.status == 401
    assert answer.verdict.outcome == "not_the_token"
    with pytest.raises(CallRefused) as caught:
        library.send(client, address, raise_refusals=True)
    error = caught.value
    assert (error.reason, error.detail, error.fix) == (
        answer.verdict.reason,
        answer.verdict.detail,
        answer.verdict.fix,
    )
    assert usps.calls("token") == calls
