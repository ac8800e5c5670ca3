"""Corners of the simulator's parts that no ordinary call comes to."""

import anyio
import msgspec
import pytest

from usps_token_broker.simulator import EXAMPLE_ROLES, Fault, jwt
from usps_token_broker.simulator import grants as grants_module
from usps_token_broker.simulator.api_labels import REMEMBERED, Labels
from usps_token_broker.simulator.grants import Granted, Grants, Refusal, TokenKind
from usps_token_broker.simulator.messages import Answer, head
from usps_token_broker.simulator.standing import Injected

pytestmark = pytest.mark.anyio

BEARER_CLAIMS = {"azp": "app", "scope": "labels  prices", "iat": 100, "exp": 200}


def bearer(token):
    return Granted(token, TokenKind.BEARER, "app", "", frozenset(), 0.0, 100.0)


def test_old_tokens_are_forgotten(monkeypatch):
    """Of very many only the latest are kept, so that no test fills the memory."""
    monkeypatch.setattr(grants_module, "REMEMBERED", 3)
    grants = Grants()

    for number in range(5):
        grants.add(bearer(f"token-{number}"))

    assert grants.judge("token-1", TokenKind.BEARER, 1.0) is Refusal.MALFORMED
    assert isinstance(grants.judge("token-2", TokenKind.BEARER, 1.0), Granted)
    assert grants.count[TokenKind.BEARER] == 5


@pytest.mark.parametrize(
    ("changes", "kind", "now", "judged"),
    [
        ({}, TokenKind.BEARER, 200, Refusal.EXPIRED),
        ({}, TokenKind.PAYMENT, 150, Refusal.MALFORMED),
        ({"exp": "200"}, TokenKind.BEARER, 150, Refusal.MALFORMED),
        ({"iat": None}, TokenKind.BEARER, 150, Refusal.MALFORMED),
        ({"scope": ["labels"]}, TokenKind.BEARER, 150, Refusal.MALFORMED),
    ],
)
def test_a_token_of_an_earlier_run_is_judged_by_its_claims(changes, kind, now, judged):
    """They are all there is."""
    grants = Grants("http://127.0.0.1:1")
    token = grants.sign({**BEARER_CLAIMS, **changes})

    assert grants.judge(token, kind, now) is judged


def test_a_good_token_of_an_earlier_run_is_good():
    """With the scopes it says."""
    grants = Grants("http://127.0.0.1:1")

    judged = grants.judge(grants.sign(dict(BEARER_CLAIMS)), TokenKind.BEARER, 150)

    assert judged.scopes == {"labels", "prices"}
    assert judged.client_id == "app"


def test_a_token_that_names_no_app_has_no_owner():
    """Its calls are counted for nobody in particular."""
    grants = Grants()

    assert grants.owner(grants.sign({"azp": 3})) == ""
    assert grants.owner("é.é.é") == ""


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c.d", "..", "e30.e30.*", "W10.e30.AA", "é.b.c"]
)
def test_what_is_no_jwt_has_no_claims(token):
    """Three parts of base64url, two of them objects."""
    assert jwt.decode(token) is None


def test_a_jwt_carries_its_claims():
    """Whoever has the key can tell that it was signed with it."""
    token = jwt.encode({"azp": "app"}, b"key")

    assert jwt.decode(token) == {"azp": "app"}
    assert jwt.is_signed_with(token, b"key")
    assert not jwt.is_signed_with(token, b"other")
    assert not jwt.is_signed_with(token[:-1] + "é", b"key")


def test_old_labels_are_forgotten():
    """The oldest first."""
    labels = Labels()
    first = labels.make()

    for _ in range(REMEMBERED):
        last = labels.make()

    assert not labels.cancel(first)
    assert labels.cancel(last)


def test_tracking_numbers_have_a_check_digit():
    """Modulo 10 with weights 3 and 1, as USPS's Publication 199 has it."""
    number = Labels().make()

    digits = [int(digit) for digit in reversed(number)]
    assert (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0


def test_a_status_without_a_name_can_be_sent():
    """As server_error=599 asks for."""
    assert head(Answer(599), keep_alive=True).startswith(b"HTTP/1.1 599 Unassigned\r\n")


async def test_waiting_for_a_fault_that_is_gone_is_no_wait():
    """A call that comes late is not held for ever."""
    injected = Injected(1, Fault("hold"), 0.0)
    injected.lift()

    with anyio.fail_after(1):
        await injected.wait_lifted()


async def test_two_calls_can_be_held_by_one_fault():
    """And both are let go."""
    injected = Injected(1, Fault("hold"), 0.0)

    async with anyio.create_task_group() as task_group:
        task_group.start_soon(injected.wait_lifted)
        task_group.start_soon(injected.wait_lifted)
        await anyio.wait_all_tasks_blocked()
        injected.lift()


def test_the_example_roles_are_json():
    """As the greeting prints them for a broker."""
    assert msgspec.json.decode(msgspec.json.encode(EXAMPLE_ROLES)) == list(EXAMPLE_ROLES)
