"""What the demo found, and whether the promises held."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final

MOST_SECONDS: Final = 60.0


@dataclass(slots=True)
class Figures:
    """Everything counted so far. Spans are seconds."""

    workers: int
    life_seconds: int
    seconds: float = 0.0
    worker_calls: int = 0
    failed_calls: int = 0
    refused_calls: int = 0
    busy_workers: set[int] = field(default_factory=set)
    bearer_calls: int = 0
    payment_calls: int = 0
    bearer_serials: list[int] = field(default_factory=list)
    payment_serials: list[int] = field(default_factory=list)
    changed_at: float = 0.0
    """When a token was last seen to be new."""
    revoked_at: float | None = None
    cured_at: float | None = None
    """When workers were served by a bearer granted after the revocation."""
    last_failure: str = ""

    @property
    def rotations(self) -> int:
        """Planned renewals of the bearer: every new one but the first and the revoked one's."""
        extra = 1 if self.cured_at is not None else 0
        return max(0, len(self.bearer_serials) - 1 - extra)

    @property
    def calls_with_a_cache_each(self) -> int:
        """Calls USPS would have seen had each process kept its own tokens, renewed as often."""
        return self.workers * (len(self.bearer_serials) + len(self.payment_serials))

    def as_fields(self) -> dict[str, Any]:
        """They for JSON."""
        fields = asdict(self)
        del fields["busy_workers"]
        fields["busy_workers"] = len(self.busy_workers)
        fields["rotations"] = self.rotations
        fields["calls_with_a_cache_each"] = self.calls_with_a_cache_each
        fields["promises"] = [{"promise": text, "held": held} for text, held in promises(self)]
        return fields


def promises(figures: Figures) -> list[tuple[str, bool]]:
    """Each promise in words, and whether it held."""
    return [
        (f"all {figures.workers} workers made calls", len(figures.busy_workers) == figures.workers),
        ("no call of a worker failed", figures.failed_calls == 0 and figures.worker_calls > 0),
        ("at least two planned rotations", figures.rotations >= 2),  # noqa: PLR2004
        (
            "USPS saw one bearer call per token",
            figures.bearer_calls == len(figures.bearer_serials) > 0,
        ),
        (
            "USPS saw one payment call per token",
            figures.payment_calls == len(figures.payment_serials) > 0,
        ),
        (
            "the early revocation cost one call",
            figures.cured_at is not None and figures.refused_calls > 0,
        ),
        ("it ended within a minute", figures.seconds < MOST_SECONDS),
    ]


def held(figures: Figures) -> bool:
    """Whether every promise held."""
    return all(kept for _, kept in promises(figures))
