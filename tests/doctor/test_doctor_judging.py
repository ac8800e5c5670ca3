"""What doctor makes of what it saw: values in, findings out."""

import http.client
import json
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from configs import ROLES, Folder, app_with
from standings import GOOD, NONE, status

from usps_token_broker import version
from usps_token_broker.app.access import AccessTable
from usps_token_broker.catalogue import CATALOGUE
from usps_token_broker.config import ConfigError
from usps_token_broker.doctor import (
    Finding,
    Scene,
    Verdict,
    access,
    clocks,
    configuration,
    exit_code,
    old_bearer,
    sockets,
    tokens,
    units,
    way,
)
from usps_token_broker.doctor.fencing import HangsError
from usps_token_broker.doctor.findings import failed, passed, unseen, warned
from usps_token_broker.doctor.proofs import Fate, Proof
from usps_token_broker.drivers.probing import Identity, Synchronised
from usps_token_broker.drivers.units.files import Link, Regular
from usps_token_broker.drivers.units.plans import Manager
from usps_token_broker.drivers.units.texts import stamped
from usps_token_broker.drivers.upstream.handshake import Handshake, ProxyRefusedError
from usps_token_broker.wire.status import BudgetMessage, TroubleMessage

PATH = Path("/run/usps-token-broker/broker.sock")
PASS, WARN, FAIL, UNSEEN = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNSEEN
SERVICE = "usps-token-broker.service"


def told(findings):
    """Verdicts and rows."""
    return [(finding.verdict, finding.code) for finding in findings]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def app(folder):
    """One app with a payment slot in which nothing is wrong."""
    payment = f"[apps.default.payments.default]\n{ROLES}\nusers = [52001]\n"
    return folder.load(app_with(f"[apps.default.bearer]\ngroups = [52002]\n{payment}")).apps[0]


# Findings


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ((), 0),
        ((passed("x", "y"), warned("x", "clock_off", "y"), unseen("x", "y")), 0),
        ((failed("x", "not_ready", "y"),), 75),
        ((failed("x", "not_ready", "y"), failed("x", "100005", "y")), 75),
        ((failed("x", "not_ready", "y"), failed("x", "clock_off", "y")), 78),
        ((failed("x", "credentials_refused", "y"),), 78),
    ],
)
def test_the_exit_code_says_whether_a_person_must_act(findings, code):
    """What passes by itself is worth another try; warnings and what nobody saw do not count."""
    assert exit_code(findings) == code


def test_a_failure_has_the_fix_of_its_row_unless_one_fits_better():
    """So that nothing fails without a way out."""
    assert failed("x", "clock_off", "y").fix == CATALOGUE["clock_off"].fix
    assert failed("x", "clock_off", "y", "turn it").fix == "turn it"


def test_no_finding_fails_without_a_row():
    """A code of none is a mistake of ours."""
    with pytest.raises(KeyError):
        failed("x", "made_up", "y")


# The configuration


def test_a_configuration_that_can_be_used_passes(folder):
    """With its size."""
    findings = [*configuration.judge(folder.load(app_with("")))]
    assert told(findings) == [(PASS, "")]
    assert findings[0].saw.endswith("1 app, 1 token")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (app_with('base_url = "https://api.usps.com"'), (FAIL, "old_host")),
        (app_with('base_url = "https://usps.example"'), (WARN, "base_url_wrong")),
    ],
)
def test_a_host_that_is_hardly_meant_is_told(folder, text, expected):
    """An old one does not work; an unknown one may be a simulator."""
    assert told(configuration.judge(folder.load(text)))[1:] == [expected]


def test_a_payment_file_that_cannot_be_used_fails(folder):
    """Its slot is not served."""
    folder.write("roles = 5", "payments.d/eu.toml")
    [_, finding] = configuration.judge(folder.load(app_with("")))
    assert told([finding]) == [(FAIL, "config_invalid")]
    assert finding.fix.startswith("write: roles = [")


