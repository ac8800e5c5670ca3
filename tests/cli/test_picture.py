"""The picture of the status: what fits where, and what is seen at a glance."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standings import AT, GOOD, NONE, status

from usps_token_broker.cli import picture
from usps_token_broker.cli.picture import Painter
from usps_token_broker.wire.status import BudgetMessage, PeerMessage


def drawn(message, painter=None):
    """The lines of the picture."""
    return list(picture.status(message, painter or Painter(), str))


def text_of(message, painter=None):
    """The same as text."""
    return "\n".join(line.text for line in drawn(message, painter))


def style_of(message, words):
    """The style of the piece in which these words are."""
    return next(style for line in drawn(message) for text, style in line.pieces if words in text)


def test_a_fresh_token_has_a_full_bar():
    """And its time, its next step."""
    text = text_of(status(GOOD))
    assert "  bearer       ████████████████████  7 h 58 min left   fresh\n" in text
    assert "next: renewal in 6 h 23 min" in text


@pytest.mark.parametrize(
    ("left", "blocks"), [(28_780, 20), (14_390, 10), (1_439, 1), (10, 1), (0, 0)]
)
def test_the_bar_is_what_is_left_of_the_life(left, blocks):
    """To the nearest block, and never nothing while there is something."""
    text = text_of(status(msgspec.structs.replace(GOOD, expires_in=float(left))))
    bar = next(line for line in text.splitlines() if line.startswith("  bearer"))
    assert bar.count("█") == blocks
    assert bar.count("░") == 20 - blocks


def test_a_trouble_is_told_with_its_row_and_its_fix():
    """In that order, each in its colour."""
    slot = msgspec.structs.replace(
        NONE, trouble=msgspec.structs.replace(NONE.trouble, reason="160228")
    )
    text = text_of(status(GOOD, slot))
    assert "payment_refused (160228), 2 times, first 3 min ago: USPS said no" in text
    assert text.index("USPS said no") < text.index("do: mend the roles")
    assert style_of(status(slot), "USPS said no") == "red"
    assert style_of(status(slot), "do: mend") == "cyan"


def test_what_needs_a_look_stands_out():
    """A broker that is not ready, a late token, a budget that is nearly used up."""
    late = msgspec.structs.replace(GOOD, freshness="late", degraded=True)
    message = status(late, ready=False)
    app = msgspec.structs.replace(message.apps[0], budget=[BudgetMessage("token", 25, 30)])
    message = msgspec.structs.replace(message, apps=[app])
    assert style_of(message, "NOT READY") == "bold red"
    assert style_of(message, "late, degraded") == "yellow"
    assert style_of(message, "████████░░") == "yellow"


def test_who_is_connected_is_shown_busiest_first():
    """By name, as an administrator sees it."""
    peers = [PeerMessage(1, 2, 0), PeerMessage(1001, 50, 3)]
    lines = text_of(status(GOOD, peers=peers)).splitlines()
    assert lines[-2:] == ["  1001                50        3", "  1                    2        0"]


def test_a_terminal_with_ascii_alone_gets_ascii():
    """Over a serial line, or with LANG=C."""
    assert text_of(status(GOOD), Painter(80, blocks=False)).isascii()


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True)
WORDS = st.text(st.characters(categories=["L", "Zs"]), max_size=600)


@given(st.integers(40, 200), WORDS, NAMES, st.floats(0, 28_800), st.booleans())
def test_no_line_is_wider_than_the_terminal(width, words, name, left, brief):
    """Long words of USPS, long names, and narrow windows."""
    trouble = msgspec.structs.replace(NONE.trouble, detail=words, fix=words)
    slot = msgspec.structs.replace(NONE, slot=name, trouble=trouble)
    late = msgspec.structs.replace(
        GOOD, slot=name, freshness="late", degraded=True, suspect=True, expires_in=left
    )
    message = status(GOOD, late, slot, state_trouble=words, skew=4000.0)
    app = msgspec.structs.replace(message.apps[0], app=name)
    app.budget.append(BudgetMessage("payment-authorization", 30, 30))
    message = msgspec.structs.replace(message, apps=[app])
    for line in drawn(message, Painter(width, brief=brief)):
        assert len(line.text) < width


def test_a_narrow_terminal_sees_how_all_stands():
    """The verdict before the pid, and what a token is before how long its bar is."""
    lines = text_of(status(GOOD, ready=False), Painter(40)).splitlines()
    assert lines[0] == "usps-token-broker 1.2.3       NOT READY"
    assert lines[2] == "  bearer       █████ 7 h 58 min left"
    assert lines[3].strip() == "fresh"


def test_names_of_slots_stand_in_one_column():
    """As wide as the longest that is not too long; such a one has a line of its own."""
    named = [
        msgspec.structs.replace(GOOD, slot=f"payment-{name}") for name in ("north-1", "x" * 40)
    ]
    text = text_of(status(GOOD, *named))
    assert "  bearer          █████████████████  7 h 58 min left   fresh\n" in text
    assert "  payment-north-1 █████████████████  7 h 58 min left   fresh\n" in text
    assert f"  payment-{'x' * 40}\n                  █████████████████  7 h" in text


def test_a_ready_broker_with_trouble_is_not_all_green():
    """A token that is not required may be refused: whoever only glances must see that."""
    message = status(GOOD, NONE)
    assert drawn(message)[0].text.endswith("  READY, 1 trouble")
    assert style_of(message, "READY") == "bold yellow"
    assert text_of(status(GOOD, NONE, state_trouble="full")).splitlines()[0].endswith("2 troubles")


def test_a_brief_picture_has_what_is_not_well_first():
    """And a line for each token that is."""
    lines = text_of(status(GOOD, NONE), Painter(brief=True)).splitlines()
    assert lines[2].startswith("  payment ")
    assert "payment_refused" in lines[4]
    assert lines[-2].startswith("  bearer ")


def test_a_life_that_makes_no_sense_is_an_empty_bar():
    """Of a broker of another version."""
    slot = msgspec.structs.replace(GOOD, issued_at=AT, expires_at=AT)
    assert "░" * 20 in text_of(status(slot))
