"""Lets USPS SDKs of the registry take their tokens from the broker, and fetch none themselves.

    from usps_token_client import TokenClient, sdks

    tokens = TokenClient()
    sdks.usps_v3(usps_v3.Client("broker", "broker"), tokens)
    sdks.karrio(karrio.gateway["usps"].create({...}), tokens)
    sdks.apimatic(UspsapiClient(), tokens)

Each takes the SDK's own object, changes it in place, and gives it back; no SDK is imported here.
The id and secret that an SDK insists on are never sent, so any text will do. `payment` names the
payment token of label calls. A call to another host than that of the broker's app raises
ValueError, and no token goes there. What the broker cannot give is a `BrokerError`, which
karrio alone turns into a message of its own.
"""

from __future__ import annotations

from ._apimatic import apimatic
from ._karrio import karrio
from ._usps_v3 import usps_v3

__all__ = ["apimatic", "karrio", "usps_v3"]