def test_every_problem_of_a_refused_one_fails_by_itself(folder):
    """Each with what to write."""
    error = folder.refusal("[apps.default]\nclient_id = 5\n")
    assert isinstance(error, ConfigError)
    findings = [*configuration.judge_refusal(error)]
    assert told(findings) == [(FAIL, "config_invalid")] * 2
    assert all(finding.fix for finding in findings)


def test_roles_that_usps_would_refuse_fail_with_its_number(app):
    """And pass where nothing is wrong."""
    assert told(configuration.judge_roles(app)) == [(PASS, "")]
    broken = _with_roles(app, {"roleName": "PAYER", "CRID": "12345678"})
    assert told(configuration.judge_roles(broken)) == [(WARN, "160229"), (FAIL, "160223")]


def test_roles_that_usps_has_granted_a_token_for_do_not_fail(app):
    """It has the last word: its rules for this account may be others."""
    broken = _with_roles(app, {"roleName": "PAYER", "CRID": "12345678"})
    assert {v for v, _ in told(configuration.judge_roles(broken, {"payment"}))} == {WARN}


def _with_roles(app, *roles):
    return replace(app, payments=(replace(app.payments[0], roles=roles),))


def test_a_budget_that_is_too_small_is_warned_of(folder, app):
    """With the line to write."""
    assert told(configuration.judge_budget(app)) == [(PASS, "")]
    for n in range(150):
        folder.write(ROLES, f"payments.d/m{n}.toml")
    small = folder.load(app_with("")).apps[0]
    [finding] = configuration.judge_budget(small)
    assert (finding.verdict, finding.code) == (WARN, "budget_exhausted")
    assert "calls_per_hour = " in finding.fix


# The socket


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError(), "not_installed"),
        (NotADirectoryError(), "not_installed"),
        (PermissionError(), "no_permission"),
        (ConnectionRefusedError(), "not_running"),
        (BlockingIOError(), "busy"),
        (TimeoutError(), "timed_out"),
        (http.client.BadStatusLine("x"), "not_a_broker"),
        (ConnectionResetError(), "not_a_broker"),
        (OSError(40, "Too many levels"), "unreachable"),
    ],
)
def test_silence_has_the_row_of_its_cause(error, code):
    """As the client's errors have."""
    finding = sockets.judge_silence(PATH, error)
    assert (finding.verdict, finding.code) == (FAIL, code)
    assert str(PATH) in finding.saw


ALIVE = {"alive": True, "version": "1.2.3"}


@pytest.mark.parametrize(
    ("status_code", "body", "expected"),
    [
        (200, json.dumps(ALIVE), (PASS, "")),
        (503, json.dumps({**ALIVE, "alive": False}), (FAIL, "broker_stuck")),
        (200, "<html>", (FAIL, "not_a_broker")),
        (200, "[1]", (FAIL, "not_a_broker")),
        (200, "[" * 100_000, (FAIL, "not_a_broker")),
        (200, "{}", (FAIL, "bad_answer")),
        (403, '{"code": "forbidden", "fix": "add it"}', (WARN, "forbidden")),
        (403, '{"code": 5}', (FAIL, "bad_answer")),
        (503, '{"code": "restarting", "fix": 7}', (WARN, "restarting")),
        (429, '{"code": "too_many_requests"}', (WARN, "too_many_requests")),
        (404, '{"code": ["x"]}', (FAIL, "bad_answer")),
    ],
)
def test_an_answer_is_that_of_a_broker_or_not(status_code, body, expected):
    """By what it says, whatever listens there."""
    finding = sockets.judge_answer(PATH, status_code, body.encode())
    assert (finding.verdict, finding.code) == expected


def test_a_broker_of_another_release_is_told_by_both_versions():
    """As after an update without a restart."""
    finding = sockets.judge_answer(PATH, 200, json.dumps(ALIVE).encode())
    assert "usps-token-broker 1.2.3 answers" in finding.saw
    assert f"this command is of {version()}" in finding.saw


def test_a_broker_that_cannot_save_fails():
    """Its tokens would be lost with it."""
    assert told([sockets.judge_process(status(GOOD))]) == [(PASS, "")]
    full = status(GOOD, state_trouble="no space left")
    assert told([sockets.judge_process(full)]) == [(FAIL, "state_not_saved")]


