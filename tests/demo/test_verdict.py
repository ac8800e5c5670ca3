"""The demo's exit code tells the truth: each promise can break it."""

import copy

import pytest

from usps_token_broker.demo.verdict import Figures, held, promises

GOOD = Figures(
    workers=3,
    life_seconds=20,
    seconds=25.0,
    worker_calls=120,
    refused_calls=2,
    busy_workers={1, 2, 3},
    bearer_calls=4,
    payment_calls=3,
    bearer_serials=[1, 4, 5, 7],
    payment_serials=[2, 3, 6],
    revoked_at=12.0,
    cured_at=12.2,
)


def test_a_good_run_holds_every_promise():
    """Nothing is broken in what a demo should look like."""
    assert held(GOOD)
    assert all(kept for _, kept in promises(GOOD))


@pytest.mark.parametrize(
    ("changes", "promise"),
    [
        ({"busy_workers": {1, 2}}, "all 3 workers made calls"),
        ({"failed_calls": 1}, "no call of a worker failed"),
        ({"worker_calls": 0}, "no call of a worker failed"),
        ({"bearer_serials": [1, 2, 3], "bearer_calls": 3}, "at least two planned rotations"),
        ({"bearer_calls": 5}, "USPS saw one bearer call per token"),
        ({"bearer_calls": 0, "bearer_serials": []}, "USPS saw one bearer call per token"),
        ({"payment_calls": 4}, "USPS saw one payment call per token"),
        ({"cured_at": None}, "the early revocation cost one call"),
        ({"refused_calls": 0}, "the early revocation cost one call"),
        ({"seconds": 61.0}, "it ended within a minute"),
    ],
)
def test_each_promise_can_be_broken(changes, promise):
    """A figure that is off breaks its promise, and the whole."""
    figures = copy.deepcopy(GOOD)
    for name, value in changes.items():
        setattr(figures, name, value)
    assert not dict(promises(figures))[promise]
    assert not held(figures)


def test_a_cache_in_each_process_costs_a_call_for_each_token_and_process():
    """Three processes, four bearers and three payment tokens: 21 calls."""
    assert GOOD.calls_with_a_cache_each == 21
