"""What may leave the host in a bundle."""

from usps_token_broker.doctor.masking import Mask
from usps_token_broker.wire.redaction import MARK


def test_numbers_that_may_name_an_account_are_taken_out():
    """CRIDs, MIDs, parcels."""
    mask = Mask([])
    assert mask.text("CRID 12345678, MID 900012") == "CRID […], MID […]"


def test_the_codes_of_usps_stay():
    """A report without them says nothing."""
    assert Mask([]).text("USPS answered 400 160229 and 100007") == (
        "USPS answered 400 160229 and 100007"
    )


def test_a_code_that_the_configuration_holds_as_an_id_goes():
    """A MID may look like one."""
    roles = [{"roleName": "PAYER", "MID": "160229"}]
    mask = Mask([{"apps": {"a": {"payments": {"b": {"roles": roles}}}}}])
    assert mask.text("MID 160229") == "MID […]"


def test_what_tells_who_a_person_is_goes():
    """As a whole word: letters of other words stay, and so do directories of services."""
    mask = Mask([], names=["ann"])
    line = "ann cannot write /home/ann.lee/x: planned (/home/bo/b.toml) in /var/lib/home/x"
    told = f"{MARK} cannot write /home/{MARK}/x: planned (/home/{MARK}/b.toml) in /var/lib/home/x"
    assert mask.text(line) == told
