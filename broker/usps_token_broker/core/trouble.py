"""What is wrong with a slot, in words that last until the next grant."""

from dataclasses import dataclass
from typing import Self

from usps_token_broker.core.outcomes import Code, Failure, FailureKind


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last failure, since when failures have followed each other, and how many."""

    kind: FailureKind
    code: Code
    detail: str
    fix: str
    since_at: float
    """Unix seconds."""
    last_at: float
    """Unix seconds."""
    times: int = 1
    upstream_status: int | None = None
    sub_code: str | None = None
    reason: str | None = None
    """The row of the catalogue."""

    @classmethod
    def after(cls, before: Self | None, failure: Failure, wall: float) -> Self:
        """The trouble once this failure has followed the one before."""
        return cls(
            kind=failure.kind,
            code=failure.code,
            detail=failure.detail,
            fix=failure.fix,
            since_at=before.since_at if before else wall,
            last_at=wall,
            times=before.times + 1 if before else 1,
            upstream_status=failure.upstream_status,
            sub_code=failure.sub_code,
            reason=failure.reason,
        )
