import facts
import pytest
from processes import Usps


@pytest.fixture(scope="module")
def usps():
    with Usps("--quota", "none") as process:
        yield process


@pytest.fixture
def shop(usps):
    with facts.shop_of(usps) as shop:
        yield shop
