"""Every call as every kind of peer: real users, at both sockets. The table is the law."""

import ctypes
import os
import socket
from pathlib import Path

import pytest
from identities import Identity, as_identity, exchange
from processes import Home, Usps

from usps_token_broker.wire.operations import OPERATIONS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")

SHOP, LABELS = 52001, 52002
NAMED, PRIMARY, SUPPLEMENTARY, MANY, STRANGER = 53001, 53002, 53003, 53004, 53005
CLONE_NEWUSER = 0x10000000  # linux/sched.h
PR_SET_DUMPABLE = 4  # linux/prctl.h

PEERS = {
    "root": Identity(0, 0),
    "named user": Identity(NAMED, NAMED),
    "primary group": Identity(PRIMARY, LABELS),
    "supplementary group": Identity(SUPPLEMENTARY, SUPPLEMENTARY, (7, LABELS)),
    "last of 300 groups": Identity(MANY, MANY, (*range(10_000, 10_299), LABELS)),
    "stranger": Identity(STRANGER, STRANGER, (7,)),
    "nobody": Identity(65534, 65534),
    "root of the container of a named user": Identity(NAMED, NAMED),
    "root of a stranger's container": Identity(STRANGER, STRANGER),
    "unmapped user of a stranger's container": Identity(STRANGER, STRANGER),
}
ALL = {"root", "primary group", "supplementary group", "last of 300 groups"}
"""Who may have both tokens."""
BEARER_ALONE = {"named user", "root of the container of a named user"}

REPORT = b'{"status": 401, "path": "/x", "serials": {"bearer": 1}}'
TABLE = {
    # call: what those get who may have both, the bearer alone, nothing; and root on admin.sock
    ("readToken", "GET /v1/tokens/bearer"): (200, 200, 403, 200),
    ("readToken", "GET /v1/tokens/payment"): (200, 403, 403, 200),
    ("readHeaders", "GET /v1/headers"): (200, 200, 403, 200),
    ("readHeaders", "GET /v1/headers?payment=default"): (200, 403, 403, 200),
    ("reportAnswer", "POST /v1/answers"): (200, 200, 403, 200),
    ("explain", "POST /v1/explanations"): (200, 200, 403, 200),
    ("readCatalogue", "GET /v1/explanations"): (200, 200, 403, 200),
    ("readUnrecognised", "GET /v1/unrecognised"): (404, 404, 403, 200),
    ("readStatus", "GET /v1/status"): (200, 200, 403, 200),
    ("followEvents", "GET /v1/events"): (200, 200, 403, 200),
    ("readHealth", "GET /healthz"): (200, 200, 403, 200),
    ("readReadiness", "GET /readyz?slot=bearer"): (200, 200, 403, 200),
    ("readReadiness", "GET /readyz?slot=payment"): (200, 403, 403, 200),
    ("readMetrics", "GET /metrics"): (200, 200, 403, 200),
    ("readOpenApi", "GET /openapi.json"): (200, 200, 403, 200),
    ("renewToken", "POST /v1/tokens/bearer/renewals"): (404, 404, 403, 200),
    ("reload", "POST /v1/reload"): (404, 404, 403, 200),
    ("forgetTokens", "POST /v1/forget"): (404, 404, 403, 200),
}


@pytest.fixture(scope="module")
def shop():
    """One broker: who asks is what differs."""
    with Usps() as usps:
        home = Home(
            usps.base_url,
            bearer=f"users = [{NAMED}]\ngroups = [{SHOP}, {LABELS}]",
            payment=f"groups = [{LABELS}]",
        )
        with home.broker():
            home.token("payment")
            yield home
        home.remove()


def enter_container(*, mapped):
    """A user namespace of one's own, in which one is root or nobody that has a number."""
    outside, libc = os.getuid(), ctypes.CDLL(None)
    assert libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0  # else /proc/self is root's
    assert libc.unshare(CLONE_NEWUSER) == 0
    if mapped:
        Path("/proc/self/uid_map").write_text(f"0 {outside} 1")
        assert os.getuid() == 0
    else:
        assert os.getuid() == 65534


def answered(path, kind, call):
    """The status that this kind of peer is answered."""
    method, target = call.split(" ")
    body = REPORT if target == "/v1/answers" else b""
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"

    def ask():
        if "container" in kind:
            enter_container(mapped="unmapped" not in kind)
        if target == "/v1/events":
            return first_bytes(path, head.encode())
        return exchange(path, [head.encode() + body])

    said = as_identity(PEERS[kind], ask)
    return int(said.split(b" ")[1])


