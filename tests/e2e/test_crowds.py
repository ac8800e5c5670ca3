"""Two hundred worker processes at once, each with a client of its own."""

from usps_token_client import TokenClient

WORKERS = 200

DEAD = b'{"apiVersion": "3.0", "error": {"code": "401", "message": "The access token expired"}}'
SCOPE = b'{"error": {"code": "401", "message": "Insufficient OAuth scope"}}'


def test_a_cold_broker_makes_one_bearer_and_one_payment_call(usps, home, crowd):
    """Two hundred ask at once for both tokens of a broker that has none."""

    def work():
        headers = TokenClient(str(home.socket), wait=30, timeout=40).headers(payment=True)
        return repr(sorted(headers.serials.items())).encode()

    with home.broker():
        answers = crowd(WORKERS, work)
    assert len(answers) == WORKERS
    assert len(set(answers)) == 1
    assert usps.calls("token") == 1
    assert usps.calls("payment-authorization") == 1


def test_200_reports_of_one_dead_token_make_one_call(usps, home, crowd):
    """All tell of a 401 for the same bearer: one renewal, and all go on with the new one."""

    with home.broker():
        refused = TokenClient(str(home.socket), wait=30, timeout=40).headers()

        def work():
            client = TokenClient(str(home.socket), wait=30, timeout=40)
            verdict = client.report(401, {}, DEAD, "/addresses/v3/address", used=refused)
            assert verdict.retry
            return str(client.headers().serials["bearer"]).encode()

        answers = crowd(WORKERS, work)
    assert len(answers) == WORKERS
    assert len(set(answers)) == 1
    assert answers[0] != str(refused.serials["bearer"]).encode()
    assert usps.calls("token") == 2


def test_200_reports_of_a_missing_scope_make_none(usps, home, crowd):
    """A 401 that is not about the token costs no renewal, and says so."""

    with home.broker():
        refused = TokenClient(str(home.socket), wait=30, timeout=40).headers()

        def work():
            client = TokenClient(str(home.socket), wait=30, timeout=40)
            verdict = client.report(401, {}, SCOPE, "/tracking/v3/tracking/1", used=refused)
            assert not verdict.retry
            return verdict.code.encode()

        answers = crowd(WORKERS, work)
    assert set(answers) == {b"scope_missing"}
    assert usps.calls("token") == 1
