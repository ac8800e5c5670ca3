import os
import socket

import pytest
from processes import Home, Usps


@pytest.fixture
def usps():
    """A simulated USPS with lives of eight hours."""
    with Usps() as process:
        yield process


@pytest.fixture
def home(usps):
    """A folder for brokers of that USPS."""
    home = Home(usps.base_url)
    yield home
    home.remove()


@pytest.fixture
def crowd():
    """Run a function in many processes that start at once; what each returns, as bytes.

    Forked before they are let go together by closing a pipe, so that they really meet.
    """
    return run_crowd


def run_crowd(count, work):
    gate_read, gate_write = os.pipe()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(gate_write)
                os.read(gate_read, 1)
                theirs.send(work())
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    theirs.close()
    os.close(gate_read)
    os.close(gate_write)
    answers = []
    ours.settimeout(60)
    while answer := ours.recv(65536):
        answers.append(answer)
    ours.close()
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * count
    return answers