def first_bytes(path, sent):
    """The beginning of an answer that never ends."""
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(30)
        connected.connect(path)
        connected.sendall(sent)
        return connected.recv(4096)


@pytest.mark.parametrize("kind", PEERS)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[1])
def test_every_call_answers_every_kind_of_peer_as_the_table_says(shop, kind, row):
    """On the socket for workers; orders are not there for anybody, not even for root."""
    both, bearer, nothing, _ = TABLE[row]
    expected = both if kind in ALL else bearer if kind in BEARER_ALONE else nothing
    assert answered(str(shop.socket), kind, row[1]) == expected


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[1])
def test_on_the_admin_socket_root_may_do_everything(row):
    """With a broker of its own each, since orders change what others see."""
    with Usps() as usps:
        home = Home(usps.base_url)
        try:
            with home.broker():
                home.token("payment")
                admin = str(home.folder / "state" / "admin.sock")
                assert answered(admin, "root", row[1]) == TABLE[row][3]
        finally:
            home.remove()


@pytest.mark.parametrize("kind", [kind for kind in PEERS if kind != "root"])
def test_nobody_else_can_even_connect_to_the_admin_socket(shop, kind):
    """The directory is closed to others, a container's root among them."""

    def connect():
        if "container" in kind:
            enter_container(mapped="unmapped" not in kind)
        try:
            exchange(str(shop.folder / "state" / "admin.sock"), [])
        except PermissionError:
            return b"refused"
        return b"connected"

    assert as_identity(PEERS[kind], connect) == b"refused"


TWO_USERS = {
    # real, effective and saved user at the connect, and what they change to after it: the answer
    "a setuid program of a named user, called by a stranger": ((STRANGER, NAMED, NAMED), (), 200),
    "a setuid program of a stranger, called by a named user": (
        (NAMED, STRANGER, STRANGER),
        (),
        403,
    ),
    "a setuid program of root, called by a stranger": ((STRANGER, 0, 0), (), 200),
    "one that gave root up for good": ((STRANGER, STRANGER, STRANGER), (), 403),
    "one that gave root up for a while": ((0, STRANGER, 0), (), 403),
    "one that took root back after the connect": ((0, STRANGER, 0), (0, 0, 0), 403),
    "one that became a named user after the connect": ((0, STRANGER, 0), (0, NAMED, 0), 403),
    "one that gave root up after the connect": ((0, 0, 0), (STRANGER, STRANGER, STRANGER), 200),
    "a named user that was": ((0, NAMED, 0), (STRANGER, STRANGER, STRANGER), 200),
}


@pytest.mark.parametrize("kind", TWO_USERS)
def test_the_effective_user_of_the_connect_counts(shop, kind):
    """SO_PEERCRED gives that one (unix(7)): a setuid program acts for its owner, as everywhere."""
    before, after, expected = TWO_USERS[kind]

    def ask():
        os.setresuid(*before)
        with socket.socket(socket.AF_UNIX) as connected:
            connected.settimeout(30)
            connected.connect(str(shop.socket))
            if after:
                os.setresuid(-1, 0, -1)
                os.setresuid(*after)
            connected.sendall(b"GET /v1/tokens/bearer HTTP/1.1\r\nHost: x\r\n\r\n")
            return connected.recv(4096)

    said = as_identity(Identity(0, 0), ask)
    assert int(said.split(b" ")[1]) == expected


@pytest.mark.parametrize(
    ("real", "effective", "expected"), [(STRANGER, LABELS, 200), (LABELS, STRANGER, 403)]
)
def test_the_effective_group_of_the_connect_counts(shop, real, effective, expected):
    """That of a setgid program, and not that of whoever called it."""

    def ask():
        os.setresgid(real, effective, effective)
        os.setresuid(STRANGER, STRANGER, STRANGER)
        return first_bytes(str(shop.socket), b"GET /v1/tokens/payment HTTP/1.1\r\nHost: x\r\n\r\n")

    assert int(as_identity(Identity(0, 0), ask).split(b" ")[1]) == expected


def test_every_operation_has_a_row():
    """A call that is added must say whom it is for."""
    assert {name for name, _ in TABLE} == {operation.name for operation in OPERATIONS}
