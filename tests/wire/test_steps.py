"""What the core does next, in words for people."""

import pytest

from usps_token_broker.core.phases import Cause
from usps_token_broker.wire.steps import in_words


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("due", "renewal"),
        ("due, when the budget allows", "renewal, when the budget allows"),
        ("retry", "retry"),
        ("a cause of tomorrow", "a cause of tomorrow"),
        ("", ""),
    ],
)
def test_a_step_is_told_in_words(why: str, said: str) -> None:
    """With what holds it back; a word of another version as it is."""
    assert in_words(why) == said


def test_no_two_steps_sound_the_same() -> None:
    """Each cause has words of its own."""
    assert len({in_words(cause.value) for cause in Cause}) == len(Cause)
