"""The USPS SDKs of the registry, as they are, with tokens of a broker, against the simulator."""

import pytest
from processes import until

SDKS = ("usps_v3", "apimatic", "karrio")
SENDS_AGAIN = ("usps_v3", "apimatic")
TOKEN_APIS = ("token", "payment-authorization")
ONE_OF_EACH = [("token", 200), ("payment-authorization", 200)]


def token_calls(usps):
    """What USPS got at its two token endpoints: paths and answers, in order."""
    log = usps.ask("GET", "/sim/calls")["last"]
    return [(call["api"], call["status"]) for call in log if call["api"] in TOKEN_APIS]


@pytest.mark.parametrize("sdk", SDKS)
def test_a_label_is_bought_with_both_tokens_of_the_broker(usps, home, start, sdk):
    """Three workers buy labels; USPS sees the broker's two calls for tokens and no others."""
    with home.broker():
        workers = [start(sdk) for _ in range(3)]
        numbers = {worker.do("label") for worker in workers for _ in range(2)}
    assert len(numbers) == 6
    assert token_calls(usps) == ONE_OF_EACH


@pytest.mark.parametrize("sdk", ["usps_v3", "karrio"])
def test_left_alone_it_asks_usps_for_a_token_itself(usps, home, start, sdk):
    """So a call of its own would be seen: here with an id that USPS does not know."""
    with home.broker():
        home.first_token("payment")
        assert "error" in start(sdk, "alone").ask("label")
    assert token_calls(usps) == [*ONE_OF_EACH, ("token", 401)]


@pytest.mark.parametrize("sdk", SDKS)
def test_a_label_is_canceled_with_both_tokens_too(usps, home, start, sdk):
    """usps-v3 by itself would leave the payment token out, which USPS refuses."""
    with home.broker():
        assert start(sdk).do("cancel") == "CANCELED"
    assert token_calls(usps) == ONE_OF_EACH


@pytest.mark.parametrize("sdk", SENDS_AGAIN)
def test_a_call_that_needs_no_payment_token_gets_none(usps, home, start, sdk):
    """An address is checked where the broker has no payment token to give."""
    usps.ask("POST", "/sim/faults", {"name": "unavailable", "endpoint": "payment-authorization"})
    with home.broker():
        assert start(sdk).do("address")


def test_rotations_go_unseen(usps, home, start):
    """Workers of all three buy labels while short lives make the broker renew both tokens twice."""
    usps.ask("PUT", "/sim/settings", {"life_seconds": 8})
    with home.broker():
        workers = [start(sdk) for sdk in SDKS]

        def renewed_twice():
            for worker in workers:
                worker.do("label")
            return min(map(usps.calls, TOKEN_APIS)) >= 3

        until(renewed_twice, home.status)
    log = usps.ask("GET", "/sim/calls")["last"]
    assert {call["status"] for call in log} == {200}


@pytest.mark.parametrize("sdk", SENDS_AGAIN)
def test_a_revoked_bearer_costs_one_call_and_no_error(usps, home, start, sdk):
    """The refusal is told, and the label is asked for once more."""
    with home.broker():
        worker = start(sdk)
        worker.do("label")
        usps.ask("POST", "/sim/revocations", {"what": "bearer"})
        worker.do("label")
    assert usps.calls("token") == 2
    assert usps.calls("labels") == 3


def test_karrio_fails_once_on_a_revoked_bearer(usps, home, start):
    """It cannot send again, but it has told: the next call is made with another token."""
    with home.broker():
        worker = start("karrio")
        worker.do("label")
        usps.ask("POST", "/sim/revocations", {"what": "bearer"})
        assert worker.ask("label")["error"] == "RuntimeError"
        worker.do("label")
    assert usps.calls("token") == 2


@pytest.mark.parametrize("sdk", SDKS)
def test_a_revoked_payment_token_is_over_after_two_refusals(usps, home, start, sdk):
    """USPS does not say which of two tokens is dead: the broker renews the bearer first."""
    with home.broker():
        worker = start(sdk)
        worker.do("label")
        usps.ask("POST", "/sim/revocations", {"what": "payment"})
        failures = 0
        while "error" in worker.ask("label"):
            failures += 1
            assert failures < 3
    assert failures == (1 if sdk in SENDS_AGAIN else 2)
    assert (usps.calls("token"), usps.calls("payment-authorization")) == (2, 2)


@pytest.mark.parametrize("sdk", SDKS)
def test_a_missing_scope_costs_no_renewal(usps, home, start, sdk):
    """The SDK's own error comes out, and the broker stays as it is."""
    with home.broker():
        worker = start(sdk)
        worker.do("label")
        fault = {"name": "unauthorized", "value": "insufficient_scope", "endpoint": "labels"}
        usps.ask("POST", "/sim/faults", fault)
        assert "error" in worker.ask("label")
        usps.ask("DELETE", "/sim/faults")
        worker.do("label")
    assert token_calls(usps) == ONE_OF_EACH


@pytest.mark.parametrize("sdk", SDKS)
def test_no_token_goes_to_another_host(usps, home, start, sdk):
    """An SDK that is set to another host is told so before it calls there."""
    elsewhere = usps.base_url.replace("127.0.0.1", "localhost")
    with home.broker():
        told = start(sdk, base_url=elsewhere).ask("label")
    assert "broker's tokens are for" in told["text"]
    assert elsewhere in told["text"]
    assert usps.calls("labels") == 0


@pytest.mark.parametrize("sdk", SDKS)
def test_without_a_broker_it_says_so_and_calls_nobody(usps, start, sdk):
    """None falls back to fetching a token by itself."""
    told = start(sdk).ask("label")
    assert "usps-token-broker" in told["text"]
    assert usps.ask("GET", "/sim/calls")["total"] == 0


@pytest.mark.parametrize("sdk", SDKS)
def test_the_same_object_twice_is_refused(home, start, sdk):
    """It would report each refusal twice."""
    with home.broker():
        told = start(sdk).ask("again")
    assert told["error"] == "ValueError"
    assert "already" in told["text"]


def test_usps_v3_refreshes_nothing_by_itself(usps, home, start):
    """`refresh_tokens()` says who does, and `token_status` shows the broker's tokens."""
    with home.broker():
        worker = start("usps_v3")
        assert worker.do("status")["payment"]["valid"]
        told = worker.do("refresh")
        assert told["oauth"] is told["payment"] is False
        assert "broker renews" in told["oauth_error"]
    assert token_calls(usps) == ONE_OF_EACH
