"""Threads, forks, signals: who asks, who waits, and what a child does not inherit."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback

import pytest
from scripted_broker import HangUp, Held, Silence, problem, untraced_fork

from usps_token_client import BrokerError, BrokerTimeout, TokenClient, TokenDenied, _dial, _fork

DEADLINE = 20.0
# From 3.12 on Python warns of what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def together(count, work):
    """Run `work` in so many threads that start at once; what each returned or raised."""
    barrier = threading.Barrier(count)
    results = []

    def run():
        barrier.wait(DEADLINE)
        try:
            results.append(work())
        except BrokerError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, results


def join(threads):
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def wait_until(condition):
    deadline = time.perf_counter() + DEADLINE
    while not condition():
        assert time.perf_counter() < deadline
        time.sleep(0.001)


def in_child(work):
    """Run `work` in a forked child; its exit status, 0 when it returned."""
    child = untraced_fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - a child must not go on as the parent
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    deadline = time.perf_counter() + DEADLINE
    while time.perf_counter() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "the child hung"


def test_sixty_four_cold_threads_ask_once(broker):
    """One thread asks, all get its answer."""
    tokens = TokenClient(broker.path)
    held = Held()
    broker.script = [held]
    threads, results = together(64, tokens.bearer)
    assert held.arrived.wait(DEADLINE)
    held.released.set()
    join(threads)
    assert len({id(token) for token in results}) == 1
    assert len(results) == 64
    assert len(broker.requests) == 1


def test_sixty_four_cold_threads_share_one_denial(broker):
    """The error of the one who asked is everybody's, each with an object of its own."""
    tokens = TokenClient(broker.path)
    held = Held(problem(502, "credentials_refused"))
    broker.script = [held]
    threads, results = together(64, tokens.bearer)
    assert held.arrived.wait(DEADLINE)
    wait_until(lambda: waiting(tokens) == 63)
    held.released.set()
    join(threads)
    assert {type(error) for error in results} == {TokenDenied}
    assert {error.code for error in results} == {"credentials_refused"}
    assert len({id(error) for error in results}) == 64
    assert len(broker.requests) == 1


def test_waiting_threads_share_an_answer_that_is_not_kept(broker):
    """With `check_after=0` those who waited take the answer they waited for."""
    tokens = TokenClient(broker.path, check_after=0)
    held = Held()
    broker.script = [held]
    threads, results = together(8, tokens.bearer)
    assert held.arrived.wait(DEADLINE)
    wait_until(lambda: waiting(tokens) == 7)
    held.released.set()
    join(threads)
    assert len(results) == 8
    assert len(broker.requests) == 1


def waiting(tokens):
    """How many threads sit in the wait for another thread's answer."""
    frames = sys._current_frames().values()
    return sum(1 for frame in frames if "join" in names(frame))


def names(frame):
    found = []
    while frame is not None:
        if "_driving" in frame.f_code.co_filename:
            found.append(frame.f_code.co_name)
        frame = frame.f_back
    return found


def test_a_waiting_thread_has_a_deadline_of_its_own(broker):
    """Who waits for another thread's answer still returns in its own time."""
    tokens = TokenClient(broker.path, timeout=60)
    held = Held()
    broker.script = [held]
    threads, results = together(1, tokens.bearer)
    assert held.arrived.wait(DEADLINE)
    tokens._core.terms.timeout = 0.1
    with pytest.raises(BrokerTimeout, match="another thread"):
        tokens.bearer()
    held.released.set()
    join(threads)
    assert [token.value for token in results] == ["bearer-1"]


def test_bearer_and_payment_are_asked_for_side_by_side(broker):
    """A payment token that is slow in coming does not hold up the bearer."""
    tokens = TokenClient(broker.path)
    held = Held()
    broker.script = [held]
    threads, results = together(1, tokens.payment)
    assert held.arrived.wait(DEADLINE)
    assert tokens.bearer().value == "bearer-1"
    held.released.set()
    join(threads)
    assert [token.value for token in results] == ["payment-1"]