# Units

OURS = Regular(stamped("[Service]\n"))
RUNNING = Manager(252, running=True, active=frozenset({SERVICE}), enabled=frozenset({SERVICE}))


@pytest.mark.parametrize(
    ("found", "manager", "answers", "expected"),
    [
        ({SERVICE: OURS}, RUNNING, True, [(PASS, "")]),
        ({SERVICE: None}, Manager(), True, [(UNSEEN, "")]),
        ({SERVICE: None}, Manager(), False, [(UNSEEN, "")]),
        ({SERVICE: None}, Manager(252, running=True), False, [(WARN, "not_running")]),
        ({SERVICE: OURS, "x": None}, RUNNING, True, [(PASS, ""), (FAIL, "unit_inactive")]),
        ({"x": None, SERVICE: None}, RUNNING, True, [(PASS, ""), (FAIL, "unit_inactive")]),
        ({SERVICE: OURS}, Manager(), True, [(UNSEEN, "")]),
        ({SERVICE: OURS}, Manager(252, running=True), False, [(FAIL, "unit_inactive")]),
        (
            {SERVICE: OURS},
            Manager(252, running=True, failed=frozenset({SERVICE})),
            False,
            [(FAIL, "unit_failed")],
        ),
        (
            {SERVICE: OURS},
            Manager(252, running=True, active=frozenset({SERVICE})),
            True,
            [(WARN, "unit_inactive")],
        ),
        (
            {SERVICE: Regular(OURS.data + b"User=root\n")},
            RUNNING,
            True,
            [(WARN, "unit_changed"), (PASS, "")],
        ),
        (
            {SERVICE: Link("/dev/null")},
            Manager(252, running=True),
            False,
            [(FAIL, "unit_inactive")],
        ),
    ],
)
def test_units_are_judged_by_file_and_manager(found, manager, answers, expected):
    """There, as written, active, and enabled."""
    assert told(units.judge(found, manager, answers=answers)) == expected


def test_what_is_masked_must_be_unmasked_before_it_can_start():
    """Either alone fails when it is typed."""
    [finding] = units.judge({SERVICE: Link("/dev/null")}, Manager(252, running=True), answers=False)
    assert finding.fix == f"`systemctl unmask {SERVICE}`, then `systemctl start {SERVICE}`"


def test_a_unit_that_systemd_has_not_read_again_is_told():
    """It goes on with the old one."""
    stale = Manager(252, running=True, stale=frozenset({SERVICE}), active=RUNNING.active)
    assert (WARN, "unit_changed") in told(units.judge({SERVICE: OURS}, stale, answers=True))


# Who may


@pytest.mark.parametrize(
    ("uid", "groups", "gets"),
    [
        (52001, (), "default/payment"),
        (52009, (52002,), "default/bearer"),
        (0, (), "default/bearer, default/payment"),
        (52009, (), None),
        (65534, (65534,), None),
    ],
)
def test_one_user_gets_what_the_rules_give(app, uid, groups, gets):
    """By uid or any group; nothing is a failure with the line to write."""
    person = access.Person("someone", Identity(uid, uid, frozenset(groups)))
    finding = access.judge(person, AccessTable([app], 999), (app,))
    if gets is None:
        assert (finding.verdict, finding.code) == (FAIL, "forbidden")
        assert 'users = ["someone"]' in finding.fix
    else:
        assert finding.verdict is PASS
        assert finding.saw.endswith(f"gets {gets}")


@pytest.mark.parametrize("name", ["no such user", "", "\0", "4294967295", "9" * 30, "²"])
def test_a_user_who_is_not_there_is_none(name):
    """And nothing raises."""
    assert access.find(name) is None


def test_a_number_without_a_name_is_a_user():
    """As in containers."""
    assert access.find("52345").identity.uid == 52345


