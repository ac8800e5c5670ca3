"""Every HTTP library with its one line: which hop gets which header, and what a response shows."""

from __future__ import annotations

import pytest
from scripted_broker import Reply, problem

from usps_token_client import BrokerError, BrokerNotRunning, BrokerTimeout, TokenClient, _hops

USPS = "https://apis.usps.com"
PAYMENT = "X-Payment-Authorization-Token"
LABEL = f"{USPS}/labels/v3/label"
ADDRESS = f"{USPS}/addresses/v3/address?city=X"
BEARER_1 = ("Bearer bearer-1", None)
BOTH_1 = ("Bearer bearer-1", "payment-1")
NOTHING = (None, None)
ONE_LINE = {
    "httpx": "transport",
    "httpx-async": "transport",
    "requests": "session",
    "urllib3": "pool_manager",
    "aiohttp": "middleware",
}


def put_on(world):
    return [(seen.header("Authorization"), seen.header(PAYMENT)) for seen in world.seen]


def redirect(status, location):
    return Reply(status, b"", {"Location": location})


def test_usps_gets_the_bearer(send, world):
    """A call to the app's own host carries Authorization, and nothing it does not need."""
    answer = send("GET", ADDRESS)
    assert (answer.status, answer.content) == (200, b"done")
    assert put_on(world) == [BEARER_1]
    assert world.seen[0].target == "/addresses/v3/address?city=X"


@pytest.mark.parametrize(
    "path",
    [
        "/labels/v3/label",
        "/labels/v3/label/420123",
        "/labels/v3/return-label",
        "/labels/v3/indicia/imb",
        "/labels/v3/branding",
        "/international-labels/v3/international-label",
        "/pmod/v3/pmod/create",
        "/returns/v3/return",
        "/l%61bels/v3/label",
    ],
)
def test_label_calls_get_the_payment_token_too(send, world, path):
    """Labels, returns, indicia, Open and Distribute (USPS Labels 3.9.13, Payments 3.1.20)."""
    send("POST", USPS + path, json={"a": 1})
    assert put_on(world) == [BOTH_1]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/labelsome/v3",
        "/prices/labels/v3",
        "/payments/v3/x",
        "/x?y=/labels/",
        "/x#/labels/",
    ],
)
def test_other_calls_do_not(send, world, path):
    """A path that only resembles one gets no payment token."""
    send("GET", USPS + path)
    assert put_on(world) == [BEARER_1]


def test_payment_false_never_puts_it_on(send, world, broker):
    """Who makes calls without payment alone asks for no payment token."""
    send("POST", LABEL, rules={"payment": False})
    assert put_on(world) == [BEARER_1]
    assert all("payment" not in request.query for request in broker.requests)


def test_payment_by_name(send, world):
    """Another payment token takes its place."""
    send("POST", LABEL, rules={"payment": "east"})
    assert put_on(world) == [("Bearer bearer-1", "payment-east-1")]


def test_payment_paths_can_be_named(send, world):
    """Who calls another API that wants the token names its path."""
    send("POST", f"{USPS}/other/v3/label", rules={"payment_paths": ("/other",)})
    send("POST", LABEL, rules={"payment_paths": ("/other",)})
    assert put_on(world) == [BOTH_1, BEARER_1]


def test_every_path_can_be_named(send, world):
    """`/` is all of them, which a gateway with paths of its own may want."""
    send("GET", ADDRESS, rules={"payment_paths": ("/",)})
    assert put_on(world) == [BOTH_1]


def test_one_path_without_its_comma_is_refused(library, broker):
    """A text is a tuple of its letters to Python: no call would get the token, and nobody know."""
    made = getattr(library.client(broker.path), ONE_LINE[library.name])
    with pytest.raises(TypeError, match=r"\('/other',\)"):
        made(payment_paths="/other")


def test_what_cannot_be_read_is_nobody_s_host():
    """Two URLs of which a library makes nothing are not at one place."""
    unread = _hops.Place(None, None, None, "/")
    assert not unread.is_at(unread)


