"""What one user may take, by the configuration."""

from dataclasses import asdict

import pytest
from configs import APP

from usps_token_broker.config import ConfigError, UserLimits
from usps_token_broker.config.differences import fixed
from usps_token_broker.drivers.server.limits import Limits


def test_without_a_word_they_are_generous(folder):
    """Hundreds of workers of one user, each with a connection."""
    assert folder.load(APP).limits == UserLimits()


def test_the_standard_ones_are_those_of_the_server():
    """The figures stand in two layers, of which the upper one does not load the lower for them."""
    standard = asdict(UserLimits())
    del standard["reports_per_minute_per_uid"]  # the server does not know what a report is
    assert standard.items() <= asdict(Limits()).items()


def test_each_can_be_set_by_itself(folder):
    """The others stay."""
    limits = folder.load(f"{APP}\n[limits]\nstreams_per_uid = 3\n").limits
    assert limits == UserLimits(streams_per_uid=3)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "true", '"16"', "100000"])
def test_what_is_no_number_of_streams_is_refused_with_the_way_to_write_it(folder, value):
    """File, key, what was expected and what to write."""
    with pytest.raises(ConfigError) as refused:
        folder.load(f"{APP}\n[limits]\nstreams_per_uid = {value}\n")
    (problem,) = refused.value.problems
    assert problem.key == "limits.streams_per_uid"
    assert problem.fix in {"write: streams_per_uid = 16", "write it without quotes: 16"}


def test_another_key_is_refused_with_those_there_are(folder):
    """A limit that does nothing would be taken for one."""
    with pytest.raises(ConfigError) as refused:
        folder.load(f"{APP}\n[limits]\nconnections = 5\n")
    assert "connections_per_uid" in refused.value.problems[0].fix


def test_a_reload_that_changes_one_is_refused(folder):
    """The server has begun with the old ones."""
    before = folder.load(APP)
    after = folder.load(f"{APP}\n[limits]\nwaiting_per_uid = 7\n")
    (problem,) = fixed(before, after)
    assert problem.key == "limits.waiting_per_uid"
    assert "restart" in problem.fix


@pytest.mark.parametrize("key", ["requests_per_minute_per_uid", "reports_per_minute_per_uid"])
def test_a_rate_may_be_taken_away(folder, key):
    """0 is no limit; less than that is nothing."""
    assert getattr(folder.load(f"{APP}\n[limits]\n{key} = 0\n").limits, key) == 0
    with pytest.raises(ConfigError) as refused:
        folder.load(f"{APP}\n[limits]\n{key} = -1\n")
    assert "0 is no limit" in refused.value.problems[0].expected
