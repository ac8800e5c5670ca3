"""Time and chance, read from the real ones."""

import time

from usps_token_broker.drivers import clock


def test_now_is_both_clocks_read_together():
    """Boot time and Unix time, in seconds."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = clock.now()
    assert before <= now.boot <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(now.wall - time.time()) < 60  # noqa: TID251 - what it is compared with


def test_the_boot_clock_does_not_fall():
    """Read after read."""
    reads = [clock.boot() for _ in range(1000)]
    assert reads == sorted(reads)


def test_the_running_clock_is_the_one_of_timers():
    """CLOCK_MONOTONIC, in seconds and for systemd in microseconds."""
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    seconds, microseconds = clock.running(), clock.monotonic_usec()
    assert before <= seconds
    assert seconds <= microseconds / 1e6 + 1e-6


def test_draws_are_between_0_and_1_and_differ():
    """Jitter that repeats itself is none."""
    draws = [clock.draw() for _ in range(1000)]
    assert all(0 <= draw < 1 for draw in draws)
    assert len(set(draws)) > 990


def test_the_boot_has_an_id_that_stays():
    """It tells this boot from the next."""
    assert len(clock.boot_id()) == 36
    assert clock.boot_id() == clock.boot_id()


def test_a_kernel_that_tells_no_id_is_no_error(monkeypatch, tmp_path):
    """Then every boot is another, and the wall clock decides."""
    monkeypatch.setattr(clock, "_BOOT_ID", tmp_path / "none")
    assert clock.boot_id() == ""
