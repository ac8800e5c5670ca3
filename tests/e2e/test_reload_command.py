"""`reload` and SIGHUP on a running broker: all or nothing, and whoever asked is told."""

import json
import re
import signal

import pytest
from processes import Home, Process, Usps, until

ROLES = """roles = [
  { roleName = "PAYER", CRID = "12345678", accountType = "EPS", accountNumber = "1000000001" },
  { roleName = "LABEL_OWNER", CRID = "12345678", MID = "900012345", manifestMID = "900012345" },
]
"""
UNLIMITED = "lead_seconds = 3000"
"""A line to find and change; near the default."""


@pytest.fixture(scope="module")
def usps():
    with Usps() as running:
        yield running


@pytest.fixture
def shop(usps):
    """A broker with both tokens, and its configuration."""
    home = Home(usps.base_url, app=UNLIMITED)
    with home.broker() as broker:
        home.broker_process = broker
        home.token("payment")
        yield home
    home.remove()


def test_nothing_different_is_said_and_costs_nothing(shop, usps):
    """A reload is always safe."""
    before = usps.calls("token"), usps.calls("payment-authorization")
    token = shop.token()
    done = shop.command("reload")
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing is different\n", "")
    assert (usps.calls("token"), usps.calls("payment-authorization")) == before
    assert shop.token()["serial"] == token["serial"]


def test_what_is_different_is_said_key_by_key(shop):
    """And in force when the command returns."""
    shop.change(UNLIMITED, "calls_per_hour = 20")
    done = shop.command("reload")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "apps.default.lead_seconds: 3000 -> 3600.0",
        "apps.default.calls_per_hour: 30 -> 20",
    ]
    assert shop.status()["apps"][0]["budget"][0]["calls_per_hour"] == 20


def test_a_payment_slot_comes_and_goes(shop):
    """By a file of its own; nothing else is fetched anew."""
    serials = shop.token()["serial"], shop.token("payment")["serial"]
    folder = shop.folder / "payments.d"
    folder.mkdir()
    (folder / "eu.toml").write_text(ROLES)
    done = shop.command("reload")
    assert (done.returncode, done.stdout) == (0, "default/payment-eu added\n")
    assert shop.token("payment-eu")["slot"] == "payment-eu"
    (folder / "eu.toml").unlink()
    assert shop.command("reload").stdout == "default/payment-eu removed\n"
    assert shop.get("/v1/tokens/payment-eu")[0] == 404
    assert (shop.token()["serial"], shop.token("payment")["serial"]) == serials


def test_a_wrong_key_leaves_everything_as_it_was(shop):
    """Also what is right in the same file; every problem is said, as `check` says it."""
    shop.change(UNLIMITED, 'calls_per_hour = "20"\ntimeout = 5')
    done = shop.command("reload")
    assert done.returncode == 78
    assert done.stdout == ""
    assert "apps.default.calls_per_hour: expected a whole number" in done.stderr
    assert "write it without quotes: 20" in done.stderr
    assert "did you mean timeout_seconds?" in done.stderr
    assert done.stderr.endswith("nothing was changed\n")
    assert shop.status()["apps"][0]["budget"][0]["calls_per_hour"] == 30
    assert "the configuration before stays in force" in shop.broker_process.errors()


def test_a_wrong_configuration_is_422_with_a_problem_for_each_key(shop):
    """What a program gets over the admin socket."""
    shop.change(UNLIMITED, 'calls_per_hour = "20"\ntimeout = 5')
    done = shop.command("reload", "--json")
    problem = json.loads(done.stdout)
    assert (done.returncode, problem["status"], problem["code"]) == (78, 422, "config_invalid")
    assert {p["key"] for p in problem["problems"]} == {
        "apps.default.calls_per_hour",
        "apps.default.timeout",
    }
    assert all(p["file"] == str(shop.config) for p in problem["problems"])


