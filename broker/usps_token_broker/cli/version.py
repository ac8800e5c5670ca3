"""`usps-token-broker --version`: what a report of trouble has to say, and nothing secret."""

from collections.abc import Iterator

from usps_token_broker.doctor import versions


def lines() -> Iterator[str]:
    """Our own version first, for programs; then a name and a value each, for people. Blocks."""
    (name, ours), *others = versions.facts()
    yield f"{name} {ours}"
    for name, value in others:
        yield f"{name:<10} {value}"
