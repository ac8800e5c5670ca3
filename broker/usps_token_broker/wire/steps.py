"""What the core does next, in words for people."""

from typing import Final

from usps_token_broker.core.phases import Cause

_WORDS: Final = {
    Cause.MISSING.value: "fetch",
    Cause.DUE.value: "renewal",
    Cause.ORDERED.value: "renewal by hand",
    Cause.REPORTED.value: "renewal (reported by workers)",
    Cause.CLOCK.value: "renewal (a clock was set)",
    Cause.PROOF.value: "try of the changed secret",
    Cause.PROBE.value: "another try",
}


def in_words(why: str) -> str:
    """The `next_attempt_why` of a status, with what holds it back; unknown words stay as they are.

    A broker of another version may have words of its own.
    """
    cause, comma, held = why.partition(",")
    return f"{_WORDS.get(cause, cause)}{comma}{held}"
