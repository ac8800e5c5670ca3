"""A shop's worker, and its tests: an example that is run by test_plugin_example.py."""

import http.client
import json
import os
from urllib.parse import urlsplit

import pytest

from usps_token_client import TokenClient

TOKENS = TokenClient()
LABEL = json.dumps({"fromAddress": {}, "toAddress": {}, "packageDescription": {"weight": 0.5}})


class RateLimitedError(Exception):
    """USPS wants no call for so many seconds."""


def buy_label(base_url):
    """The shop's code: one label, with one retry where the broker says that it is worth it."""
    headers = TOKENS.headers(payment=True)
    status, answered, body = post(base_url, headers)
    if status == 401:
        verdict = TOKENS.report(status, answered, body, "/labels/v3/label", used=headers)
        if verdict.retry:
            status, answered, body = post(base_url, verdict.headers)
    if status == 429:
        raise RateLimitedError(answered["Retry-After"])
    if status != 200:
        raise RuntimeError(f"USPS answered {status}: {body[:200]!r}")
    return body


def post(base_url, headers):
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=10)
    try:
        connection.request("POST", "/labels/v3/label", LABEL, dict(headers))
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_a_label_is_bought(usps, usps_broker):
    assert buy_label(usps.base_url)
    assert [call.code for call in usps.calls] == ["granted", "granted", "label_made"]


def test_a_revoked_bearer_costs_no_label(usps, usps_broker):
    usps.revoke("bearer")
    assert buy_label(usps.base_url)
    assert usps.count("token") == 2


def test_a_token_dies_of_age_without_waiting(usps, usps_broker):
    usps.advance(3600)
    with pytest.raises(RuntimeError, match="401"):
        buy_label(usps.base_url)  # the bearer was renewed; the payment token is dead, too
    assert buy_label(usps.base_url)


def test_rate_limits_are_passed_on(usps, usps_broker):
    usps.inject("rate_limited=30@labelsx1")
    with pytest.raises(RateLimitedError, match="30"):
        buy_label(usps.base_url)
    assert buy_label(usps.base_url)


@pytest.mark.usps(life_seconds=4)
def test_rotations_go_unseen(usps, usps_broker):
    before = usps_broker.serial("bearer")
    while usps_broker.serial("bearer") == before:
        assert buy_label(usps.base_url)
    assert usps.count("labels") == usps.count("labels", status=200)


def test_a_forked_worker_finds_the_broker(usps, usps_broker):
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if buy_label(usps.base_url) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
