"""The JSON of the local interface: what it says, and what it takes."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usps_token_broker.wire import explanations, messages, orders, status
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.events import (
    AliveEvent,
    ReloadedEvent,
    RemovedEvent,
    SlotEvent,
    StoppingEvent,
    decode_event,
    status_event,
)
from usps_token_broker.wire.messages import (
    AnswerReport,
    HeadersMessage,
    TokenMessage,
    Veiled,
    VerdictMessage,
    decode_report,
)
from usps_token_broker.wire.status import AppMessage, SlotMessage, StatusMessage

CANARY = "canary-5e1f"
WITH_TOKENS = [
    TokenMessage(
        CANARY, "Bearer", "bearer", "default", "h", 1, 1.0, 2.0, 3, 4.0, 60.0, None, degraded=False
    ),
    HeadersMessage("default", "h", "b", {"A": CANARY}, {"bearer": 1}, 3, 4.0, 60.0, degraded=False),
    VerdictMessage("token_dead", "d", "f", retry=True, outcome="renewed", headers={"A": CANARY}),
    AnswerReport(401, {"Authorization": CANARY}, CANARY),
]


@pytest.mark.parametrize("message", WITH_TOKENS, ids=lambda m: type(m).__name__)
def test_a_message_with_tokens_does_not_show_itself(message):
    """Its repr may end up in a log or a traceback; its bytes are for the peer alone."""
    assert CANARY not in f"{message!r} {message} {[message]}"
    assert CANARY.encode() in to_json(message)


def test_every_message_that_can_carry_a_token_is_veiled():
    """A new one with headers, bodies or tokens must not be forgotten."""
    telling = {"token", "headers", "body"}
    every = [s for m in (explanations, messages, orders, status) for s in vars(m).values()]
    structs = [s for s in every if isinstance(s, msgspec.StructMeta)]
    careless = [s for s in structs if telling & set(s.__struct_fields__)]
    assert careless
    assert all(issubclass(struct, Veiled) for struct in careless)


def test_fields_that_say_nothing_are_left_out_of_a_verdict():
    """No null headers to trip over."""
    said = json.loads(to_json(VerdictMessage("c", "d", "f", retry=False, outcome="failed")))
    assert set(said) == {"code", "detail", "fix", "retry", "outcome"}


def test_a_report_needs_nothing_but_a_status():
    """Everything else has a default that claims nothing."""
    report = decode_report(b'{"status": 401}')
    assert (report.status, report.headers, report.body, report.path) == (401, {}, "", "")
    assert (report.host, report.serials, report.payment) == (None, {}, "default")


def test_a_report_is_read_whole():
    """As the interface describes it."""
    body = {
        "status": 403,
        "headers": {"WWW-Authenticate": "Bearer"},
        "body": "{}",
        "path": "/labels/v3/label",
        "host": "apis.usps.com",
        "serials": {"bearer": 5, "payment": None},
        "payment": "eu",
        "from a later version": [1, 2],
    }
    report = decode_report(json.dumps(body).encode())
    assert report.serials == {"bearer": 5, "payment": None}
    assert (report.host, report.payment) == ("apis.usps.com", "eu")


@pytest.mark.parametrize(
    "text",
    ['"\\ud83d"', '"a \\uDE00 b"', '"\\ud83d\\ud83d\\ude00"', '"\\\\ud83d \\ud83d"'],
)
def test_half_characters_are_mended(text):
    """JSON.stringify writes what JavaScript's slice() left over; the rest of the text stays."""
    report = decode_report(b'{"status": 401, "body": ' + text.encode() + b"}")
    report.body.encode()


def test_a_backslash_before_ud_is_no_half_character():
    """Text that only looks like an escape is kept as it is."""
    assert decode_report(b'{"status": 401, "body": "C:\\\\\\\\udata"}').body == "C:\\\\udata"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_report_or_a_value_error(body):
    """Nothing else, whatever a client sends."""
    with pytest.raises(ValueError, match=r"malformed|truncated"):
        decode_report(b"\x00" + body)


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_json_is_a_report_or_a_value_error_that_quotes_nothing(value):
    """The error says place and type; a value may be a token."""
    body = {"status": value, "body": CANARY, "headers": CANARY}
    with pytest.raises(ValueError, match=r"^(?!.*canary).*\$\.(status|headers)"):
        decode_report(json.dumps(body).encode())


# -- events ---------------------------------------------------------------------------------------

SLOT = SlotMessage(
    slot="bearer",
    phase="idle",
    freshness="fresh",
    ready=True,
    required=True,
    degraded=False,
    suspect=False,
    serial=5,
    issued_at=1.0,
    expires_at=2.0,
    expires_in=1.0,
    use_until=1.5,
    renew_at=1.2,
    next_attempt_at=1.2,
    next_attempt_why="due",
    attempts_left=3.0,
    scopes=None,
    trouble=None,
)
STATUS = StatusMessage(
    "1.2.3",
    47,
    1.0,
    2.0,
    ready=True,
    waiting=0,
    state_trouble=None,
    apps=[AppMessage("a", "h", None, [SLOT], [])],
)
EVENTS = {
    "status": status_event(STATUS),
    "slot": SlotEvent(2.0, "a", SLOT),
    "removed": RemovedEvent(2.0, "a", "bearer"),
    "reloaded": ReloadedEvent(2.0),
    "alive": AliveEvent(2.0),
    "stopping": StoppingEvent(2.0),
}


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_names_its_kind_first_and_reads_back(kind):
    """One JSON object, one line."""
    line = to_json(EVENTS[kind])
    assert line.startswith(b'{"event":"%b"' % kind.encode())
    assert b"\n" not in line
    assert decode_event(line + b"\n") == EVENTS[kind]


def test_the_status_event_is_the_status_and_its_kind():
    """Field by field."""
    assert to_json(EVENTS["status"]) == b'{"event":"status",' + to_json(STATUS)[1:]


def test_an_event_of_a_later_version_is_none():
    """And so are fields that this one does not know."""
    assert decode_event(b'{"event": "merged", "at": 1}') is None
    assert decode_event(b'{"event": "alive", "at": 2.0, "more": []}') == AliveEvent(2.0)


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{}", b'{"event": 1}', b'{"event": "alive"}', b'{"event":"\xff"}', b"x"]
)
def test_what_is_no_event_is_said(line):
    """In one kind of error."""
    with pytest.raises(ValueError, match=r"."):
        decode_event(line)
