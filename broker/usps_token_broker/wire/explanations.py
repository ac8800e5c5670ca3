"""What an error is, in JSON."""

from typing import Annotated

import msgspec

from usps_token_broker.catalogue import Who
from usps_token_broker.wire.explaining import Explanation
from usps_token_broker.wire.saying import says


class RowMessage(msgspec.Struct, frozen=True):
    """One error of the catalogue."""

    code: Annotated[str, says("Its stable name; of USPS's own codes the number")]
    symptom: Annotated[str, says("What is seen of it")]
    cause: Annotated[str, says("Why")]
    fix: Annotated[str, says("What to do about it")]
    who: Annotated[str, says("Who can", words=Who)]
    source: Annotated[str, says("Where this is known from")]


class CatalogueMessage(msgspec.Struct, frozen=True):
    """`GET /v1/explanations`: every error that has a name."""

    rows: Annotated[list[RowMessage], says("In the order in which people are likely to need them")]


class ExplanationMessage(msgspec.Struct, frozen=True):
    """`POST /v1/explanations`: the row that a call is, and what was seen of it."""

    code: Annotated[str, says("The stable name of the row")]
    recognised: Annotated[bool, says("Whether a row knows this; else `fix` says how to report it")]
    detail: Annotated[str, says("What was seen; no secret in it")]
    fix: Annotated[str, says("What to do about it")]
    symptom: Annotated[str, says("What is seen of this error in general")]
    cause: Annotated[str, says("Why it happens")]
    who: Annotated[str, says("Who can put it right", words=Who)]
    source: Annotated[str, says("Where this is known from")]


class UnrecognisedAnswer(msgspec.Struct, frozen=True):
    """An answer of USPS that no row knows, redacted."""

    status: Annotated[int, says("The HTTP status that USPS answered")]
    path: Annotated[str, says("What was called, without query and numbers")]
    words: Annotated[str, says("Its body as one line, cut, without what may be a secret")]
    times: Annotated[int, says("How often it was seen")]
    first_at: Annotated[float, says("When it was seen first, Unix seconds")]
    last_at: Annotated[float, says("When it was seen last, Unix seconds")]


class UnrecognisedMessage(msgspec.Struct, frozen=True):
    """`GET /v1/unrecognised`: for a report to the makers."""

    answers: Annotated[list[UnrecognisedAnswer], says("At most 20 different ones")]


def explanation_message(found: Explanation) -> ExplanationMessage:
    """An explanation as it goes over the wire."""
    return ExplanationMessage(
        code=found.row.code,
        recognised=found.recognised,
        detail=found.detail,
        fix=found.fix,
        symptom=found.row.symptom,
        cause=found.row.cause,
        who=found.row.who.value,
        source=found.row.source,
    )