def test_a_prefix_in_the_base_url_is_not_part_of_the_path(send, world, broker):
    """Behind a gateway, label calls are recognised after its prefix."""
    broker.base_url = "https://gateway.example/usps"
    send("POST", "https://gateway.example/usps/labels/v3/label")
    send("POST", "https://gateway.example/labels/v3/label")
    assert put_on(world) == [BOTH_1, BEARER_1]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_foreign_host_carries_nothing(send, world, status):
    """The library follows, and what was put on for USPS stays behind."""
    world.answers.append(redirect(status, "https://evil.example/labels/v3/x"))
    assert send("POST", LABEL, data=b"label").status == 200
    assert put_on(world) == [BOTH_1, NOTHING]
    assert [seen.host for seen in world.seen] == ["apis.usps.com", "evil.example"]


def test_a_redirect_away_and_back_puts_them_on_again(send, world):
    """Each hop is decided for itself."""
    world.answers += [redirect(307, "https://cdn.example/x"), redirect(307, ADDRESS)]
    send("POST", LABEL, data=b"label")
    assert put_on(world) == [BOTH_1, NOTHING, BEARER_1]


def test_a_redirect_from_a_label_call_elsewhere_drops_the_payment_token(send, world):
    """The same host, but a call that does not need it."""
    world.answers.append(redirect(307, "/addresses/v3/address"))
    send("POST", LABEL, data=b"label")
    assert put_on(world) == [BOTH_1, BEARER_1]


def test_headers_the_caller_put_on_do_not_leave_usps(send, world, broker):
    """Even the caller's own headers() are taken off for a foreign host."""
    mine = TokenClient(broker.path).headers(payment=True)
    world.answers.append(redirect(307, "https://evil.example/"))
    send("POST", LABEL, headers=mine)
    send("GET", "https://evil.example/", headers=mine)
    lower = {name.lower(): value for name, value in mine.items()}
    send("GET", "https://evil.example/", headers=lower)
    assert put_on(world) == [BOTH_1, NOTHING, NOTHING, NOTHING]


def test_a_caller_s_own_authorization_elsewhere_is_left_alone(send, world):
    """Another service's credentials are not ours to touch."""
    send("GET", "https://other.example/", headers={"Authorization": "Basic eA=="})
    assert put_on(world) == [("Basic eA==", None)]


def test_a_caller_s_own_authorization_for_usps_gives_way(send, world):
    """One header of that name arrives, and it is ours."""
    send("GET", ADDRESS, headers={"authorization": "Basic eA==", PAYMENT.lower(): "old"})
    assert put_on(world) == [("Bearer bearer-1", "old")]


def test_a_response_shows_no_token(send):
    """What the caller logs of its request is what it made."""
    shown = str(send("POST", LABEL, data=b"x").shown)
    assert "bearer-1" not in shown
    assert "payment-1" not in shown


def test_a_response_shows_what_the_caller_put_on(library, send):
    """Ours were there in its place, and are gone."""
    answer = send("GET", ADDRESS, headers={"Authorization": "Basic eA=="})
    assert library.name == "urllib3" or answer.shown["authorization"] == "Basic eA=="


def test_a_rotated_token_is_used_by_the_next_call(send, world, library, broker):
    """The client knows, and no library keeps a header."""
    client = library.client(broker.path, check_after=0.0)
    send("GET", ADDRESS, client=client)
    broker.grant("bearer", "bearer-2", 1002)
    send("GET", ADDRESS, client=client)
    assert put_on(world) == [BEARER_1, ("Bearer bearer-2", None)]


def test_without_a_token_nothing_is_sent(send, world, broker):
    """A request that could only fail raises the broker's reason, and no error of the library."""
    broker.always = problem(502, "credentials_refused")
    with pytest.raises(BrokerError, match="credentials_refused"):
        send("GET", ADDRESS)
    assert world.seen == []


def test_a_broker_that_is_down_is_its_own_error(send, world, library, broker):
    """Also for a stranger, as only the broker knows who that is."""
    broker.stop()
    client = library.client(broker.path, timeout=0.2)
    for url in (ADDRESS, "https://other.example/"):
        with pytest.raises((BrokerNotRunning, BrokerTimeout)):
            send("GET", url, client=client)
    assert world.seen == []


def test_a_static_client_works_as_well(send, world, library):
    """Tokens without a broker go to the host they were given for."""
    client = library.client.static(bearer="b", payment="p", base_url="https://apis-tem.usps.com")
    world.answers.append(Reply(401))
    answer = send("GET", "https://apis-tem.usps.com/labels/v3/x", client=client)
    assert (answer.status, answer.verdict.outcome) == (401, "failed")
    send("GET", LABEL, client=client)
    assert put_on(world) == [("Bearer b", "p"), NOTHING]
