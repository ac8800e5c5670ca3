"""What USPS would refuse of payment roles, in its numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.catalogue import CATALOGUE
from usps_token_broker.wire.payment_roles import MALFORMED, role_faults

PAYER = {"roleName": "PAYER", "CRID": "12345678", "accountType": "EPS", "accountNumber": "1"}
OWNER = {"roleName": "LABEL_OWNER", "CRID": "12345678", "MID": "900012345", "manifestMID": "123456"}
PERMIT = {**PAYER, "accountType": "PERMIT", "permitNumber": "1", "permitZIP": "20260"}


def codes(*roles):
    return [fault.code or fault.parameter for fault in role_faults(roles)]


@pytest.mark.parametrize(
    "roles",
    [
        (PAYER, OWNER),
        (PERMIT, OWNER),
        ({**PERMIT, "accountType": "OMAS"}, OWNER),
        (PAYER, OWNER, {"roleName": "SHIPPER", "CRID": "12"}),
    ],
)
def test_what_usps_would_grant_has_no_fault(roles):
    """Each account type with the fields that it needs."""
    assert codes(*roles) == []


@pytest.mark.parametrize(
    ("roles", "code"),
    [
        ((OWNER,), "160228"),
        ((PAYER,), "160229"),
        ((PAYER, PAYER, OWNER), "160227"),
        ((PAYER, OWNER, {"roleName": "LOGISTICS_MANAGER"}), "160254"),
        ((PAYER, OWNER, {"CRID": "12345678"}), "160219"),
        (({**PAYER, "CRID": ""}, OWNER), "160218"),
        (({**PAYER, "accountType": ""}, OWNER), "160223"),
        (({**PAYER, "accountType": "CASH"}, OWNER), "160390"),
        (({**PAYER, "accountNumber": ""}, OWNER), "160224"),
        (({**PERMIT, "permitNumber": ""}, OWNER), "160225"),
        (({**PERMIT, "permitZIP": ""}, OWNER), "160226"),
        (({**PAYER, "accountType": "METER"}, OWNER), "160290"),
        ((PAYER, {**OWNER, "MID": ""}), "160221"),
        ((PAYER, {**OWNER, "manifestMID": ""}), "160222"),
        ((PAYER, {**OWNER, "MID": "1234567"}), "roles.MID"),
        ((PAYER, {**OWNER, "MID": "٣٣٣٣٣٣"}), "roles.MID"),
        ((PAYER, {**OWNER, "manifestMID": "12345678a"}), "roles.manifestMID"),
        (({**PAYER, "CRID": "1"}, OWNER), "roles.CRID"),
        (({**PAYER, "CRID": "1" * 19}, OWNER), "roles.CRID"),
        (({**PERMIT, "permitZIP": "20260-1"}, OWNER), "roles.permitZIP"),
        ((PAYER, OWNER, {"roleName": "OWNER"}), "roles.roleName"),
    ],
)
def test_each_fault_has_the_number_of_usps(roles, code):
    """And nothing else is wrong with these roles."""
    assert codes(*roles) == [code]


@pytest.mark.parametrize(
    ("roles", "depends"),
    [((OWNER,), True), ((PAYER, OWNER, {"roleName": "NEW"}), True), ((PAYER, PAYER, OWNER), False)],
)
def test_what_is_right_for_some_accounts_is_marked(roles, depends):
    """PC Postage providers have no PAYER; USPS may have added a role since."""
    assert [fault.depends for fault in role_faults(roles)] == [depends]


VALUES = st.none() | st.text(max_size=20) | st.integers() | st.lists(st.text(max_size=3))
KEYS = st.sampled_from(["roleName", "CRID", "MID", "accountType", "permitZIP", "else"])
NAMES = st.sampled_from(["PAYER", "LABEL_OWNER", "LABEL_PROVIDER", "PLATFORM"]) | VALUES


@given(
    st.lists(
        st.dictionaries(KEYS, VALUES).flatmap(
            lambda role: NAMES.map(lambda name: {**role, "roleName": name})
        )
    )
)
def test_any_roles_are_judged(roles):
    """Each fault has a row of the catalogue and quotes no value."""
    for fault in role_faults(roles):
        assert fault.row in CATALOGUE
        assert fault.row in {MALFORMED, fault.code}
        assert fault.index is None or fault.index < len(roles)
