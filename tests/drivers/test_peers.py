"""Who is at the other end, by the kernel's word."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from usps_token_broker.drivers.peers import OVERFLOW_ID, Peer, is_known, look_up_groups, read_peer

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing uid and groups needs root")

CONNECT_AS = """
import os, socket, sys
path, uid, gid, *groups = sys.argv[1:]
os.setgroups([int(group) for group in groups])
os.setgid(int(gid))
os.setuid(int(uid))
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
    s.connect(path)
    s.recv(1)
"""


@pytest.fixture
def listener():
    """A listening socket that everybody may connect to."""
    with tempfile.TemporaryDirectory(prefix="utb-") as directory:
        Path(directory).chmod(0o755)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            path = f"{directory}/s"
            listening.bind(path)
            Path(path).chmod(0o666)
            listening.listen()
            listening.settimeout(10)
            yield listening


def peer_as(listener, uid, gid, groups):
    """The peer that a process with these ids is."""
    ids = [str(number) for number in (uid, gid, *groups)]
    process = subprocess.Popen([sys.executable, "-c", CONNECT_AS, listener.getsockname(), *ids])
    try:
        connected, _ = listener.accept()
        with connected:
            return read_peer(connected), process.pid
    finally:
        process.wait(10)


def test_own_process():
    """A socket pair's peer is the process itself."""
    one, two = socket.socketpair()
    with one, two:
        peer = read_peer(one)
    assert (peer.uid, peer.gid, peer.pid) == (os.getuid(), os.getgid(), os.getpid())
    assert peer.groups == frozenset(os.getgroups())
    assert peer.access is None


@needs_root
def test_process_of_another_user(listener):
    """Uid, gid, pid and supplementary groups are those of the process that connected."""
    peer, pid = peer_as(listener, 12345, 12346, [7, 8, 4_000_000_000])
    assert (peer.uid, peer.gid, peer.pid) == (12345, 12346, pid)
    assert peer.groups == {7, 8, 4_000_000_000}


@needs_root
def test_process_without_groups(listener):
    """No supplementary groups is known to be none."""
    peer, _ = peer_as(listener, 12345, 12346, [])
    assert peer.groups == frozenset()


@needs_root
@pytest.mark.parametrize("count", [256, 257, 5000])
def test_any_number_of_groups(listener, count):
    """Beyond 256 groups the kernel's answer does not fit what Python can ask with."""
    peer, _ = peer_as(listener, 12345, 12346, range(1000, 1000 + count))
    assert peer.groups == frozenset(range(1000, 1000 + count))


def test_peer_of_another_kind_of_socket_matches_nothing():
    """Over the network there are no credentials, and what the kernel says instead is nobody."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as inet:
        peer = read_peer(inet)
    assert not peer.is_user({peer.uid})
    assert not peer.is_in_group({peer.gid})


def test_groups_by_name_service():
    """The name service knows the groups of a user that has a name."""
    peer = Peer(0, 0, 1, None)
    look_up_groups(peer)
    assert peer.groups is not None
    assert 0 in peer.groups


def test_uid_without_a_name_is_in_no_group():
    """In containers uids often have no name: then nothing is known of their groups."""
    peer = Peer(3_999_999_999, 5, 1, None)
    look_up_groups(peer)
    assert peer.groups == frozenset()


def test_user_is_matched_by_uid():
    """A rule names users."""
    assert Peer(1000, 5, 1, None).is_user({0, 1000})
    assert not Peer(1000, 5, 1, None).is_user({0, 1001})


def test_group_is_matched_by_any_of_its_groups():
    """A rule names groups; the peer's own and its supplementary ones count."""
    peer = Peer(1000, 5, 1, frozenset({6, 7}))
    assert peer.is_in_group({5})
    assert peer.is_in_group({1, 7})
    assert not peer.is_in_group({8, 1000})
    assert not Peer(1000, 5, 1, None).is_in_group({6})
    assert not peer.is_in_group([])


def test_overflow_id_is_nobody():
    """65534 stands for every id that this namespace does not know, so it matches no rule."""
    anybody = Peer(OVERFLOW_ID, OVERFLOW_ID, 1, frozenset({OVERFLOW_ID}))
    assert not anybody.is_user({OVERFLOW_ID})
    assert not anybody.is_in_group({OVERFLOW_ID})
    assert not is_known(OVERFLOW_ID)
    assert is_known(0)


def test_access_can_be_left_on_a_peer():
    """Whoever judges a peer leaves word for whoever serves it, and nothing else sticks to it."""
    peer = Peer(1, 1, 1, None)
    peer.access = ("bearer",)
    assert peer.access == ("bearer",)
    with pytest.raises(AttributeError):
        peer.anything = 1
    assert repr(peer) == "<Peer uid 1, gid 1, pid 1>"
