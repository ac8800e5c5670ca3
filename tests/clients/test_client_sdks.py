"""What is handed to `sdks` and is none; the SDKs themselves are met in tests/sdks."""

import pytest

from usps_token_client import TokenClient, sdks
from usps_token_client.sdks._given import Given


class Other:
    """Something else, whose text is nobody's business."""

    auth_managers = ()

    def __repr__(self):
        return "Zx9canaryQ7"


@pytest.mark.parametrize("attach", [sdks.usps_v3, sdks.karrio, sdks.apimatic])
@pytest.mark.parametrize("thing", [Other(), None, {}], ids=["object", "none", "dict"])
def test_what_is_not_the_sdks_object_is_refused(attach, thing):
    """By its type, before any SDK is imported; its text may hold a secret."""
    with pytest.raises(TypeError, match="is wanted, not") as refused:
        attach(thing, TokenClient())
    assert "Zx9canaryQ7" not in str(refused.value)


@pytest.mark.parametrize("prefix", ["", "/usps"])
def test_a_gateways_prefix_is_not_part_of_the_path(broker, prefix):
    """A label call behind one gets the payment token as well, and no other call does."""
    base = broker.base_url = f"https://gateway.example{prefix}"
    given = Given(TokenClient(broker.path), "default")
    assert "X-Payment-Authorization-Token" in given.headers(f"{base}/labels/v3/label?a=b")
    assert "X-Payment-Authorization-Token" not in given.headers(f"{base}/x?/labels/")
