"""Who is let in, by real users and groups: the kernel's word, judged before a byte is read."""

import json
import os
import socket

import pytest
from identities import Identity, as_identity, exchange, request
from processes import Home, Usps

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")

SHOP, LABELS, OTHERS = 52001, 52002, 52003
ALICE = Identity(51001, 51001, (SHOP, OTHERS))
BOB = Identity(51002, LABELS)
CAROL = Identity(51003, 51003)
STRANGER = Identity(51004, OTHERS, (OTHERS, 27))
ROOT = Identity(0, 0)
NOBODY = Identity(65534, 65534)
DAEMON = Identity(1, 1)
"""A user that every Debian has a name for."""

BEARER = request("/v1/tokens/bearer")
PAYMENT = request("/v1/tokens/payment")


@pytest.fixture(scope="module")
def shop():
    """One broker for all tests here: who asks is what differs."""
    with Usps() as usps:
        home = Home(
            usps.base_url,
            bearer=f"users = [{CAROL.uid}]\ngroups = [{SHOP}, {LABELS}]",
            payment=f"groups = [{LABELS}]",
        )
        with home.broker():
            home.token("payment")
            yield home
        home.remove()


def answered(home, identity, *sent):
    """Status and JSON of what this identity is answered."""
    said = as_identity(identity, lambda: exchange(str(home.socket), sent))
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


@pytest.mark.parametrize(
    "identity", [ALICE, BOB, CAROL, ROOT], ids=["supplementary", "primary", "user", "root"]
)
def test_whom_a_rule_names_is_let_in(shop, identity):
    """By a supplementary group, by the primary group, by the user, and root always."""
    status, token = answered(shop, identity, BEARER)
    assert (status, token["slot"]) == (200, "bearer")


@pytest.mark.parametrize("identity", [BOB, ROOT])
def test_each_token_has_its_own_rule(shop, identity):
    """Payment tokens are for those who make labels."""
    assert answered(shop, identity, PAYMENT)[0] == 200
    for other in (ALICE, CAROL):
        status, problem = answered(shop, other, PAYMENT)
        assert (status, problem["code"]) == (403, "forbidden")
        assert "default/payment to group 52002" in problem["detail"]
        assert "[apps.default.payments.default]" in problem["fix"]


def test_a_stranger_is_told_before_it_has_sent_a_byte(shop):
    """Nothing of a peer that no rule names is ever parsed."""
    status, problem = answered(shop, STRANGER)
    assert (status, problem["code"]) == (403, "forbidden")


def test_a_stranger_is_told_who_it_is_what_is_open_and_which_line_to_add(shop):
    """All that an administrator needs to put it right."""
    _, problem = answered(shop, STRANGER)
    assert "(uid 51004; groups: sudo, 52003)" in problem["detail"]
    assert "default/bearer to user 51003, group 52001, group 52002" in problem["detail"]
    assert "add users = [51004]" in problem["fix"]
    assert "[apps.default.bearer]" in problem["fix"]


def test_a_user_with_a_name_is_called_by_it(shop):
    """In what happened and in what to write."""
    _, problem = answered(shop, DAEMON)
    assert problem["detail"].startswith("user daemon (uid 1; groups: daemon)")
    assert 'users = ["daemon"]' in problem["fix"]


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02", b"GET / HTTP/9.9\r\n", b"x" * 100_000])
def test_what_a_stranger_sends_is_not_looked_at(shop, sent):
    """Garbage gets the same answer as a good request, and it can be read."""
    assert answered(shop, STRANGER, sent)[1]["code"] == "forbidden"


def test_who_the_kernel_cannot_tell_apart_is_never_let_in(shop):
    """65534 is what every unmapped user of every container looks like."""
    status, problem = answered(shop, NOBODY)
    assert status == 403
    assert "65534 is what the kernel says of everybody" in problem["fix"]


@pytest.mark.parametrize("count", [256, 257, 300])
def test_any_number_of_groups_counts(shop, count):
    """Python's own call has room for 256 of them; the group that is named comes last."""
    many = tuple(range(10_000, 10_000 + count - 1))
    status, _ = answered(shop, Identity(51005, 51005, (*many, SHOP)), BEARER)
    assert status == 200


def test_among_many_groups_the_primary_one_and_the_user_count(shop):
    """They come with the socket in any case."""
    many = tuple(range(60_000, 60_400))
    assert answered(shop, Identity(51006, LABELS, many), BEARER)[0] == 200
    assert answered(shop, Identity(CAROL.uid, 51003, many), BEARER)[0] == 200


def test_status_shows_each_only_what_it_may_have(shop):
    """Alice sees the bearer alone."""
    for identity, slots in ((ALICE, ["bearer"]), (BOB, ["bearer", "payment"])):
        _, status = answered(shop, identity, request("/v1/status"))
        assert [slot["slot"] for app in status["apps"] for slot in app["slots"]] == slots


def test_the_identity_is_that_of_the_connect(shop):
    """A socket that root opened and passed on is root's (SO_PEERCRED, unix(7))."""
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(str(shop.socket))

    def use_it():
        connected.sendall(PAYMENT)
        return connected.recv(65536)

    assert as_identity(STRANGER, use_it).startswith(b"HTTP/1.1 200")
    connected.close()


def test_the_state_and_the_secret_are_closed_to_others(shop):
    """By their modes, whatever umask the broker was started with."""

    def look():
        seen = []
        for path in ("state", "state/state", "client-secret"):
            try:
                seen.append(f"read {(shop.folder / path).read_bytes()!r}")
            except OSError as error:
                seen.append(type(error).__name__)
        return " ".join(seen).encode()

    assert as_identity(ALICE, look) == b"PermissionError PermissionError PermissionError"


def test_a_crowd_of_strangers_does_not_keep_others_waiting(shop):
    """A hundred refused connections that nobody reads: the shop is served."""

    def crowd():
        connections = [socket.socket(socket.AF_UNIX) for _ in range(300)]
        for connected in connections:
            connected.connect(str(shop.socket))
        assert answered_at_once()
        return b"done"

    def answered_at_once():
        return exchange(str(shop.socket), ()).startswith(b"HTTP/1.1 403")

    assert as_identity(STRANGER, crowd) == b"done"
    assert answered(shop, ALICE, BEARER)[0] == 200
