"""The gate: peers of real sockets, judged before a byte is parsed."""

import os
import socket

import pytest
from interface import GROUPS, USERS, answer_of, app

from usps_token_broker.app.access import Access, AccessTable
from usps_token_broker.app.forbidding import Forbidding
from usps_token_broker.app.gate import Gate
from usps_token_broker.drivers.peers import read_peer

NOBODY_HERE = 4_000_000


@pytest.fixture
def connected():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    yield ours
    ours.close()
    theirs.close()


def gate(*, own_uid, **open_to):
    table = AccessTable([app(open_to=open_to)], own_uid)
    return Gate(table, Forbidding(table.rules, USERS.get, GROUPS.get)), table


def test_a_peer_with_a_token_open_to_it_is_let_in_without_a_look_up(connected):
    """The usual case costs no thread."""
    door, _ = gate(own_uid=os.getuid())
    peer = door.identify(connected)
    assert peer.groups is not None
    assert door.judge(peer) is None
    assert isinstance(peer.access, Access)


def refuse(door, peer):
    assert peer.groups is None
    door.look_up(peer)
    assert peer.groups is not None
    refusal = door.judge(peer)
    assert refusal is not None
    assert answer_of(refusal).code == "forbidden"


@pytest.fixture
def as_alice(monkeypatch):
    """Peers of this process look as if another user had connected."""

    def read(connection):
        peer = read_peer(connection)
        peer.uid, peer.gid, peer.groups = 1001, 100, frozenset({100, 27})
        return peer

    monkeypatch.setattr("usps_token_broker.app.gate.read_peer", read)


@pytest.mark.usefixtures("as_alice")
def test_the_words_of_a_refusal_are_looked_up_once(connected):
    """The second connection of the same kind is refused without a thread."""
    door, _ = gate(own_uid=NOBODY_HERE)
    refuse(door, door.identify(connected))
    again = door.identify(connected)
    assert again.groups is not None
    assert "user alice" in answer_of(door.judge(again)).json["detail"]


@pytest.mark.usefixtures("as_alice")
def test_without_an_answer_of_the_name_service_numbers_must_do(connected):
    """The server gives up on the thread and says that the peer is in no group it knows of."""
    door, _ = gate(own_uid=NOBODY_HERE)
    peer = door.identify(connected)
    peer.groups = frozenset()
    assert "uid 1001; groups: 27, 100" in answer_of(door.judge(peer)).json["detail"]


@pytest.mark.usefixtures("as_alice")
def test_groups_that_were_too_many_for_the_kernel_to_tell_are_looked_up(connected, monkeypatch):
    """Then the peer is judged by what the name service says."""

    def overflowing(connection):
        peer = read_peer(connection)
        peer.uid, peer.gid, peer.groups = 1001, 100, None
        return peer

    def look_up(peer):
        peer.groups = frozenset({100, 2001})

    monkeypatch.setattr("usps_token_broker.app.gate.read_peer", overflowing)
    monkeypatch.setattr("usps_token_broker.app.gate.look_up_groups", look_up)
    door, _ = gate(own_uid=NOBODY_HERE, bearer=(2001,))
    peer = door.identify(connected)
    assert peer.groups is None
    door.look_up(peer)
    assert door.judge(peer) is None


@pytest.mark.usefixtures("as_alice")
def test_groups_that_nobody_could_tell_let_nobody_in(connected, monkeypatch):
    """The name service hangs: the uid and its own group must do."""

    def overflowing(connection):
        peer = read_peer(connection)
        peer.uid, peer.gid, peer.groups = 1001, 100, None
        return peer

    monkeypatch.setattr("usps_token_broker.app.gate.read_peer", overflowing)
    door, _ = gate(own_uid=NOBODY_HERE, bearer=(2001,))
    peer = door.identify(connected)
    peer.groups = frozenset()
    assert door.judge(peer) is not None
    door, _ = gate(own_uid=NOBODY_HERE, bearer=(100,))
    peer = door.identify(connected)
    peer.groups = frozenset()
    assert door.judge(peer) is None
