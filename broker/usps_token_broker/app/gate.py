"""Who is let in: judged at accept by what the kernel says of the peer, before a byte is parsed."""

import socket

from usps_token_broker.app.access import Access, AccessTable
from usps_token_broker.app.forbidding import Forbidding
from usps_token_broker.drivers.peers import Peer, look_up_groups, read_peer
from usps_token_broker.wire.replies import Reply


class Gate:
    """What the server asks of a new connection; `peer.access` is what the routes go by.

    The server calls `look_up` in a thread, for peers whose groups `identify` leaves open.
    """

    def __init__(self, table: AccessTable, forbidding: Forbidding) -> None:
        self._table = table
        self._forbidding = forbidding

    def identify(self, connected: socket.socket) -> Peer:
        """The peer, judged, unless something about it has to be looked up first."""
        peer = read_peer(connected)
        if peer.groups is not None:
            access = self._judged(peer, peer.groups)
            if not access.slots and self._forbidding.said(access) is None:
                peer.groups = None  # nothing is open to it; in which words must be looked up
        return peer

    def look_up(self, peer: Peer) -> None:
        """What only the name service knows: groups that were too many, or names. Blocks."""
        if isinstance(peer.access, Access):
            access, peer.groups = peer.access, peer.access.groups
        else:
            look_up_groups(peer)
            access = self._judged(peer, peer.groups or frozenset())
        if not access.slots and self._forbidding.said(access) is None:
            self._forbidding.say(access)

    def judge(self, peer: Peer) -> Reply | None:
        """What the peer is told instead of being served, or None."""
        access = peer.access
        if not isinstance(access, Access):  # the name service gave no answer in time
            access = self._judged(peer, peer.groups or frozenset())
        if access.slots:
            return None
        return self._forbidding.said(access) or self._forbidding.say_by_number(access)

    def access(self, peer: Peer) -> Access:
        """What this peer may use, by the rules in force, whoever judged it before."""
        access = peer.access
        if isinstance(access, Access) and access.table is self._table:
            return access
        return self._judged(peer, peer.groups or frozenset())

    def _judged(self, peer: Peer, groups: frozenset[int]) -> Access:
        access = self._table.of(peer.uid, {peer.gid, *groups})
        peer.access = access
        return access
