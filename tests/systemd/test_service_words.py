"""What `systemctl status` says of the broker, and when systemd takes it for ready."""

import re

import pytest
from installed import SERVICE
from processes import until

BOTH = (
    r"^ready: bearer good until \d\d:\d\d, renewal at \d\d:\d\d; "
    r"payment good until \d\d:\d\d, renewal at \d\d:\d\d"
)


def test_both_tokens_stand_in_systemctl_status(broker):
    """Until when each is good and when it is renewed, as the administrator types it."""
    broker.until_words(BOTH + "$")
    shown = broker.systemctl("status", SERVICE)
    [line] = [line for line in shown.splitlines() if "Status: " in line]
    assert re.search(BOTH[1:], line)


def test_a_usps_that_is_down_at_boot_keeps_nothing_from_starting(installed):
    """Ready as a service, not ready as a broker: what is wrong, what to do, and no start again."""
    installed.systemctl("stop", "usps.service")
    installed.start()
    assert installed.show("ActiveState", "SubState", "NRestarts") == ["active", "running", "0"]
    words = installed.until_words("refuses the connection")
    assert words.startswith("not ready: bearer missing, retry at ")
    assert ". Do: " in words
    pid = installed.pid
    installed.start_usps()
    installed.tokens()
    installed.until_words(BOTH)
    assert (installed.pid, installed.show("NRestarts")) == (pid, "0")


def test_a_trouble_is_told_with_what_to_do_until_it_is_over(installed):
    """USPS fails the first call for a payment token: the bearer token is told all the same."""
    installed.usps_breaks("unavailable@payment-authorizationx1")
    installed.start()
    words = installed.until_words("; payment: USPS ")
    assert re.search(r"^ready: bearer good until .*; payment missing, retry at \d\d:\d\d", words)
    assert ", once, at " in words
    assert ". Do: " in words
    installed.until_words(BOTH + "$")


def test_a_reload_tells_how_it_went(broker):
    """In the line, at the prompt by the exit code, and in the journal."""
    assert broker.machine.run("systemctl", "reload", SERVICE).returncode == 0
    assert re.search(BOTH[1:] + r"; reloaded at \d\d:\d\d$", broker.words)
    broker.configure("client_ids = 1")
    refused = broker.machine.run("systemctl", "reload", SERVICE, check=False)
    assert refused.returncode != 0
    assert re.search(r"; not reloaded at \d\d:\d\d: \S+broker\.toml: \S+client_ids", broker.words)
    assert "the configuration before stays in force" in broker.journal()
    assert broker.show("ActiveState", "NRestarts") == ["active", "0"]
    broker.configure()
    broker.systemctl("reload", SERVICE)
    assert re.search(r"; reloaded at \d\d:\d\d$", broker.words)


def test_a_reload_that_takes_long_is_seen(installed):
    """systemd shows it as reloading until USPS has said what it thinks of the new secret."""
    installed.use_secret_file()
    installed.start()
    installed.tokens()
    installed.usps_breaks("hold@token")
    installed.write_secret("another")
    with installed.machine.begin("systemctl", "reload", SERVICE) as reload:
        installed.until_words("^reloading the configuration$")
        assert installed.show("ActiveState") == "reloading"
        installed.usps_mends()
        assert reload.wait(30) != 0
    assert installed.show("ActiveState") == "active"
    assert re.search(r"secret of app default refused: the old token is good", installed.words)


def test_a_hangup_reloads_too(broker):
    """`systemctl kill --signal=HUP`, for whoever is used to it."""
    broker.systemctl("kill", "--signal=HUP", SERVICE)
    broker.until_words("; reloaded at ")
    broker.until_state("active")


def test_a_service_that_is_ending_says_so_and_a_stopped_one_what_it_kept(broker):
    """While it finishes what it accepted, and as long as it is down."""
    broker.usps_breaks("hold@token")
    broker.renew(wait_seconds=0)
    broker.systemctl("stop", "--no-block", SERVICE)
    broker.until_words("^stopping: finishing what was accepted$")
    assert broker.show("ActiveState") == "deactivating"
    broker.usps_mends()
    broker.until_state("inactive")
    assert broker.words == "stopped; the tokens are kept"


def test_a_secret_that_cannot_be_read_stands_in_the_status_of_the_failed_service(installed):
    """What, why and what to do, without a look into the journal."""
    installed.configure(secret='{ file = "/etc/usps-token-broker/nothing" }')
    installed.machine.run("systemctl", "start", SERVICE, check=False)
    words = installed.until_words("^ended: the client secret of app default cannot be read")
    assert "start the broker again" in words


@pytest.mark.parametrize(("trouble", "what"), [("secret", "client secrets"), ("load", "state")])
def test_a_start_that_takes_long_says_what_it_waits_for(installed, trouble, what):
    """A share that hangs: the words say which, and systemd ends it in time."""
    installed.use_loud_broker(trouble, "TimeoutStartSec=2\nTimeoutStopSec=2")
    installed.systemctl("start", "--no-block", SERVICE)
    installed.until_words(f"^starting: reading the {what}")
    until(lambda: installed.show("Result") == "timeout", installed.journal)
