"""A worker of a shop that calls USPS by an SDK: `sdk_worker.py SDK BASE_URL CACHE_DIR [alone]`.

Runs in the Python that UTB_SDKS_PYTHON names. Does what each line of its input says, `label`,
`cancel` or `address`, and answers with a line of JSON: what USPS made of it, or the error. `alone`
leaves the SDK as it is.
"""

import json
import logging
import sys

from usps_token_client import TokenClient, sdks

FROM = {"streetAddress": "4120 Bingham Ave", "city": "St Louis", "state": "MO", "ZIPCode": "63116"}
TO = {"streetAddress": "1100 Wyoming St", "city": "St Louis", "state": "MO", "ZIPCode": "63118"}
NEVER_SENT = {"client_id": "no-id-of-usps", "client_secret": "no-secret-of-usps"}


class UspsV3:
    """usps-v3."""

    def __init__(self, base_url, tokens, cache_dir):
        import usps_v3

        client = usps_v3.Client(**NEVER_SENT, base_url=base_url, cache_dir=cache_dir)
        self.client = sdks.usps_v3(client, tokens)

    def address(self):
        return self.client.addresses.validate("475 LENFANT PLZ SW", city="WASHINGTON", state="DC")

    def label(self):
        return self.client.labels.create(FROM, TO, "USPS_GROUND_ADVANTAGE", 0.5)["trackingNumber"]

    def cancel(self):
        return self.client.labels.void(self.label())["status"]

    def refresh(self):
        return self.client.refresh_tokens()

    def status(self):
        return self.client.token_status

    def again(self):
        sdks.usps_v3(self.client, TokenClient())


class Apimatic:
    """apimatic-usps-sdk."""

    def __init__(self, base_url, tokens, _cache_dir):
        from uspsapi.configuration import Configuration, Environment, Server
        from uspsapi.uspsapi_client import UspsapiClient

        Configuration.environments = {
            Environment.PRODUCTION: {
                Server.DEFAULT: f"{base_url}/",
                Server.AUTH_SERVER: f"{base_url}/oauth2/v3",
            }
        }
        self.client = sdks.apimatic(UspsapiClient(), tokens)
        self.resources = self.client.resources

    def address(self):
        answer = self.resources.get_address(
            "addresses", "475 LENFANT PLZ SW", "DC", city="WASHINGTON"
        )
        return answer.body.address.city

    def label(self):
        body = {"fromAddress": FROM, "toAddress": TO, "packageDescription": {"weight": 0.5}}
        answer = self.resources.post_label("labels", "no-token-of-usps", body)
        return _tracking_number(answer.text)

    def cancel(self):
        answer = self.resources.delete_label("labels", self.label(), "no-token-of-usps")
        return json.loads(answer.text)["status"]

    def again(self):
        sdks.apimatic(self.client, TokenClient())


class Karrio:
    """karrio-usps."""

    def __init__(self, base_url, tokens, _cache_dir):
        import karrio.sdk as karrio
        from karrio.core import models
        from karrio.core.utils.logger import logger
        from karrio.providers.usps.utils import Settings

        logger.remove()
        Settings.server_url = base_url
        account = {"CRID": "12345678", "MID": "900012345", "manifest_MID": "900012345"}
        settings = {"carrier_id": "usps", "account_number": "1000000001", **NEVER_SENT, **account}
        self.gateway = sdks.karrio(karrio.gateway["usps"].create(settings), tokens)
        self.karrio = karrio
        self.models = models

    def label(self):
        asked = self.models.ShipmentRequest(
            service="usps_ground_advantage",
            shipper=_party(FROM),
            recipient=_party(TO),
            parcels=[{"weight": 0.5, "weight_unit": "LB", "length": 9, "width": 6, "height": 1}],
        )
        details, messages = self.karrio.Shipment.create(asked).from_(self.gateway).parse()
        return details.tracking_number if details else _raise(messages)

    def cancel(self):
        asked = self.models.ShipmentCancelRequest(shipment_identifier=self.label())
        details, messages = self.karrio.Shipment.cancel(asked).from_(self.gateway).parse()
        return "CANCELED" if details and details.success else _raise(messages)

    def again(self):
        sdks.karrio(self.gateway, TokenClient())


def _party(address):
    return {
        "person_name": "Pat Doe",
        "address_line1": address["streetAddress"],
        "city": address["city"],
        "state_code": address["state"],
        "postal_code": address["ZIPCode"],
        "country_code": "US",
    }


def _raise(messages):
    raise RuntimeError("; ".join(f"{message.code} {message.message}" for message in messages))


def _tracking_number(multipart):
    """USPS answers a label in parts, which this SDK hands on as they came."""
    metadata = next(line for line in multipart.splitlines() if line.startswith("{"))
    return json.loads(metadata)["trackingNumber"]


def main():
    name, base_url, cache_dir, *rest = sys.argv[1:]
    logging.disable()
    if rest == ["alone"]:
        sdks.usps_v3 = sdks.karrio = lambda made, _tokens: made
    sdk = {"usps_v3": UspsV3, "apimatic": Apimatic, "karrio": Karrio}[name](
        base_url, TokenClient(), cache_dir
    )
    print(json.dumps({"ok": "ready"}), flush=True)
    for line in sys.stdin:
        try:
            told = {"ok": getattr(sdk, line.strip())()}
        except Exception as error:
            told = {"error": type(error).__name__, "text": str(error)[:500]}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
