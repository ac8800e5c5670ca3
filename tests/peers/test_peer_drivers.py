"""What stands between the facts and a foreign client: the relay, and how a driver is run."""

import socket
import threading

import pytest
from foreign_peers import ForeignPeer, MissingError, Request, Skill
from relay import Relay


@pytest.fixture
def driver(tmp_path):
    """A driver with these lines."""

    def write(*lines, name="peer_new.sh"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return ForeignPeer(path)

    return write


def test_the_relay_keeps_what_both_sides_said():
    """Also that the client has closed its half, which the server must see."""
    ours, theirs = socket.socketpair()

    def serve():
        asked = b""
        while more := ours.recv(100):
            asked += more
        ours.sendall(b"you said " + asked)
        ours.close()

    server = threading.Thread(target=serve)
    server.start()
    with Relay(lambda: theirs) as relay, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(relay.socket))
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"you said hello"
        assert client.recv(100) == b""
    server.join()
    [conversation] = relay.conversations
    assert (conversation.asked, conversation.answered) == (b"hello", b"you said hello")


def test_the_head_of_a_driver_says_what_it_needs_and_cannot(driver, tmp_path):
    """A program that is not there is named."""
    peer = driver("#!/usr/bin/env sh", "# needs: no-such-program", "# cannot: http1.0 chunked")
    assert peer.name == "new"
    assert peer.cannot == {Skill.OLD_HTTP, Skill.CHUNKED}
    with pytest.raises(MissingError, match="no-such-program is not installed"):
        peer.ask(tmp_path, Request("/"))


def test_a_driver_says_which_library_is_missing(driver, tmp_path):
    """By the exit code of sysexits.h."""
    peer = driver("#!/usr/bin/env sh", "echo the-library is not installed >&2", "exit 69")
    with pytest.raises(MissingError, match="the-library is not installed"):
        peer.ask(tmp_path, Request("/"))


def test_a_driver_that_breaks_is_no_missing_program(driver, tmp_path):
    """Its words are shown."""
    peer = driver("#!/usr/bin/env sh", "echo all is lost >&2", "exit 1")
    with pytest.raises(AssertionError, match="all is lost"):
        peer.ask(tmp_path, Request("/"))


def test_an_unknown_skill_is_not_overlooked(driver):
    """Else a typing error would have a client tested for less than it can."""
    with pytest.raises(ValueError, match="chuncked"):
        driver("#!/usr/bin/env sh", "# cannot: chuncked")