# The way


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ssl.SSLCertVerificationError("x"), "certificate_refused"),
        (ssl.SSLError("x"), "tls_failed"),
        (ProxyRefusedError(407), "proxy_refused"),
        (TimeoutError(), "not_connected"),
        (ConnectionRefusedError(111, "Connection refused"), "not_connected"),
        (UnicodeError(), "not_connected"),
    ],
)
def test_a_connection_that_fails_has_the_row_of_its_cause(app, error, code):
    """As a call of the broker's has."""
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_message, error.verify_code = "self-signed certificate", 18
    assert told([way.judge_failure(app, error)]) == [(FAIL, code)]


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "unknown"), HangsError("no answer"), UnicodeError()]
)
def test_a_name_without_an_address_has_its_row_however_it_fails(app, error):
    """A name service that hangs fails too."""
    assert told([way.judge_nameless(app, error)]) == [(FAIL, "dns_failed")]


@pytest.mark.parametrize(
    ("hands", "verdict"),
    [
        (Handshake("TLSv1.3", 30 * 86_400.0), PASS),
        (Handshake("TLSv1.3", 86_400.0), WARN),
        (Handshake("TLSv1.3", None), PASS),
        (Handshake("", None), UNSEEN),
    ],
)
def test_a_certificate_that_ends_soon_is_told(app, hands, verdict):
    """It is renewed weeks before by whoever does."""
    assert way.judge_handshake(app, hands, 0.0).verdict is verdict


# The clock


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Synchronised.YES, (PASS, "")),
        (Synchronised.NO, (WARN, "clock_off")),
        (Synchronised.UNKNOWN, (UNSEEN, "")),
    ],
)
def test_the_kernel_says_whether_the_clock_is_kept(said, expected):
    """Not kept is no failure: it may be right."""
    assert told([clocks.judge_kernel(said)]) == [expected]


@pytest.mark.parametrize(
    ("skew", "expected"),
    [
        (None, (UNSEEN, "")),
        (60.0, (PASS, "")),
        (61.0, (FAIL, "clock_off")),
        (-61.0, (FAIL, "clock_off")),
    ],
)
def test_a_clock_that_usps_does_not_share_fails(skew, expected):
    """Over a minute, either way."""
    assert told([clocks.judge_skew(status(GOOD, skew=skew).apps[0])]) == [expected]


# Tokens

LIMITED = TroubleMessage("upstream_rate_limited", "too many", "wait", 0, 0, 1, 429)


@pytest.mark.parametrize(
    ("slot", "expected"),
    [
        (GOOD, (PASS, "")),
        (msgspec.structs.replace(GOOD, trouble=LIMITED), (WARN, "upstream_rate_limited")),
        (NONE, (FAIL, "payment_refused")),
        (msgspec.structs.replace(NONE, trouble=None), (FAIL, "not_ready")),
        (msgspec.structs.replace(NONE, trouble=None, dormant=True), (PASS, "")),
        (
            msgspec.structs.replace(
                NONE, trouble=msgspec.structs.replace(LIMITED, code="new", reason="newer")
            ),
            (FAIL, "not_recognised"),
        ),
        (
            msgspec.structs.replace(
                NONE, trouble=msgspec.structs.replace(LIMITED, reason="160228")
            ),
            (FAIL, "160228"),
        ),
    ],
)
def test_a_token_stands_as_the_broker_says(slot, expected):
    """With the most exact row of its trouble."""
    app = status(slot).apps[0]
    assert told([tokens.judge_slot(app, slot)]) == [expected]


def test_a_payment_token_that_waits_for_the_bearer_does_not_fail_beside_it():
    """One cause, one failure."""
    bearer = msgspec.structs.replace(NONE, slot="bearer")
    waiting = msgspec.structs.replace(NONE, trouble=None)
    app = status(bearer, waiting).apps[0]
    assert told([tokens.judge_slot(app, waiting)]) == [(UNSEEN, "")]


def test_a_429_of_one_endpoint_says_nothing_of_the_other():
    """USPS counts the calls of each."""
    app = status(msgspec.structs.replace(GOOD, trouble=LIMITED)).apps[0]
    budget = [BudgetMessage("token", 1, 30), BudgetMessage("payment-authorization", 0, 30)]
    app = msgspec.structs.replace(app, budget=budget)
    assert told(tokens.judge_quota(app)) == [(WARN, "another_client"), (PASS, "")]


