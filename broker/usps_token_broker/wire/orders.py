"""What came of an administrator's order, in JSON."""

from typing import Annotated

import msgspec

from usps_token_broker.core.commands import Outcome
from usps_token_broker.core.credentials import Standing
from usps_token_broker.wire.problems import ConfigProblem
from usps_token_broker.wire.saying import says


class RenewalMessage(msgspec.Struct, frozen=True):
    """`POST /v1/tokens/{slot}/renewals`: the token that is in use now."""

    app: Annotated[str, says("Its app")]
    slot: Annotated[str, says("Its slot")]
    outcome: Annotated[str, says("What came of the order", words=(Outcome.RENEWED,))]
    serial: Annotated[int, says("Names the new grant")]
    expires_at: Annotated[float, says("The end of its life, Unix seconds")]
    expires_in: Annotated[float, says("Seconds until then")]


class SecretMessage(msgspec.Struct, frozen=True):
    """What came of a changed client secret."""

    app: Annotated[str, says("Whose")]
    outcome: Annotated[
        str,
        says(
            "`pending` while USPS has not said",
            words=(Standing.ACCEPTED, Standing.REFUSED, Standing.PENDING),
        ),
    ]
    detail: Annotated[str, says("The same for people")]
    good_until: Annotated[
        float | None,
        says(
            "Until when the token of the secret before is served, where the new one is refused; "
            "Unix seconds"
        ),
    ] = None


class ReloadMessage(msgspec.Struct, frozen=True):
    """`POST /v1/reload`: what is different now."""

    changed: Annotated[list[str], says("Each difference, for people")]
    secrets: Annotated[list[SecretMessage], says("What came of those that changed")]
    left_out: Annotated[
        list[ConfigProblem],
        says("Payment files that cannot be used. What was read from them before stays in force"),
    ]
    warnings: Annotated[list[str], says("What works, and is hardly meant")]


class ForgottenSlot(msgspec.Struct, frozen=True):
    """A token that is no longer there."""

    app: Annotated[str, says("Its app")]
    slot: Annotated[str, says("Its slot")]


class ForgottenMessage(msgspec.Struct, frozen=True):
    """`POST /v1/forget`."""

    forgotten: Annotated[list[ForgottenSlot], says("Every slot that was told to forget")]