def test_an_interrupted_asker_leaves_the_question_to_another(broker):
    """KeyboardInterrupt in the one who asks: those who wait ask themselves."""
    tokens = TokenClient(broker.path)
    held = Held(Silence())
    broker.script = [held]
    results = []
    waiter = threading.Thread(target=lambda: results.append(tokens.bearer()))

    def interrupt(_number, _frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:

        def meddle():
            held.arrived.wait(DEADLINE)
            waiter.start()
            wait_until(lambda: waiting(tokens) == 1)
            os.kill(os.getpid(), signal.SIGUSR1)

        meddler = threading.Thread(target=meddle)
        meddler.start()
        with pytest.raises(KeyboardInterrupt):
            tokens.bearer()
    finally:
        signal.signal(signal.SIGUSR1, before)
    held.released.set()
    join([meddler, waiter])
    assert [token.value for token in results] == ["bearer-1"]


def test_a_signal_handler_may_ask_in_the_middle_of_a_question(broker):
    """A thread that is asking already does not wait for itself."""
    tokens = TokenClient(broker.path)
    held = Held()
    broker.script = [held]
    inner = []

    def handler(_number, _frame):
        inner.append(tokens.bearer())
        held.released.set()

    before = signal.signal(signal.SIGUSR1, handler)
    try:

        def meddle():
            held.arrived.wait(DEADLINE)
            os.kill(os.getpid(), signal.SIGUSR1)

        meddler = threading.Thread(target=meddle)
        meddler.start()
        outer = tokens.bearer()
    finally:
        signal.signal(signal.SIGUSR1, before)
    join([meddler])
    assert [token.value for token in [*inner, outer]] == ["bearer-1", "bearer-1"]
    assert len(broker.requests) == 2


def test_a_signal_does_not_cut_a_question_short(broker):
    """A handler that returns leaves the question going on (PEP 475)."""
    tokens = TokenClient(broker.path)
    held = Held()
    broker.script = [held]
    before = signal.signal(signal.SIGUSR1, lambda *_: held.released.set())
    try:

        def meddle():
            held.arrived.wait(DEADLINE)
            os.kill(os.getpid(), signal.SIGUSR1)

        meddler = threading.Thread(target=meddle)
        meddler.start()
        assert tokens.bearer().value == "bearer-1"
    finally:
        signal.signal(signal.SIGUSR1, before)
    join([meddler])


def test_a_child_forked_while_a_thread_asks_asks_for_itself(broker):
    """The parent's question, and whoever waits for it, is nothing to the child."""
    tokens = TokenClient(broker.path)
    held = Held()
    broker.script = [held]
    threads, results = together(8, tokens.bearer)
    assert held.arrived.wait(DEADLINE)
    status = in_child(lambda: check(tokens.bearer().value == "bearer-1"))
    held.released.set()
    join(threads)
    assert status == 0
    assert len(results) == 8
    assert len(broker.requests) == 2


def check(fact):
    assert fact


def test_a_child_holds_no_connection_of_its_parent(broker):
    """What the parent had open while it forked is closed in the child."""
    tokens = TokenClient(broker.path)
    held = Held()
    broker.script = [held]
    threads, _ = together(1, tokens.bearer)
    assert held.arrived.wait(DEADLINE)
    [connection] = _fork.open_sockets
    status = in_child(lambda: check(connection.fileno() == -1 and not _fork.open_sockets))
    assert connection.fileno() != -1
    held.released.set()
    join(threads)
    assert status == 0


def test_a_warm_child_asks_nobody(broker):
    """A token that was there before the fork is used in the child, too."""
    tokens = TokenClient(broker.path)
    tokens.bearer()
    assert in_child(lambda: check(tokens.bearer().value == "bearer-1")) == 0
    assert len(broker.requests) == 1


def test_a_grandchild_forked_in_the_middle_of_it_all_asks_for_itself(broker):
    """Fork in a fork, each while a thread asks."""
    tokens = TokenClient(broker.path)
    outer = Held()
    broker.script = [outer]
    threads, _ = together(2, tokens.bearer)
    assert outer.arrived.wait(DEADLINE)

    def child():
        thread = threading.Thread(target=tokens.bearer)
        thread.start()
        check(in_child(lambda: check(tokens.bearer().value == "bearer-1")) == 0)
        thread.join(DEADLINE)

    status = in_child(child)
    outer.released.set()
    join(threads)
    assert status == 0


def test_a_fork_from_a_signal_handler_in_the_middle_of_a_question(broker):
    """Child and parent both get their answer, on connections of their own."""
    tokens = TokenClient(broker.path)
    held = Held()
    broker.script = [held]
    before = signal.signal(signal.SIGUSR1, lambda *_: forked.append(untraced_fork()))
    forked = []
    me = os.getpid()
    try:

        def meddle():
            held.arrived.wait(DEADLINE)
            os.kill(me, signal.SIGUSR1)
            wait_until(lambda: forked)
            held.released.set()

        meddler = threading.Thread(target=meddle)
        meddler.start()
        token = None
        try:
            token = tokens.bearer()
        finally:
            if os.getpid() != me:
                os._exit(0 if token is not None and token.value == "bearer-1" else 1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    join([meddler])
    assert token.value == "bearer-1"
    assert os.waitstatus_to_exitcode(os.waitpid(forked[0], 0)[1]) == 0
    assert len(broker.requests) == 2


def test_many_children_at_once(broker):
    """Twenty children of a parent whose threads ask all the time: none hangs, all get a token."""
    tokens = TokenClient(broker.path, check_after=0)
    stop = threading.Event()

    def pester():
        while not stop.is_set():
            tokens.bearer()

    threads = [threading.Thread(target=pester) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        statuses = [in_child(lambda: check(tokens.bearer().value == "bearer-1")) for _ in range(20)]
    finally:
        stop.set()
    join(threads)
    assert statuses == [0] * 20


def test_a_worker_that_drops_root_asks_as_its_new_self(broker, clock):
    """After a real seteuid (where root runs this) the question carries nothing of root's."""
    tokens = TokenClient(broker.path)
    tokens._now = clock
    tokens.bearer()
    broker.folder.chmod(0o755)
    broker.folder.joinpath("broker.sock").chmod(0o666)
    broker.always = problem(403, "forbidden")

    def drop():
        if os.geteuid() == 0:
            os.setegid(65534)
            os.seteuid(65534)
        else:
            os.geteuid = lambda: 65534
        clock.advance(60.0)
        with pytest.raises(BrokerError, match="forbidden"):
            tokens.bearer()

    assert in_child(drop) == 0
    assert "if-none-match" not in broker.requests[-1].headers


def test_a_client_pickles_as_its_settings(broker):
    """What another process gets is a client that asks for itself."""
    tokens = TokenClient(broker.path, timeout=3, wait=1, check_after=5)
    tokens.bearer()
    data = pickle.dumps(tokens)
    assert b"bearer-1" not in data
    again = pickle.loads(data)
    assert again.bearer().value == "bearer-1"
    assert (again._core.terms.timeout, again._core.terms.wait) == (3, 1)
    assert len(broker.requests) == 2


def test_readers_never_see_half_a_rotation(broker):
    """Value and end are exchanged together: no reader pairs one token with another's life."""
    tokens = TokenClient(broker.path, check_after=0)
    stop = threading.Event()
    seen = []

    def rotate():
        for serial in range(2000, 2200):
            broker.grant("bearer", f"value-{serial}", serial)
        stop.set()

    def read():
        while not stop.is_set():
            token = tokens.bearer()
            seen.append(token.value in {f"value-{token.serial}", "bearer-1"})

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    rotate()
    join(threads)
    assert all(seen)


def test_questions_leave_nothing_behind(broker):
    """After askers, waiters and failures there is no question under way and no open socket."""
    tokens = TokenClient(broker.path, timeout=0.2)
    broker.script = [HangUp()] * 3
    tokens.bearer()
    broker.always = problem(404, "unknown_slot")
    with pytest.raises(TokenDenied):
        tokens.payment("none")
    assert not tokens._bearer.flights
    assert not tokens._core.payment("none").flights
    assert not _fork.open_sockets


def test_a_socket_is_not_inherited_by_a_program(broker):
    """Connections are close-on-exec (PEP 446)."""
    tokens = TokenClient(broker.path)
    held = Held()
    broker.script = [held]
    threads, _ = together(1, tokens.bearer)
    assert held.arrived.wait(DEADLINE)
    [connection] = _fork.open_sockets
    assert not os.get_inheritable(connection.fileno())
    assert connection.family == socket.AF_UNIX
    held.released.set()
    join(threads)


def test_who_asks_or_forks_in_a_signal_handler_is_not_locked_out(broker):
    """The signal may come while this very thread opens or closes a connection."""
    with _fork.changing:
        assert in_child(lambda: TokenClient(broker.path).bearer()) == 0
        assert TokenClient(broker.path).bearer().value
    assert in_child(lambda: TokenClient(broker.path).bearer()) == 0


@pytest.mark.parametrize("path", ["{}/none", "{}", "{}/" + 200 * "n"])
def test_a_connection_that_failed_is_not_remembered(broker, path):
    """Nothing of it is left, neither for a child nor for the collector."""
    with pytest.raises(BrokerError):
        TokenClient(path.format(broker.folder), timeout=0.1).bearer()
    assert not _fork.open_sockets


def test_a_connection_that_was_given_up_is_not_remembered():
    """Whatever ends the attempt to connect, here a path that no file can have."""
    with pytest.raises(UnicodeEncodeError):
        _dial.connect(("\ud800",))
    assert not _fork.open_sockets