@pytest.mark.parametrize(
    ("scopes", "slots", "expected"),
    [
        (None, (), (UNSEEN, "")),
        (("labels",), (), (PASS, "")),
        (("labels",), (NONE,), (FAIL, "payments_scope_missing")),
        (("labels", "payments"), (NONE,), (PASS, "")),
        ((), (NONE,), (FAIL, "payments_scope_missing")),
    ],
)
def test_payment_slots_need_the_scope_payments(scopes, slots, expected):
    """Others do not."""
    bearer = msgspec.structs.replace(GOOD, scopes=scopes)
    app = status(bearer, *slots).apps[0]
    assert told([tokens.judge_scopes(app, bearer, None)]) == [expected]


@pytest.mark.parametrize(
    ("used", "trouble", "expected"),
    [
        (1, None, (PASS, "")),
        (30, None, (WARN, "budget_exhausted")),
        (2, LIMITED, (WARN, "another_client")),
        (29, LIMITED, (PASS, "")),
    ],
)
def test_a_429_that_our_own_calls_do_not_explain_is_another_client(used, trouble, expected):
    """Many calls of our own do."""
    slot = msgspec.structs.replace(GOOD, trouble=trouble)
    app = status(slot).apps[0]
    app = msgspec.structs.replace(app, budget=[BudgetMessage("token", used, 30)])
    assert told(tokens.judge_quota(app)) == [expected]


# The old bearer

DEAD = (
    '{"apiVersion": "/addresses/v3/", "error": {"code": "401", "message": "Invalid access token", '
    '"errors": [{"title": "invalid_token", "detail": "has been revoked"}]}}'
)


@pytest.mark.parametrize(
    ("code", "body", "fate"),
    [
        (200, "{}", Fate.LIVES),
        (404, "{}", Fate.LIVES),
        (400, "{}", Fate.LIVES),
        (401, DEAD, Fate.DIES),
        (
            401,
            '{"error": {"message": "The client application identifier is invalid."}}',
            Fate.UNKNOWN,
        ),
        (401, "{}", Fate.UNKNOWN),
        (401, "<title>Log in</title>", Fate.UNKNOWN),
        (200, "<title>Log in</title>", Fate.UNKNOWN),
        (404, "", Fate.UNKNOWN),
        (403, "{}", Fate.UNKNOWN),
        (429, "{}", Fate.UNKNOWN),
        (503, "", Fate.UNKNOWN),
    ],
)
def test_only_an_answer_about_the_token_tells_its_fate(code, body, fate):
    """A product that is missing or a quota used up says nothing of it."""
    assert old_bearer.judge_fate(code, {}, body, "apis.usps.com")[0] is fate


@pytest.mark.parametrize(
    ("fate", "expected"),
    [
        (Fate.LIVES, (PASS, "")),
        (Fate.DIES, (WARN, "old_bearer_dies")),
        (Fate.UNKNOWN, (UNSEEN, "")),
    ],
)
def test_what_was_found_out_is_shown_later(fate, expected):
    """With when."""
    finding = old_bearer.judge_proof(Proof("apis.usps.com", fate, 100.0, "said so"), 160.0)
    assert (finding.verdict, finding.code) == expected


def test_a_finding_is_json(app):
    """For `--json` and the bundle."""
    finding = configuration.judge_budget(app)
    assert msgspec.json.decode(msgspec.json.encode([*finding]), type=list[Finding])


def test_a_changed_secret_that_usps_refuses_fails_beside_a_good_token():
    """The old token goes on; where there is none, its own trouble says it, once."""
    good = status(GOOD)
    good.apps[0] = msgspec.structs.replace(good.apps[0], credentials="refused")
    found = told(tokens.look(Scene(status=good)))
    assert found == [(FAIL, "credentials_refused"), (PASS, "")]
    trouble = msgspec.structs.replace(LIMITED, code="credentials_refused")
    good.apps[0] = msgspec.structs.replace(
        good.apps[0], slots=[msgspec.structs.replace(NONE, trouble=trouble)]
    )
    assert told(tokens.look(Scene(status=good))) == [(FAIL, "credentials_refused")]
