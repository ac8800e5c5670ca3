"""What USPS says of time in its headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.wire.usps_dates import retry_after_seconds, skew_seconds

DATE = "Wed, 28 May 2025 13:31:51 GMT"
DATE_AT = 1_748_439_111


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("30", 30.0, id="seconds"),
        pytest.param(" 0 ", 0.0, id="zero"),
        pytest.param("2.5", 2.5, id="a fraction, which RFC 9110 does not have"),
        pytest.param("31536000", 31_536_000.0, id="a year is passed on"),
        pytest.param("9" * 50, 1e50, id="beyond all measure is passed on"),
        pytest.param("Wed, 28 May 2025 13:33:51 GMT", 120.0, id="a date"),
        pytest.param("Wednesday, 28-May-25 13:33:51 GMT", 120.0, id="a date as of RFC 850"),
        pytest.param("Wed May 28 13:33:51 2025", 120.0, id="a date as of asctime"),
        pytest.param("Wed, 28 May 2025 13:33:51 -0000", 120.0, id="a date without a zone"),
        pytest.param(DATE, 0.0, id="now"),
        pytest.param("Wed, 28 May 2025 13:31:50 GMT", None, id="a date before"),
        pytest.param("-5", None, id="negative"),
        pytest.param("soon", None, id="a word"),
        pytest.param("", None, id="empty"),
        pytest.param("nan", None, id="nan"),
        pytest.param("inf", None, id="inf"),
        pytest.param("1e9", None, id="exponent"),
        pytest.param("\u0663\u0660", None, id="digits of another script"),
        pytest.param("9" * 5000, None, id="a page of digits"),
        pytest.param("Retry-After: 30", None, id="the name once more"),
        pytest.param("Wed, 32 May 2025 13:33:51 GMT", None, id="no such day"),
    ],
)
def test_reads_retry_after(value: str, seconds: float | None) -> None:
    """Seconds or a date; nonsense and the past count as silence."""
    assert retry_after_seconds({"Retry-After": value, "Date": DATE}) == pytest.approx(seconds)


def test_a_date_needs_the_date_of_the_answer() -> None:
    """Our own clock is never asked."""
    assert retry_after_seconds({"Retry-After": DATE}) is None


def test_silence_is_none() -> None:
    """No header, no wait."""
    assert retry_after_seconds({}) is None


def test_tells_the_skew() -> None:
    """USPS's clock less ours: positive when USPS is ahead."""
    assert skew_seconds({"date": DATE}, DATE_AT - 90.0) == 90.0


@pytest.mark.parametrize("value", ["", "yesterday", "Wed, 28 May 99999 13:31:51 GMT", "0"])
def test_no_date_no_skew(value: str) -> None:
    """A header that is no date tells nothing."""
    assert skew_seconds({"Date": value}, 0.0) is None


@given(st.text(max_size=70), st.text(max_size=70))
def test_never_raises(value: str, date: str) -> None:
    """Whatever stands in the headers."""
    seconds = retry_after_seconds({"Retry-After": value, "Date": date})
    assert seconds is None or seconds >= 0
    skew_seconds({"Date": date}, 0.0)


@given(
    st.from_regex(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{1,5} \d\d?:\d\d?:\d\d? [+-]?\w{1,5}")
)
def test_never_raises_for_what_looks_like_a_date(value: str) -> None:
    """Months and zones that do not exist, years without end."""
    skew_seconds({"Date": value}, 0.0)
