"""Every shape in which USPS says no, as one value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usps_tokens import PAGE, api_error, fault, oauth_error

from usps_token_broker.wire.usps import (
    MAX_ANSWER_BYTES,
    Shape,
    UspsError,
    error_of,
    header,
    is_compressed,
    parse_error,
)

MALFORMED = {
    "title": "invalid_token",
    "detail": "The access token presented with the request is missing or malformed (not a JWT).",
    "source": "Access Token",
}
WORDS = "CRID isn't enrolled in USPS Ship Outbound"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            oauth_error("invalid_client", "Client authentication failed."),
            UspsError("invalid_client", "Client authentication failed.", (), Shape.OAUTH),
            id="oauth",
        ),
        pytest.param(
            b'{"error": "invalid_client"}',
            UspsError("invalid_client", "", (), Shape.OAUTH),
            id="oauth without words",
        ),
        pytest.param(
            api_error(401, "Missing or malformed access token.", MALFORMED),
            UspsError(
                "401",
                "Missing or malformed access token. The access token presented with the request "
                "is missing or malformed (not a JWT)",
                ("invalid_token",),
                Shape.API,
                ("Access Token",),
            ),
            id="api, source is a string, blanks first",
        ),
        pytest.param(
            api_error(
                400,
                "Bad Request",
                {
                    "status": "400",
                    "code": "160228",
                    "title": "Bad Request",
                    "detail": "PAYER is required",
                    "source": {"parameter": "roles", "example": ""},
                },
            ),
            UspsError("400", "PAYER is required", ("160228",), Shape.API, ("roles",)),
            id="api, source is an object",
        ),
        pytest.param(
            api_error(401, ""), UspsError("401", "", (), Shape.API), id="api with an empty message"
        ),
        pytest.param(
            b'{"error": {"code": 403, "message": "no", "errors": {"a": 1}}}',
            UspsError("403", "no", (), Shape.API),
            id="api, code a number, errors no list",
        ),
        pytest.param(
            b'{"error": {"errors": [null, "x", {"code": 160228, "detail": 5}]}}',
            UspsError("", "", ("160228",), Shape.API),
            id="api, entries of wrong types",
        ),
        pytest.param(
            fault("Raising fault. Fault name : RF-AccessControl", "steps.raisefault.RaiseFault"),
            UspsError(
                "steps.raisefault.RaiseFault",
                "Raising fault. Fault name : RF-AccessControl",
                (),
                Shape.FAULT,
            ),
            id="fault",
        ),
        pytest.param(b'{"fault": {}}', UspsError("", "", (), Shape.FAULT), id="bare fault"),
        pytest.param(
            json.dumps({"body": WORDS, "roles": [{"CRID": "1"}]}).encode(),
            UspsError("", WORDS, (), Shape.ENROLMENT),
            id="enrolment",
        ),
        pytest.param(
            b'{"message": "Unauthorized"}',
            UspsError("", "Unauthorized", (), Shape.JSON),
            id="some JSON",
        ),
        pytest.param(b"[1, 2]", UspsError("", "", (), Shape.JSON), id="JSON, no object"),
        pytest.param(PAGE, UspsError("", "Access Denied", (), Shape.HTML), id="page"),
        pytest.param(b"<?xml ?><e/>", UspsError("", "", (), Shape.HTML), id="xml"),
        pytest.param(b"", UspsError("", "", (), Shape.EMPTY), id="empty"),
        pytest.param(b" \r\n\t ", UspsError("", "", (), Shape.EMPTY), id="blanks"),
        pytest.param(b"\xef\xbb\xbf", UspsError("", "", (), Shape.EMPTY), id="byte order mark"),
        pytest.param(
            b"upstream error\n", UspsError("", "upstream error", (), Shape.TEXT), id="text"
        ),
        pytest.param(
            b'"upstream error"', UspsError("", "upstream error", (), Shape.TEXT), id="string"
        ),
        pytest.param(
            b'{"timestamp": 1, "status": 401, "error": "Unauthorized", "message": "no scope"}',
            UspsError("Unauthorized", "no scope", (), Shape.OAUTH),
            id="words beside the error",
        ),
        pytest.param(
            b'{"error": "no scope"}',
            UspsError("", "no scope", (), Shape.OAUTH),
            id="words as error",
        ),
        pytest.param(
            b'[{"CODE": "E1", "Message": "no"}]', UspsError("E1", "no", (), Shape.JSON), id="a list"
        ),
        pytest.param(
            b'{"errors": [{"code": 401, "message": "no"}, "never"]}',
            UspsError("401", "no. never", (), Shape.JSON),
            id="errors without an error",
        ),
        pytest.param(
            b'{"error": {"code": "401", "error": {"description": "no", "title": "invalid_token"}}}',
            UspsError("401", "no", ("invalid_token",), Shape.API),
            id="an error in an error",
        ),
        pytest.param(
            b'{"body": {"scope": "x", "message": "no"}}',
            UspsError("", "no", (), Shape.JSON),
            id="an error in a body",
        ),
        pytest.param(
            b'[{"message": "no", "x',
            UspsError("", "no", (), Shape.CUT),
            id="a list that ends too soon",
        ),
        pytest.param(b"\xff\xfe\x00", UspsError("", "", (), Shape.GARBAGE), id="no text at all"),
        pytest.param(b"[" * 5000, UspsError("", "", (), Shape.GARBAGE), id="nested too deeply"),
        pytest.param(
            b"\xef\xbb\xbf" + oauth_error("invalid_client", "no"),
            UspsError("invalid_client", "no", (), Shape.OAUTH),
            id="byte order mark, then JSON",
        ),
        pytest.param(
            b'{"error": "invalid_client", "error_description": "caf\xe9"}',
            UspsError("invalid_client", "caf\ufffd", (), Shape.OAUTH),
            id="not UTF-8",
        ),
        pytest.param(
            b'{"error": "' + b"x" * MAX_ANSWER_BYTES + b'"}',
            UspsError("", "", (), Shape.TOO_LARGE),
            id="too large",
        ),
    ],
)
def test_reads_each_shape(body: bytes, expected: UspsError) -> None:
    """Each shape that USPS has, and each that it could have, is one value."""
    assert parse_error(body) == expected


@pytest.mark.parametrize("error", ["no code", "<b>", "\x1b[31m", "x" * 65, "", "a\nb"])
def test_a_code_is_a_word(error: str) -> None:
    """What is no word does not become a code, so a code can be shown as it is."""
    assert parse_error(json.dumps({"error": error}).encode()).code == ""


def test_a_huge_number_is_no_code() -> None:
    """Python refuses to print integers of thousands of digits."""
    body = b'{"error": {"code": ' + b"9" * 4000 + b"}}"
    assert parse_error(body).code == ""


def test_things_said_twice_are_said_once() -> None:
    """Message, title and detail of USPS often repeat each other."""
    item = {"title": "Bad request", "detail": "Invalid Zip Code.", "source": "API"}
    assert parse_error(api_error(400, "Invalid Zip Code.", item)).message == "Invalid Zip Code"


def test_a_title_that_begins_the_detail_is_not_said_again() -> None:
    """Neither is a message that the detail has whole in it."""
    item = {"title": "No scope", "detail": "No scope: the token does not reach this"}
    error = parse_error(api_error(401, "No scope.", item))
    assert error.message == "No scope: the token does not reach this"


def test_many_errors_are_bounded() -> None:
    """A list of thousands of errors is not carried along."""
    items = [{"code": str(100000 + n)} for n in range(1000)]
    assert len(parse_error(api_error(400, "no", *items)).sub_codes) == 20


CUT = api_error(401, "Missing or malformed access token.", MALFORMED)


def test_reads_what_there_is_of_cut_json() -> None:
    """Workers send the first 4 KB: the strings that are there are read, in their order."""
    error = parse_error(CUT[: CUT.index(b"(not a JWT")])
    assert error == UspsError(
        "401",
        "Missing or malformed access token. The access token presented with the request is "
        "missing or malformed",
        ("invalid_token",),
        Shape.CUT,
    )


def test_json_may_be_cut_within_an_escape() -> None:
    """Half an escape stays as it is written."""
    body = '{"error": "x", "error_description": "a\\u00e4 b\\u00'
    assert parse_error(body).message == "a\\u00e4 b\\u00"
    assert parse_error(body[:-4]).message == "a\u00e4 b"


def test_cut_json_never_says_more_than_the_whole() -> None:
    """Wherever an answer is cut, no code appears that it does not have."""
    whole = parse_error(CUT)
    for end in range(len(CUT)):
        cut = parse_error(CUT[:end])
        assert {cut.code, *cut.sub_codes} <= {"", whole.code, *whole.sub_codes}


def test_text_in_place_of_bytes() -> None:
    """A report carries the body as text."""
    assert parse_error('{"error": "invalid_client"}').code == "invalid_client"


@given(st.binary(max_size=2000) | st.text(max_size=2000))
def test_never_raises(body: bytes | str) -> None:
    """Whatever the body holds, there is a value, and its code is a word."""
    error = parse_error(body)
    assert error.shape in Shape
    assert error.text.startswith(error.code)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "fault", "detail", "errors", "code", "message", "body", "roles", "source"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(json_values, st.integers(0, 500))
def test_never_raises_for_json_of_any_form(value: object, end: int) -> None:
    """The right names with wrong types in them, whole and cut."""
    body = json.dumps(value).encode()
    for part in (body, body[:end]):
        error = parse_error(part)
        assert all(isinstance(text, str) for text in (*error.sub_codes, *error.sources))


def test_headers_are_found_in_any_case() -> None:
    """Header names have no case (RFC 9110 5.1)."""
    assert header({"RETRY-After": " 30 "}, "retry-after") == "30"
    assert header({}, "retry-after") == ""


@pytest.mark.parametrize(
    ("encoding", "compressed"), [("gzip", True), ("BR", True), ("identity", False), ("", False)]
)
def test_tells_a_compressed_body(encoding: str, compressed: bool) -> None:  # noqa: FBT001 - a row
    """Only `identity` or nothing at all is a body that can be read."""
    assert is_compressed({"Content-Encoding": encoding}) is compressed


def test_a_compressed_body_is_not_read() -> None:
    """Bytes of gzip are not taken for garbage of USPS."""
    assert error_of({"content-encoding": "gzip"}, b"\x1f\x8b").shape is Shape.COMPRESSED
