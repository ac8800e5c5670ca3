"""Which roles a program may ask a payment token with, and which are somebody else's."""

import json

import pytest
from asked_roles_cases import OWNER, PAYER

from usps_token_broker.app.asked_roles import mismatch

OURS = [PAYER, OWNER]
PERMIT = {
    "roleName": "PAYER",
    "CRID": "12345678",
    "accountType": "PERMIT",
    "permitNumber": "42",
    "permitZIP": "63155",
}


@pytest.mark.parametrize(
    "asked",
    [
        OURS,
        [OWNER, PAYER],
        [PAYER],
        [{**PAYER, "MID": "900099999", "manifestMID": "900099999"}, OWNER],
        [PAYER, {**OWNER, "accountType": "EPS", "accountNumber": "1000000001"}],
        [PAYER, OWNER, {"roleName": "RATE_HOLDER", "CRID": "12345678", "accountType": "EPS"}],
        [{**PAYER, "CRID": 12345678, "accountNumber": 1000000001}, OWNER],
        [PAYER, OWNER, {"roleName": "PLATFORM", "CRID": ""}],
    ],
    ids=json.dumps,
)
def test_the_same_crid_and_account_are_the_same_business(asked):
    """Whatever else is said, as USPS's README and real programs say it."""
    assert mismatch(asked, OURS) is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([{**PAYER, "accountNumber": "1000000002"}, OWNER], "accountNumber of PAYER"),
        ([{**PAYER, "CRID": "87654321"}, OWNER], "CRID of PAYER"),
        ([PAYER, {**OWNER, "CRID": "87654321"}], "CRID of LABEL_OWNER"),
        ([PAYER, {**OWNER, "accountNumber": "1000000002"}], "accountNumber of LABEL_OWNER"),
        ([{**PAYER, "accountType": "PERMIT"}, OWNER], "accountType of PAYER"),
        ([PAYER, OWNER, {"roleName": "RATE_HOLDER", "CRID": "9"}], "CRID of RATE_HOLDER"),
        ([{**PAYER, "permitNumber": "42"}], "permitNumber of PAYER"),
        ([PAYER, {"roleName": "X" * 1000, "CRID": "9"}], "CRID of XXXX"),
        ([PAYER, {"CRID": "9"}], "CRID of a role"),
        ([{**PAYER, "CRID": ["12345678"]}], "CRID of PAYER"),
        ([{**PAYER, "CRID": True}], "CRID of PAYER"),
    ],
    ids=lambda part: str(part)[:60],
)
def test_another_crid_or_account_is_somebody_elses(asked, said):
    """Named by its field, and never by what is configured."""
    reason = mismatch(asked, OURS)
    assert reason.startswith(said)
    assert "1000000001" not in reason
    assert "12345678" not in reason
    assert len(reason) < 120


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([OWNER], "PAYER requires CRID"),
        ([{"roleName": "PAYER", "CRID": "12345678"}], "PAYER requires accountNumber"),
        ([{"roleName": "PAYER", "accountNumber": "1000000001"}], "PAYER requires CRID"),
        ([{}], "PAYER requires CRID"),
    ],
)
def test_who_does_not_name_the_account_gets_nothing(asked, said):
    """As at USPS: else a bearer alone would open it."""
    assert mismatch(asked, OURS) == said


def test_a_permit_is_named_by_its_number():
    """Which stands in the place of an account's."""
    assert mismatch([PERMIT, OWNER], [PERMIT, OWNER]) is None
    assert mismatch([{**PERMIT, "permitNumber": "43"}], [PERMIT]) is not None
    assert mismatch([{**PERMIT, "permitZIP": "10001"}], [PERMIT]) is not None
    without = {key: value for key, value in PERMIT.items() if key != "permitNumber"}
    assert mismatch([without], [PERMIT]) == "PAYER requires permitNumber"


def test_where_nobody_pays_the_crid_is_needed():
    """As of a PC Postage provider, who is asked for no account."""
    assert mismatch([OWNER], [OWNER]) is None
    assert mismatch([{"roleName": "LABEL_OWNER"}], [OWNER]) == "LABEL_OWNER requires CRID"
