"""The messages of HTTP libraries, and of wget, about calls that failed: real ones, one a line."""

from pathlib import Path

import pytest

from usps_token_broker.wire.explaining import WITH_BODY, Explanation, explain

MESSAGES = [
    line.replace("\\n", "\n").split("\t")
    for line in Path(__file__).with_name("library_messages.txt").read_text("utf-8").splitlines()
]
"""The row and the message; `status` where only the status is told, to be filled in."""


def told(text: str) -> Explanation:
    """The explanation of this text."""
    return explain(text, now=1_790_000_000.0)


@pytest.mark.parametrize(("code", "text"), [m for m in MESSAGES if m[0] != "status"])
def test_why_a_library_got_no_answer_has_its_row(code: str, text: str) -> None:
    """Its last line, and the whole traceback."""
    for told_of in (text, f"Traceback (most recent call last):\n  File x\n{text}\n"):
        assert told(told_of).row.code == code


@pytest.mark.parametrize(
    "text",
    [
        "redis.exceptions.ConnectionError: Error 111 connecting to h:6379. Connection refused.",
        "psycopg2.OperationalError: connection to server failed: Connection refused",
        "TimeoutError: timed out",
    ],
)
def test_what_others_got_no_answer_of_is_not_recognised(text: str) -> None:
    """A database has the same words."""
    assert not told(text).recognised


def test_a_message_of_our_own_client_is_told_by_its_name() -> None:
    """The words of the system stand in the same traceback."""
    last = "usps_token_client.BrokerNotRunning: nobody listens there [not_running]"
    assert told(f"httpx.ConnectError: Connection refused\n\n{last}").row.code == "not_running"


@pytest.mark.parametrize("words", [text for code, text in MESSAGES if code == "status"])
def test_a_status_in_a_message_is_read(words: str) -> None:
    """Of 429 it says all; of 401 the body is wanted, which alone says why."""
    assert told(words.format(429)).row.code == "rate_limited"
    found = told(words.format(401))
    assert (found.recognised, found.fix) == (False, WITH_BODY)
