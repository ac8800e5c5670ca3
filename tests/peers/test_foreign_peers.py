"""Clients that nobody here wrote, on the socket of a real broker: one set of facts for all.

A further client is one more `peer_*` file beside this one; tests/fakes/foreign_peers.py says how.
"""

import json
import os
import socket
from pathlib import Path

import pytest
from foreign_peers import MissingError, Request, Skill, drivers_in, who_can
from identities import Identity, as_identity
from processes import Home, Usps
from relay import Relay

PEERS = drivers_in(Path(__file__).parent)
BEARER = "/v1/tokens/bearer"
PAYMENT = "/v1/tokens/payment"
WRONG_SCOPE = {
    "status": 403,
    "headers": {"Content-Type": "application/json"},
    "body": '{"error": {"message": "Insufficient OAuth scope — größer"}}',
    "path": "/addresses/v3/address",
    "serials": {"bearer": 1},
}
STRANGER = Identity(51004, 51004)


def named(peers):
    return pytest.mark.parametrize("peer", peers, ids=[peer.name for peer in peers])


every_peer = named(PEERS)


def every_peer_that_can(skill):
    return named(who_can(PEERS, skill))


@pytest.fixture(scope="module")
def shop():
    """One broker with both tokens: nothing that is asked of it here changes it."""
    with Usps() as usps:
        home = Home(usps.base_url)
        with home.broker() as broker:
            home.token("payment")
            home.process = broker
            yield home
            assert "Traceback" not in broker.errors()
            assert (usps.calls("token"), usps.calls("payment-authorization")) == (1, 1)
        home.remove()


@pytest.fixture
def relay(shop):
    """Made for one exchange with that broker, to see how it went."""
    return lambda: Relay(lambda: connected(shop.socket))


def connected(path):
    server = socket.socket(socket.AF_UNIX)
    server.connect(str(path))
    return server


def ask(peer, path, *requests, **how):
    try:
        return peer.ask(path, *requests, **how)
    except MissingError as missing:
        pytest.skip(str(missing))


def ask_one(peer, path, target, **more):
    return ask(peer, path, Request(target, **more))[0]


def report(said, **more):
    headers = {"Content-Type": "application/json", **more.pop("headers", {})}
    return Request("/v1/answers", "POST", headers, json.dumps(said, ensure_ascii=False), **more)


def is_whole(answer):
    return len(answer.body.encode()) == int(answer.headers["content-length"])


# -- tokens ---------------------------------------------------------------------------------------


@every_peer
def test_a_token_as_json(shop, peer):
    """One object, whole."""
    answer = ask_one(peer, shop.socket, BEARER)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["token"] == shop.token()["token"]
    assert is_whole(answer)


