"""Who is at the other end of a Unix socket, by the kernel's word."""

import ctypes
import errno
import math
import os
import pwd
import socket
import struct
from collections.abc import Collection
from typing import Final

OVERFLOW_ID: Final = 65534
"""What the kernel says for an id that this user namespace does not know (user_namespaces(7)).

It stands for anybody, so it never matches a rule.
"""

_INVALID_ID: Final = 2**32 - 1  # (uid_t) -1: no process has it (credentials(7))
_SO_PEERGROUPS: Final = 59  # asm-generic/socket.h; Python has no name for it
_GROUPS_BYTES: Final = 1024  # the most that Python's getsockopt can be given: 256 groups
_MOST_GROUPS_BYTES: Final = 4 * 65_536  # NGROUPS_MAX of linux/limits.h
_CREDENTIALS: Final = struct.Struct("iII")  # struct ucred: pid, uid, gid


class Peer:
    """A process as it was when it connected.

    `groups` are its supplementary groups, or None when the kernel could not tell them.
    `access` is for whoever decides what the peer may do, to be read by whoever serves it.
    `took` is for whoever serves it: the sets of tokens that went over this connection. So is
    `came_at`, the instant at which it was let in, on the boot clock: a process that started later
    and has this pid is another one.
    """

    __slots__ = ("access", "came_at", "gid", "groups", "pid", "took", "uid")

    def __init__(self, uid: int, gid: int, pid: int, groups: frozenset[int] | None) -> None:
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.groups = groups
        self.access: object = None
        self.came_at = math.inf
        self.took: frozenset[tuple[str, ...]] = frozenset()

    def is_user(self, uids: Collection[int]) -> bool:
        """Whether it runs as one of these users."""
        return self.uid in uids and is_known(self.uid)

    def is_in_group(self, gids: Collection[int]) -> bool:
        """Whether one of these groups is its own or a supplementary one."""
        own = {self.gid, *(self.groups or ())}
        return any(gid in own and is_known(gid) for gid in gids)

    def __repr__(self) -> str:
        return f"<Peer uid {self.uid}, gid {self.gid}, pid {self.pid}>"


def is_known(identity: int) -> bool:
    """Whether a uid or gid names somebody, and not whoever the kernel cannot name here."""
    return identity not in (OVERFLOW_ID, _INVALID_ID)


def read_peer(connected: socket.socket) -> Peer:
    """The peer of a connected Unix socket; that of any other socket matches no rule."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(credentials)
    return Peer(uid, gid, pid, _read_groups(connected))


def _read_groups(connected: socket.socket) -> frozenset[int] | None:
    packed: bytes | None = None
    try:
        packed = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError as error:  # ERANGE: more than fit. ENOPROTOOPT: a kernel before 4.13
        if error.errno == errno.ERANGE:
            packed = _read_many_groups(connected)
    if packed is None:
        return None
    return frozenset(struct.unpack(f"{len(packed) // 4}I", packed))


def _read_many_groups(connected: socket.socket) -> bytes | None:
    size = ctypes.c_uint32(_MOST_GROUPS_BYTES)
    groups = ctypes.create_string_buffer(_MOST_GROUPS_BYTES)
    failed = ctypes.CDLL(None).getsockopt(
        connected.fileno(), socket.SOL_SOCKET, _SO_PEERGROUPS, groups, ctypes.byref(size)
    )
    return None if failed else groups.raw[: size.value]


def look_up_groups(peer: Peer) -> None:
    """Sets `groups` to what the name service says. Blocks, so not for the event loop.

    A uid without a name, as is usual in containers, is in no group.
    """
    try:
        name = pwd.getpwuid(peer.uid).pw_name
        peer.groups = frozenset(os.getgrouplist(name, peer.gid))
    except (KeyError, OSError):
        peer.groups = frozenset()