def test_a_secret_that_cannot_be_read_is_nothing_to_go_on_with(shop):
    """The whole reload is refused, with the file."""
    (shop.folder / "client-secret").unlink()
    shop.change(UNLIMITED, "calls_per_hour = 20")
    done = shop.command("reload")
    assert done.returncode == 78
    assert "apps.default.client_secret" in done.stderr
    assert f"{shop.folder}/client-secret" in done.stderr
    assert shop.status()["apps"][0]["budget"][0]["calls_per_hour"] == 30


def test_where_it_listens_takes_a_restart_and_that_is_said(shop):
    """Half a reload would be worse."""
    shop.change(f'socket = "{shop.folder}/broker.sock"', f'socket = "{shop.folder}/other.sock"')
    done = shop.command("reload")
    assert done.returncode == 78
    assert "socket: expected" in done.stderr
    assert "restart the broker" in done.stderr
    assert shop.token()["slot"] == "bearer"


def test_a_payment_file_gone_bad_hurts_nobody(shop):
    """What was read from it before stays in force; the reload says so and is not clean."""
    folder = shop.folder / "payments.d"
    folder.mkdir()
    (folder / "eu.toml").write_text(ROLES)
    shop.command("reload")
    serial = shop.token("payment-eu")["serial"]
    (folder / "eu.toml").write_text("roles = [")
    shop.change(UNLIMITED, "calls_per_hour = 20")
    done = shop.command("reload")
    assert done.returncode == 78
    assert "calls_per_hour: 30 -> 20" in done.stdout
    assert "eu.toml" in done.stderr
    assert shop.token("payment-eu")["serial"] == serial


def test_a_new_payment_file_that_is_bad_is_left_out(shop):
    """Everything else is in force."""
    folder = shop.folder / "payments.d"
    folder.mkdir()
    (folder / "us.toml").write_text(ROLES)
    (folder / "eu.toml").write_text("roles = 5")
    done = shop.command("reload")
    assert done.returncode == 78
    assert done.stdout == "default/payment-us added\n"
    assert "the slot payment-eu is not served" in done.stderr
    assert shop.token("payment-us")["slot"] == "payment-us"


# -- the client secret ---------------------------------------------------------------------------


def test_a_changed_secret_is_proved_at_once(shop, usps):
    """One call, and the caller is told."""
    usps.ask("PUT", "/sim/settings", {"client_secret": "another-secret"})
    try:
        shop.write_secret("another-secret")
        calls = usps.calls("token")
        done = shop.command("reload")
        assert (done.returncode, done.stdout) == (0, "app default: secret accepted\n")
        assert usps.calls("token") == calls + 1
    finally:
        usps.ask("PUT", "/sim/settings", {"client_secret": "demo-client-secret"})


def test_a_wrong_secret_is_told_at_once_and_the_good_token_stays(shop, usps):
    """Until when, and what to do."""
    serial = shop.token()["serial"]
    shop.write_secret("wrong")
    done = shop.command("reload")
    assert done.returncode == 78
    said = r"app default: refused: the old token is good until [0-2][0-9]:[0-5][0-9] \("
    assert re.match(said, done.stdout), done.stdout
    assert shop.token()["serial"] == serial
    shop.write_secret("demo-client-secret")
    done = shop.command("reload")
    assert (done.returncode, done.stdout) == (0, "app default: secret accepted\n")
    assert shop.slot()["trouble"] is None


def test_a_refusal_is_not_told_while_the_changed_secret_is_tried():
    """Who does not wait is told to come back, and not that a person must act: one just has."""
    with Usps() as usps:
        home = Home(usps.base_url)
        home.write_secret("wrong")

        def told():
            return json.loads(home.get("/v1/tokens/bearer?wait=0")[2])

        with home.broker() as broker:
            until(lambda: home.slot()["phase"] == "halted", home.status)
            assert told()["code"] == "credentials_refused"
            usps.process.send_signal(signal.SIGSTOP)
            try:
                home.write_secret("demo-client-secret")
                broker.process.send_signal(signal.SIGHUP)
                until(lambda: home.slot()["phase"] == "fetching", home.status)
                assert told()["code"] == "not_ready"
                assert "it is being fetched; before that: USPS answered 401" in told()["detail"]
            finally:
                usps.process.send_signal(signal.SIGCONT)
            assert home.token()["slot"] == "bearer"
        home.remove()


