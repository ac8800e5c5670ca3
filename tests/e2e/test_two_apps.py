"""Two apps in one file, each open to people of its own: real users, real groups, one socket."""

import json
import os

import pytest
from identities import Identity, as_identity, exchange, request
from processes import Home, Usps

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")

SHOP, LABELS, BOOKS = 52101, 52102, 52103
ALICE = Identity(51101, 51101, (SHOP,))
LARA = Identity(51102, LABELS)
BOB = Identity(51103, 51103)
CAROL = Identity(51104, BOOKS, (SHOP,))
STRANGER = Identity(51105, 51105)
ROOT = Identity(0, 0)

ROLES = """[
  { roleName = "PAYER", CRID = "12345678", MID = "900012345", manifestMID = "900012345", \
accountType = "EPS", accountNumber = "1000000001" },
  { roleName = "LABEL_OWNER", CRID = "12345678", MID = "900012345", manifestMID = "900012345" },
]"""
CONFIG = """\
socket = "{folder}/broker.sock"
state_dir = "{folder}/state"

[apps.shop]
base_url = "{shop}"
client_id = "demo-client-id"
client_secret = {{ file = "{folder}/client-secret" }}
bearer = {{ groups = [{SHOP}, {LABELS}] }}
payments.default = {{ groups = [{LABELS}], roles = {ROLES} }}

[apps.books]
base_url = "{books}"
client_id = "demo-client-id"
client_secret = {{ file = "{folder}/client-secret" }}
bearer = {{ users = [{bob}], groups = [{BOOKS}] }}
payments.eu = {{ users = [{bob}], roles = {ROLES} }}
"""


@pytest.fixture(scope="module")
def both():
    """A broker for two apps at two hosts, with all its tokens."""
    with Usps() as shop, Usps() as books:
        home = Home(shop.base_url)
        home.config.write_text(
            CONFIG.format(
                folder=home.folder,
                shop=shop.base_url,
                books=books.base_url,
                bob=BOB.uid,
                SHOP=SHOP,
                LABELS=LABELS,
                BOOKS=BOOKS,
                ROLES=ROLES.replace("\n", " "),
            )
        )
        with home.broker():
            home.token("payment?app=shop")
            home.token("payment-eu?app=books")
            yield home
        home.remove()


def asked(home, identity, target):
    """Status and JSON of what this identity is answered."""
    said = as_identity(identity, lambda: exchange(str(home.socket), (request(target),)))
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


def refusal(home, identity, target):
    """Status and code of a refusal, and all of its words."""
    status, problem = asked(home, identity, target)
    return status, problem["code"], f"{problem['detail']} {problem['fix']}"


@pytest.mark.parametrize(
    ("identity", "slot", "app"),
    [
        (ALICE, "bearer", "shop"),
        (LARA, "bearer", "shop"),
        (LARA, "payment", "shop"),
        (BOB, "bearer", "books"),
        (BOB, "payment-eu", "books"),
    ],
)
def test_whoever_may_use_one_app_need_not_name_it(both, identity, slot, app):
    """The only one is meant; named, it is the same token."""
    status, token = asked(both, identity, f"/v1/tokens/{slot}")
    assert (status, token["app"], token["slot"]) == (200, app, slot)
    assert asked(both, identity, f"/v1/tokens/{slot}?app={app}")[1]["serial"] == token["serial"]


def test_the_apps_have_tokens_of_their_own(both):
    """Each of its own host."""
    shop = asked(both, ROOT, "/v1/tokens/bearer?app=shop")[1]
    books = asked(both, ROOT, "/v1/tokens/bearer?app=books")[1]
    assert shop["host"] != books["host"]
    assert shop["token"] != books["token"]


@pytest.mark.parametrize(("identity", "other"), [(ALICE, "books"), (BOB, "shop")])
@pytest.mark.parametrize("slot", ["bearer", "payment", "payment-eu"])
def test_the_other_app_is_not_there_for_who_may_not_use_it(both, identity, other, slot):
    """404 as for one that nobody configured; only one's own is named."""
    mine = {"books": "shop", "shop": "books"}[other]
    status, code, words = refusal(both, identity, f"/v1/tokens/{slot}?app={other}")
    assert (status, code) == (404, "unknown_app")
    assert f"you may use: {mine}" in words
    made_up = refusal(both, identity, f"/v1/tokens/{slot}?app=made-up")
    assert made_up == (status, code, words.replace(f"`{other}`", "`made-up`"))


def test_a_token_of_ones_own_app_that_is_open_to_others_is_a_403(both):
    """With whom it is open to, and the line that would open it."""
    status, code, words = refusal(both, ALICE, "/v1/tokens/payment")
    assert (status, code) == (403, "forbidden")
    assert f"group {LABELS}" in words
    assert "[apps.shop.payments.default]" in words
    assert "books" not in words


def test_a_slot_of_the_other_app_is_no_slot_of_ones_own(both):
    """`payment-eu` is books' alone."""
    status, code, words = refusal(both, LARA, "/v1/tokens/payment-eu")
    assert (status, code) == (404, "unknown_slot")
    assert "you may use: bearer, payment" in words


def test_an_app_without_the_usual_payment_slot_says_so(both):
    """Bob's has another."""
    assert refusal(both, BOB, "/v1/tokens/payment")[:2] == (404, "payment_not_configured")


def test_who_may_use_both_has_to_name_one(both):
    """Neither is called `default`."""
    status, code, words = refusal(both, CAROL, "/v1/tokens/bearer")
    assert (status, code) == (404, "unknown_app")
    assert "You may use several (books, shop)" in words
    for app in ("shop", "books"):
        assert asked(both, CAROL, f"/v1/tokens/bearer?app={app}")[1]["app"] == app


@pytest.mark.parametrize(
    ("identity", "seen"),
    [
        (ALICE, {"shop": ["bearer"]}),
        (LARA, {"shop": ["bearer", "payment"]}),
        (BOB, {"books": ["bearer", "payment-eu"]}),
        (CAROL, {"shop": ["bearer"], "books": ["bearer"]}),
        (ROOT, {"shop": ["bearer", "payment"], "books": ["bearer", "payment-eu"]}),
    ],
)
def test_status_shows_ones_own_and_no_trace_of_others(both, identity, seen):
    """Neither names, nor hosts, nor budgets."""
    status, everything = asked(both, identity, "/v1/status")
    assert status == 200
    shown = {app["app"]: [s["slot"] for s in app["slots"]] for app in everything["apps"]}
    assert shown == seen
    hidden = {"shop", "books"} - set(seen)
    assert not [app for app in hidden if app in json.dumps(everything)]


@pytest.mark.parametrize(("identity", "app"), [(ALICE, "shop"), (BOB, "books")])
def test_headers_and_answers_keep_to_the_same_rules(both, identity, app):
    """Every way to a token asks who is there."""
    other = {"books": "shop", "shop": "books"}[app]
    assert asked(both, identity, "/v1/headers")[0] == 200
    assert refusal(both, identity, f"/v1/headers?app={other}")[:2] == (404, "unknown_app")


@pytest.mark.parametrize("app", ["shop", "books", "made-up"])
def test_a_stranger_to_both_is_refused_alike_whatever_it_asks_for(both, app):
    """It is refused before it has asked for anything."""
    said = refusal(both, STRANGER, f"/v1/tokens/bearer?app={app}")
    assert said == refusal(both, STRANGER, "/healthz")
    assert said[:2] == (403, "forbidden")