@every_peer
def test_a_token_as_text(shop, peer):
    """The bare value."""
    answer = ask_one(peer, shop.socket, PAYMENT, headers={"Accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.body == shop.token("payment")["token"]


@every_peer
def test_the_headers_with_payment(shop, peer):
    """Both tokens of one moment, under the names that USPS wants."""
    answer = ask_one(peer, shop.socket, "/v1/headers?payment=default")
    assert answer.json["headers"] == {
        "Authorization": f"Bearer {shop.token()['token']}",
        "X-Payment-Authorization-Token": shop.token("payment")["token"],
    }


@every_peer
def test_an_etag_gives_304(shop, peer, relay):
    """No body, and the connection goes on to the next request."""
    etag = ask_one(peer, shop.socket, BEARER).headers["etag"]
    asked = Request(BEARER, headers={"If-None-Match": etag})
    with relay() as between:
        answers = ask(peer, between.socket, asked, asked, Request(BEARER))
    assert [answer.status for answer in answers] == [304, 304, 200]
    assert [answer.body for answer in answers[:2]] == ["", ""]
    assert answers[0].headers["etag"] == etag
    assert len(between.conversations) == 1


@every_peer
def test_head_has_no_body(shop, peer):
    """The length is the one that GET would have; the client waits for nothing."""
    head, got = ask(peer, shop.socket, Request(BEARER, "HEAD"), Request(BEARER))
    assert (head.status, head.body) == (200, "")
    assert head.headers["content-length"] == got.headers["content-length"]


# -- connections ----------------------------------------------------------------------------------


@every_peer_that_can(Skill.ONE_CONNECTION)
def test_one_connection_serves_many_requests(peer, relay):
    """Tokens, refusals and reports in turn: none of them ends it."""
    mixed = [
        Request(BEARER),
        Request("/v1/tokens/nope"),
        report(WRONG_SCOPE),
        Request(PAYMENT, headers={"Accept": "text/plain"}),
    ] * 5
    with relay() as between:
        answers = ask(peer, between.socket, *mixed)
    assert [answer.status for answer in answers] == [200, 404, 200, 200] * 5
    assert len(between.conversations) == 1


@every_peer
def test_connection_close_is_obeyed(peer, relay):
    """The answer says so too, and is whole."""
    with relay() as between:
        answer = ask_one(peer, between.socket, BEARER, headers={"Connection": "close"})
    assert answer.json["slot"] == "bearer"
    assert is_whole(answer)
    [conversation] = between.conversations
    assert b"\r\nConnection: close\r\n" in conversation.answered


@every_peer
def test_twenty_at_once_get_the_same_token(shop, peer, relay):
    """Each on a connection of its own."""
    with relay() as between:
        answers = ask(peer, between.socket, *[Request(BEARER)] * 20, how="together")
    assert {answer.json["token"] for answer in answers} == {shop.token()["token"]}
    assert len(between.conversations) == 20


@every_peer_that_can(Skill.OLD_HTTP)
def test_http_1_0_is_served_and_closed(peer, relay):
    """A client of 1996 sees the end of the body and the end of the connection."""
    with relay() as between:
        [answer] = ask(peer, between.socket, Request(BEARER), version="1.0")
    assert answer.json["slot"] == "bearer"
    [conversation] = between.conversations
    assert conversation.asked.startswith(f"GET {BEARER} HTTP/1.0\r\n".encode())
    assert b"\r\nConnection: close\r\n" in conversation.answered


# -- reports --------------------------------------------------------------------------------------


@every_peer
def test_a_report_is_answered(shop, peer):
    """A body of known length, with characters beyond ASCII."""
    [answer] = ask(peer, shop.socket, report(WRONG_SCOPE))
    assert answer.status == 200
    assert (answer.json["outcome"], answer.json["retry"]) == ("not_the_token", False)


@every_peer
def test_a_report_needs_no_content_type(shop, peer):
    """Whatever the client says by itself, `curl -d` that it is a form."""
    answer = ask_one(peer, shop.socket, "/v1/answers", method="POST", body=json.dumps(WRONG_SCOPE))
    assert answer.json["outcome"] == "not_the_token"


@every_peer_that_can(Skill.CHUNKED)
def test_a_chunked_report_is_answered(peer, relay):
    """As clients send it that stream."""
    with relay() as between:
        answers = ask(peer, between.socket, *[report(WRONG_SCOPE, chunked=True)] * 2)
    assert [answer.json["outcome"] for answer in answers] == ["not_the_token"] * 2
    [conversation] = between.conversations
    assert b"\r\ntransfer-encoding: chunked\r\n" in conversation.asked.lower()


@every_peer_that_can(Skill.EXPECT)
def test_a_client_that_waits_is_told_to_go_on(peer, relay):
    """`Expect: 100-continue`, as curl says for larger bodies."""
    said = {**WRONG_SCOPE, "body": WRONG_SCOPE["body"] + " " * 50_000}
    with relay() as between:
        [answer] = ask(peer, between.socket, report(said, headers={"Expect": "100-continue"}))
    assert answer.json["outcome"] == "not_the_token"
    [conversation] = between.conversations
    assert conversation.answered.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@every_peer_that_can(Skill.EXPECT)
def test_a_client_that_waits_is_spared_a_body_that_would_be_refused(peer, relay):
    """It hears so in place of `100 Continue`, and sends nothing of its two megabytes."""
    said = {**WRONG_SCOPE, "body": "x" * 2_000_000}
    with relay() as between:
        [answer] = ask(peer, between.socket, report(said, headers={"Expect": "100-continue"}))
    assert (answer.status, answer.json["code"]) == (400, "too_large")
    [conversation] = between.conversations
    assert b"100 Continue" not in conversation.answered
    assert len(conversation.asked) < 1000


@every_peer
def test_a_report_that_is_too_large_is_refused_and_the_refusal_is_read(shop, peer):
    """Half a megabyte, of which the broker keeps none: the client hears why all the same."""
    [answer] = ask(peer, shop.socket, report({**WRONG_SCOPE, "body": "x" * 500_000}))
    assert (answer.status, answer.json["code"]) == (400, "too_large")
    assert is_whole(answer)


# -- refusals -------------------------------------------------------------------------------------


@every_peer
def test_refusals_are_read_whole(shop, peer):
    """What happened and what to do reach the worker."""
    targets = [f"{BEARER}?scope=nope", "/v1/tokens/payment-nope", f"{BEARER}?min_valid=5000"]
    answers = ask(peer, shop.socket, *map(Request, targets))
    assert [(answer.status, answer.json["code"]) for answer in answers] == [
        (403, "scope_missing"),
        (404, "unknown_slot"),
        (400, "bad_request"),
    ]
    for answer in answers:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["detail"]
        assert answer.json["fix"]
        assert is_whole(answer)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
@every_peer
def test_a_stranger_reads_why_it_is_refused(shop, peer):
    """The 403 is there before the request is: no client may take that for a broken server."""
    waiting = [strangers_connection(shop.socket) for _ in range(3)]
    with Relay(waiting.pop) as between:
        answer = ask_one(peer, between.socket, BEARER)
    for unused in waiting:
        unused.close()
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert f"uid {STRANGER.uid}" in answer.json["detail"]
    assert is_whole(answer)


def strangers_connection(path):
    """A connection that somebody else made: whoever made it is who asks on it."""
    ours, theirs = socket.socketpair()

    def make_it():
        with connected(path) as made:
            socket.send_fds(theirs, [b"x"], [made.fileno()])
        return b"made"

    with ours, theirs:
        as_identity(STRANGER, make_it)
        _, [descriptor], _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptor)


# -- waiting --------------------------------------------------------------------------------------


@pytest.fixture
def cold():
    """A USPS that holds its answers back, and a broker that has no token yet."""
    with Usps() as usps:
        usps.ask("POST", "/sim/faults", {"name": "hold", "endpoint": "token"})
        home = Home(usps.base_url)
        with home.broker():
            yield usps, home
        home.remove()


@every_peer
def test_who_comes_too_early_waits_for_the_token(cold, peer, release):
    """Also a client that has closed its half, as netcat has; for ten clients one call."""
    usps, home = cold
    release(usps, home, waiting=10)
    answers = ask(peer, home.socket, *[Request(f"{BEARER}?wait=60")] * 10, how="together")
    assert [answer.status for answer in answers] == [200] * 10
    assert len({answer.json["serial"] for answer in answers}) == 1
    assert usps.calls("token") == 1