def test_an_unchanged_wrong_secret_is_not_tried_again(shop, usps):
    """Ten reloads cost one refused call."""
    shop.write_secret("wrong")
    shop.command("reload")
    calls = usps.calls("token")
    for _ in range(3):
        assert shop.command("reload").returncode == 0
    assert usps.calls("token") == calls


def test_who_leaves_before_a_secret_is_proved_leaves_a_reload_that_is_told(shop, usps):
    """It is in force: the log says what is different, and the figures count it."""
    shop.change(UNLIMITED, "calls_per_hour = 20")
    shop.write_secret("wrong")
    usps.process.send_signal(signal.SIGSTOP)
    try:
        options = ("reload", "--config", str(shop.config), "--wait", "60")
        log = shop.broker_process.errors
        with Process("usps_token_broker", *options) as asking:
            until(lambda: "trying it once" in log(), log)
            assert asking.kill(signal.SIGINT) == 130
    finally:
        usps.process.send_signal(signal.SIGCONT)
    assert "reloaded, secret files read again: apps.default.lead_seconds: 3000 -> 3600.0" in log()
    assert b'reloads_total{result="applied"} 1.0' in shop.get("/metrics")[2]


def test_who_waits_for_a_proof_when_the_broker_ends_is_told_how_far_it_got():
    """The reload is in force, so that is the answer; and the end is not held up."""
    with Usps() as usps:
        home = Home(usps.base_url)
        with home.broker() as broker:
            home.token()
            usps.kill()
            home.write_secret("another-secret")
            options = ("reload", "--config", str(home.config), "--wait", "60")
            with Process("usps_token_broker", *options) as asking:
                until(lambda: home.slot()["phase"] == "waiting", broker.errors)
                assert broker.kill(signal.SIGTERM) == 0
                assert asking.first_line().startswith(b"app default: not proved yet: ")
        home.remove()


# -- by signal, and by whom ----------------------------------------------------------------------


def test_a_hangup_reloads_and_the_log_tells_how_it_went(shop):
    """For `systemctl reload`, and for a human."""
    shop.change(UNLIMITED, "calls_per_hour = 20")
    shop.broker_process.process.send_signal(signal.SIGHUP)
    log = shop.broker_process.errors
    until(lambda: "apps.default.calls_per_hour: 30 -> 20" in log(), log)
    shop.change("calls_per_hour = 20", "calls_per_hour = 0")
    shop.broker_process.process.send_signal(signal.SIGHUP)
    until(lambda: "not reloaded" in log(), log)
    assert shop.status()["apps"][0]["budget"][0]["calls_per_hour"] == 20
    (told,) = [line for line in log().splitlines() if "ERROR" in line]
    assert re.search(r": expected [^;]+, found 0; .+; the configuration before stays", told), told


def test_many_reloads_at_once_are_one_after_the_other(shop, usps):
    """Signals and calls; each caller gets its own answer, and USPS no call."""
    calls = usps.calls("token")
    for _ in range(20):
        shop.broker_process.process.send_signal(signal.SIGHUP)
    assert shop.command("reload").returncode == 0
    assert usps.calls("token") == calls


def test_readers_notice_nothing_of_twenty_reloads(shop):
    """Every request of a kept connection is answered while the configuration changes."""
    for n in range(20):
        shop.config.write_text(
            re.sub(
                r"(lead_seconds|calls_per_hour) = \d+",
                f"calls_per_hour = {20 + n}",
                shop.config.read_text(),
            )
        )
        shop.broker_process.process.send_signal(signal.SIGHUP)
        for _ in range(20):
            assert shop.get("/v1/headers?payment=default")[0] == 200


def test_no_broker_is_said_with_where_it_was_looked_for(usps):
    """69, as for every command that finds none."""
    home = Home(usps.base_url)
    done = home.command("reload")
    home.remove()
    assert done.returncode == 69
    assert f"{home.folder}/state/admin.sock" in done.stderr
