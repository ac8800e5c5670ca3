"""A running simulator on a clock that stands still, and a shop that calls it as a worker would."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from usps_token_broker.simulator import EXAMPLE_LABEL, EXAMPLE_ROLES, Api, ManualClock, Simulator
from usps_token_broker.simulator import running as running_simulator

ADDRESS = {"streetAddress": "1100 Wyoming St", "city": "St. Louis", "state": "MO"}
CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": "demo-client-id",
    "client_secret": "demo-client-secret",
}


@dataclass
class Shop:
    """Makes good calls; its tokens are those it was granted last."""

    usps: Simulator
    http: httpx.AsyncClient
    bearer: str = ""
    payment: str = ""
    credentials: dict[str, str] = field(default_factory=lambda: dict(CREDENTIALS))

    @property
    def headers(self) -> dict[str, str]:
        """Both tokens, as a label call carries them."""
        shown = {
            "Authorization": self.bearer and f"Bearer {self.bearer}",
            "X-Payment-Authorization-Token": self.payment,
        }
        return {name: value for name, value in shown.items() if value}

    async def ask_token(self, **fields: str) -> httpx.Response:
        """Ask for a bearer, as JSON."""
        return await self.http.post("/oauth2/v3/token", json={**self.credentials, **fields})

    async def ask_payment(self, roles: object = EXAMPLE_ROLES) -> httpx.Response:
        """Ask for a payment token with the bearer at hand."""
        return await self.http.post(
            "/payments/v3/payment-authorization", json={"roles": roles}, headers=self.headers
        )

    async def ask_address(self, **query: str) -> httpx.Response:
        """Look an address up."""
        return await self.http.get(
            "/addresses/v3/address", params={**ADDRESS, **query}, headers=self.headers
        )

    async def ask_label(
        self, label: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Print a label; the answer is USPS's own JSON type."""
        return await self.http.post(
            "/labels/v3/label",
            json=dict(EXAMPLE_LABEL) if label is None else label,
            headers={
                **self.headers,
                "Accept": "application/vnd.usps.labels+json",
                **(headers or {}),
            },
        )

    async def ask(self, api: Api) -> httpx.Response:
        """A good call at this endpoint."""
        match api:
            case Api.TOKEN:
                return await self.ask_token()
            case Api.PAYMENT:
                return await self.ask_payment()
            case Api.ADDRESSES:
                return await self.ask_address()
            case Api.LABELS:
                return await self.ask_label()

    async def open(self) -> "Shop":
        """Get both tokens, and forget the calls it took."""
        self.bearer = granted(await self.ask_token())["access_token"]
        self.payment = granted(await self.ask_payment())["paymentAuthorizationToken"]
        self.usps.reset()
        return self


def granted(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def usps(clock: ManualClock) -> AsyncIterator[Simulator]:
    async with running_simulator(clock=clock) as simulator:
        yield simulator


@pytest.fixture
async def closed_shop(usps: Simulator) -> AsyncIterator[Shop]:
    """A shop without tokens."""
    async with httpx.AsyncClient(base_url=usps.base_url, timeout=20.0, verify=False) as http:
        yield Shop(usps, http)


@pytest.fixture
async def shop(closed_shop: Shop) -> Shop:
    """A shop with both tokens and no calls on record."""
    return await closed_shop.open()
