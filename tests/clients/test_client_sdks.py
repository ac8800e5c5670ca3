"""What is handed to `sdks` and is none; the SDKs themselves are met in tests/sdks."""

import pytest

from usps_token_client import TokenClient, sdks


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
