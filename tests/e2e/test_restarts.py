"""A broker that is killed, restarted, doubled or robbed."""

import signal

from processes import Process

SLOTS = ("bearer", "payment")


def test_kill_9_and_restart_five_times_makes_no_call(usps, home):
    """The same tokens are served at once by each next process."""
    with home.broker():
        before = [home.token(slot)["token"] for slot in SLOTS]
    for _ in range(5):
        with home.broker() as broker:
            assert [home.token(slot)["token"] for slot in SLOTS] == before
            assert broker.kill(signal.SIGKILL) == -signal.SIGKILL
    assert (usps.calls("token"), usps.calls("payment-authorization")) == (1, 1)


def test_sigterm_ends_it_cleanly(usps, home):
    """Exit code 0, and the socket is gone."""
    with home.broker() as broker:
        home.token()
        assert broker.kill(signal.SIGTERM) == 0
        assert not home.socket.exists()


def test_ctrl_c_ends_it_without_a_traceback(usps, home):
    """SIGINT is as good as SIGTERM."""
    with home.broker() as broker:
        home.token()
        assert broker.kill(signal.SIGINT) == 0
        assert "Traceback" not in broker.errors()


def test_a_broken_state_file_is_said_set_aside_and_not_fatal(usps, home):
    """Half a file: one more call each, and the old file is kept for a look."""
    with home.broker() as broker:
        home.token("payment")
        broker.kill(signal.SIGTERM)
    state = home.folder / "state" / "state"
    state.write_bytes(state.read_bytes()[:-20])
    with home.broker() as broker:
        home.token("payment")
        assert "set aside" in broker.errors()
    assert usps.calls("token") == 2
    assert any("damaged" in path.name for path in state.parent.iterdir())


def test_a_foreign_state_file_is_said_set_aside_and_not_fatal(usps, home):
    """Something else under that name: the broker starts all the same."""
    (home.folder / "state").mkdir(0o700)
    (home.folder / "state" / "state").write_bytes(b'{"tokens": "of somebody else"}')
    with home.broker() as broker:
        home.token("payment")
        assert "set aside" in broker.errors()


def test_a_second_broker_ends_with_a_clear_message(usps, home):
    """One host, one broker: the second says who is there and leaves the first alone."""
    with home.broker():
        home.token()
        with Process("usps_token_broker", "run", "--config", str(home.config)) as second:
            code = second.process.wait(20)
            assert code == 73
            assert "another" in second.errors()
        home.token()
    assert usps.calls("token") == 1


def test_a_robbed_socket_is_noticed(usps, home):
    """Somebody removed the path: the broker says so and ends, so that a supervisor restarts it."""
    with home.broker() as broker:
        home.token()
        home.socket.unlink()
        assert broker.process.wait(30) == 75
        assert "removed or replaced" in broker.errors()
    with home.broker():
        home.token()
    assert usps.calls("token") == 1
