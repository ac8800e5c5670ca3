"""The playbook itself: what it shows when a transcript is not as told."""

import pytest
from core_play import Playbook
from core_words import BEARER, HOUR

from usps_token_broker.core.events import Stopped


def started():
    play = Playbook()
    play.start()
    return play


def test_a_wrong_transcript_shows_the_difference():
    """What was expected, what was said, and all that went before."""
    with pytest.raises(AssertionError) as caught:
        started().says("persist", "fetch payment")
    text = str(caught.value)
    assert "- fetch payment" in text
    assert "+ fetch bearer" in text
    assert "> Restored(saved=None, boot_id='boot-1')" in text


def test_commands_in_another_order_are_not_as_told():
    """`said` leaves out, it does not mix."""
    started().said("persist", "publish bearer")
    with pytest.raises(AssertionError, match="never said"):
        started().said("publish bearer", "persist")


def test_a_clock_step_and_a_restart_stand_in_the_transcript():
    """So that it can be read by itself."""
    play = started()
    play.step(HOUR)
    play.restart()
    with pytest.raises(AssertionError) as caught:
        play.says("nothing of the kind")
    assert "-- the wall clock steps by 3600 s --" in str(caught.value)
    assert "-- killed, started again --" in str(caught.value)


def test_a_broker_that_is_never_woken_is_noticed():
    """`sleep` does not sleep for ever."""
    play = started()
    play.hears(Stopped())
    with pytest.raises(AssertionError, match="nobody will wake the broker"):
        play.sleep()


def test_a_broker_that_spins_is_noticed():
    """`run` counts its wake-ups."""
    play = started()
    with pytest.raises(AssertionError, match="3 wake-ups did not cover"):
        play.run(24 * HOUR, play.works, most=3)


def test_a_denial_that_is_not_there_is_noticed():
    """It says how many there are."""
    with pytest.raises(AssertionError, match="0 denials"):
        started().denial()


def test_time_in_a_run_goes_by_to_its_end():
    """Though nothing happens at that instant."""
    play = started()
    play.grant(BEARER)
    before = play.now.boot
    play.run(17)
    assert play.now.boot == before + 17
