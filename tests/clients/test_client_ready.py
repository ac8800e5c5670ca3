"""Status, readiness, and waiting for it."""

from __future__ import annotations

import threading

import pytest
from scripted_broker import Held, Reply, Silence, problem

from usps_token_client import BrokerTimeout, NoPermission, TokenClient, TokenDenied


def test_status_is_what_the_broker_tells_people(tokens, broker):
    """The JSON as it is."""
    broker.status = {"version": "9", "apps": [{"app": "default"}]}
    assert tokens.status() == broker.status


def test_status_of_one_app(make, broker):
    """`app=` goes along."""
    make(app="shop").status()
    assert broker.requests[-1].query == {"app": "shop"}


def test_ready_asks_for_all_that_is_required(tokens, broker):
    """Without slots the broker decides which tokens count."""
    assert tokens.ready()
    assert broker.requests[-1].query == {}
    broker.not_ready = ["default/bearer"]
    assert not tokens.ready()


def test_ready_asks_for_each_slot_named(tokens, broker):
    """Each slot is a question; the first that is not ready decides."""
    assert tokens.ready("bearer", "payment", min_valid=90)
    assert [request.query for request in broker.requests] == [
        {"slot": "bearer", "min_valid": "90"},
        {"slot": "payment", "min_valid": "90"},
    ]
    broker.not_ready = ["default/payment"]
    assert tokens.ready("bearer")
    assert not tokens.ready("bearer", "payment")


def test_an_app_without_a_slot_means_its_bearer(make, broker):
    """The broker's readiness is of all apps; a client of one app asks for that one's bearer."""
    make(app="shop").ready()
    assert broker.requests[-1].query == {"app": "shop", "slot": "bearer"}


def test_ready_raises_what_a_person_must_mend(tokens, broker):
    """A slot that is not there, or not ours, is an error and no False."""
    broker.always = problem(404, "unknown_slot")
    with pytest.raises(TokenDenied):
        tokens.ready("payment-x")
    broker.always = problem(503, "restarting", retry_after=1000)
    with pytest.raises(TokenDenied):
        tokens.ready()


def test_wait_ready_returns_when_it_is(broker):
    """Waiting ends with the first good answer."""
    broker.script = [Reply(503, b'{"ready": false, "not_ready": []}')] * 3
    TokenClient(broker.path).wait_ready(30)
    assert len(broker.requests) == 4


def test_wait_ready_waits_for_a_broker_to_appear(silent_broker):
    """No socket at all is something to wait for, too."""
    done = threading.Event()

    def wait():
        TokenClient(silent_broker.path).wait_ready(30, "bearer")
        done.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    silent_broker.start()
    assert done.wait(20)
    waiter.join(20)


def explained(broker, **codes):
    """A broker that says what is not ready, and why."""
    ready = broker.answer
    denials = {f"/v1/tokens/{slot}": problem(503, code) for slot, code in codes.items()}
    broker.always = lambda request: denials.get(request.path) or ready(request)


def test_wait_ready_says_why_in_the_broker_s_words(broker):
    """At the deadline the trouble of the token is told."""
    broker.not_ready = ["default/bearer"]
    explained(broker, bearer="upstream_unavailable")
    with pytest.raises(BrokerTimeout, match="the detail of upstream_unavailable") as caught:
        TokenClient(broker.path).wait_ready(0.2)
    assert "not ready after 0.2 s" in str(caught.value)
    assert broker.requests[-1].query["app"] == "default"
    assert float(broker.requests[-1].query["wait"]) <= 0.2


def test_wait_ready_raises_at_once_what_usps_refused(broker):
    """Nobody mends credentials by waiting; the token named second counts as well."""
    broker.not_ready = ["default/bearer", "shop/payment"]
    explained(broker, bearer="upstream_unavailable", payment="payment_refused")
    with pytest.raises(TokenDenied, match="the detail of payment_refused") as caught:
        TokenClient(broker.path).wait_ready(600)
    assert caught.value.permanent
    assert len(broker.requests) == 3


def test_wait_ready_asks_why_of_eight_at_most(broker):
    """A host with hundreds of tokens is not asked of each of them twice a second."""
    broker.not_ready = ["default/bearer"] * 300
    explained(broker, bearer="upstream_unavailable")
    with pytest.raises(BrokerTimeout):
        TokenClient(broker.path).wait_ready(0.05)
    assert len(broker.requests) == 1 + 8


def test_wait_ready_names_the_token_when_there_is_no_more_to_say(broker):
    """A token that is served and yet not ready is named."""
    broker.not_ready = ["default/bearer"]
    with pytest.raises(BrokerTimeout, match="no good token for default/bearer"):
        TokenClient(broker.path).wait_ready(0.1)


def test_wait_ready_names_the_missing_socket(tmp_path):
    """A broker that never appears is told with its path."""
    with pytest.raises(BrokerTimeout, match=r"gone\.sock"):
        TokenClient(tmp_path / "gone.sock").wait_ready(0.1)


def test_wait_ready_names_the_silent_broker(broker):
    """A broker that does not answer costs the time asked for, and is told."""
    broker.always = Held()
    with pytest.raises(BrokerTimeout, match=r"not ready after 0\.2 s: the broker at"):
        TokenClient(broker.path).wait_ready(0.2)
    broker.always.released.set()


def test_wait_ready_does_not_wait_for_a_person(broker):
    """What nobody mends by waiting is raised at once."""
    broker.always = problem(403, "forbidden")
    with pytest.raises(NoPermission):
        TokenClient(broker.path).wait_ready(600)
    assert len(broker.requests) == 1


def test_wait_ready_keeps_the_reason_it_heard(broker):
    """When the deadline falls into the last question, the answer before that is the reason."""
    broker.script = [Reply(503, b'{"ready": false, "not_ready": ["hidden"]}')]
    broker.always = Silence()
    with pytest.raises(BrokerTimeout, match="no good token for hidden"):
        TokenClient(broker.path).wait_ready(0.3)
