"""A user that asks or reports without end: told so, and nobody else's loss."""

import os

import pytest
from identities import Identity, as_identity, exchange, request

SHOP = Identity(64_001, 64_001)
OTHER = Identity(64_002, 64_002)


@pytest.fixture
def limited(home):
    """A broker whose users may ask six times a minute and report twice."""
    if os.geteuid() != 0:
        pytest.skip("only root can be other users")
    home.change(
        "[apps.default.bearer]", f"[apps.default.bearer]\nusers = [{SHOP.uid}, {OTHER.uid}]"
    )
    lines = ("[limits]", "requests_per_minute_per_uid = 6", "reports_per_minute_per_uid = 2")
    home.config.write_text("\n".join([home.config.read_text(), *lines, ""]))
    with home.broker():
        yield home


def statuses(home, identity, count):
    """What this user hears to so many reads."""
    asked = [request("/v1/tokens/bearer")]

    def ask():
        return b" ".join(exchange(str(home.socket), asked)[9:12] for _ in range(count))

    return as_identity(identity, ask).decode().split()


def test_one_users_haste_is_no_other_users_loss(limited):
    """Six answers and then refusals for the one; the other is served as if nobody else were."""
    assert statuses(limited, SHOP, 10) == ["200"] * 6 + ["429"] * 4
    assert statuses(limited, OTHER, 6) == ["200"] * 6


def test_the_administrator_is_not_limited_where_orders_are_given(limited):
    """Root's own haste on the workers' socket does not lock it out of the other one."""
    while limited.get("/v1/status")[0] == 200:
        pass
    for _ in range(20):
        assert limited.ask("GET", "/v1/status", admin=True)[0] == 200


def test_refused_requests_are_no_reads(limited):
    """Neither by their operation nor by the answers' statuses do they stand in the figures."""
    statuses(limited, SHOP, 50)
    figures = limited.ask("GET", "/metrics", admin=True)[2].decode()
    reads = [line for line in figures.splitlines() if 'operation="readToken"' in line]
    assert sum(float(line.rsplit(" ", 1)[1]) for line in reads if "_total" in line) == 6, reads
    assert 'status="429"' not in figures


def test_reports_without_end_cost_no_call_and_are_told_why(usps, limited):
    """The third report of a minute is not even read; the token stays."""
    serial = limited.token()["serial"]
    report = {"status": 403, "headers": {}, "body": "", "path": "/labels/v3/label"}
    report["serials"] = {"bearer": serial}
    calls = usps.calls("token")
    for _ in range(2):
        assert limited.ask("POST", "/v1/answers?wait=0", report)[0] == 200
    status, headers, body = limited.ask("POST", "/v1/answers?wait=0", report)
    assert status == 429
    assert b'"too_many_requests"' in body
    assert b"limits.reports_per_minute_per_uid" in body
    assert 1 <= int(headers["Retry-After"]) <= 30
    assert limited.ask("POST", "/v1/answers?wait=0", report, admin=True)[0] == 200
    assert usps.calls("token") == calls
    assert limited.token()["serial"] == serial
