"""What is wrong with a slot, as it adds up."""

from core_words import failure

from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.trouble import Trouble


def test_a_first_failure_begins_a_trouble():
    """Once, since now."""
    trouble = Trouble.after(None, failure(FailureKind.TRANSIENT), 100.0)
    assert (trouble.times, trouble.since_at, trouble.last_at) == (1, 100.0, 100.0)


def test_further_failures_keep_since_when():
    """The last one's words, the first one's time."""
    first = Trouble.after(None, failure(FailureKind.TRANSIENT), 100.0)
    second = Trouble.after(first, failure(FailureKind.REFUSED), 160.0)
    assert (second.times, second.since_at, second.last_at) == (2, 100.0, 160.0)
    assert second.kind is FailureKind.REFUSED
