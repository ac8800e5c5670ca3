"""Programs of others, unchanged, with the broker's address and a local key in their settings.

`.ci/run` installs them apart: tests/compat/requirements.txt into a Python that USPS_COMPAT_PYTHON
names, tests/compat/package.json into a node_modules that USPS_COMPAT_NODE names.
"""

import json

import pytest
from compat_words import ROLES


def usps_v3(shop, key, **more):
    said = {"url": shop.url, "id": key["client_id"], "secret": key["client_secret"]}
    return {**said, "roles": ROLES, "address": None, "label": None, **more}


def test_usps_v3_gets_both_tokens(shop, program):
    """A client from PyPI: JSON, and roles as it makes them, with an account in both."""
    before = shop.usps.calls("token"), shop.usps.calls("payment-authorization")
    code, out, errors = program("use_usps_v3.py", usps_v3(shop, shop.add("usps-v3")))
    assert code == 0, errors
    made = json.loads(out)
    assert made["refreshed"] == {"oauth": True, "payment": True}
    assert made["tokens"] == [shop.home.token()["token"], shop.home.token("payment")["token"]]
    assert (shop.usps.calls("token"), shop.usps.calls("payment-authorization")) == before


def test_usps_v3_is_told_of_another_account(shop, program):
    """It reads the refusal as one of USPS's, and says it whole."""
    said = usps_v3(shop, shop.add("other-account"))
    said["roles"] = {**ROLES, "epa_account": "1000000002"}
    code, out, errors = program("use_usps_v3.py", said)
    assert (code, out) == (1, "")
    assert "Payment Auth refresh failed (400)" in errors
    assert "Set the program to the same CRID and account" in errors


def test_usps_v3_is_told_of_a_wrong_key(shop, program):
    """401, as it knows it of USPS."""
    key = {**shop.add("wrong-key"), "client_secret": "0" * 64}
    code, _, errors = program("use_usps_v3.py", usps_v3(shop, key))
    assert code == 1
    assert "OAuth token refresh failed (401)" in errors
    assert "usps-token-broker key list" in errors


@pytest.mark.parametrize("in_body", [False, True], ids=["basic", "body"])
def test_requests_oauthlib_gets_a_token(shop, program, in_body):
    """HTTP Basic and a form, as RFC 6749 has it; or all of it in the form."""
    key = shop.add(f"oauthlib-{in_body}")
    said = {"url": shop.url, "id": key["client_id"], "secret": key["client_secret"]}
    code, out, errors = program("use_requests_oauthlib.py", {**said, "in_body": in_body})
    assert code == 0, errors
    token = json.loads(out)
    assert token["access_token"] == shop.home.token()["token"]
    assert 0 < token["expires_in"] <= 27_000


def test_requests_oauthlib_is_told_of_a_wrong_key(shop, program):
    """By the error that it has for that."""
    key = shop.add("oauthlib-wrong")
    said = {"url": shop.url, "id": key["client_id"], "secret": "0" * 64, "in_body": False}
    code, _, errors = program("use_requests_oauthlib.py", said)
    assert code == 1
    assert "InvalidClientError" in errors


def test_stores_usps_gets_a_token(shop, program):
    """A client from npm: a form, by fetch."""
    key = shop.add("stores")
    said = {"url": shop.url, "id": key["client_id"], "secret": key["client_secret"]}
    code, out, errors = program("use_stores_usps.js", said)
    assert code == 0, out + errors
    token = json.loads(out)
    assert token["access_token"] == shop.home.token()["token"]
    assert token["client_id"] == key["client_id"]


def test_stores_usps_is_told_of_a_wrong_key(shop, program):
    """401."""
    said = {"url": shop.url, "id": "nobody", "secret": "0" * 64}
    code, out, _ = program("use_stores_usps.js", said)
    assert code == 1
    assert "401" in json.loads(out)
