"""Nothing that systemd keeps of the broker holds a token or the secret."""

import json

import pytest
from installed import GOOD_SECRET, SERVICE


@pytest.fixture
def story(installed):
    """A life with every log turned up: grants, a refusal, a reload, a crash, a restart."""
    installed.use_loud_broker("")
    installed.start()
    tokens = installed.tokens()
    installed.usps_breaks("unavailable@payment-authorization")
    installed.renew("payment")
    installed.systemctl("reload", SERVICE)
    installed.usps_mends()
    for token in tokens:
        installed.ask(f"/v1/tokens/{token}?app={token}")
    installed.write_secret("a wrong secret of ours")
    installed.systemctl("restart", SERVICE)
    installed.until_journal("secret refused")
    installed.systemctl("kill", "--signal=ABRT", SERVICE)
    installed.systemctl("stop", SERVICE)
    return installed, tokens


def test_no_token_and_no_secret_is_in_the_journal_or_the_status(story):
    """Every field of every entry, of systemd's own, too."""
    installed, tokens = story
    installed.machine.run("journalctl", "--sync")
    entries = installed.journalctl("-o", "json")
    assert entries.count('"_SYSTEMD_UNIT":"usps-token-broker.service"') > 10
    texts = [entries, installed.systemctl("show", SERVICE), installed.words]
    for entry in entries.splitlines():
        texts += [bytes(v).decode("latin-1") for v in json.loads(entry).values() if is_bytes(v)]
    signatures = [token.rpartition(".")[2] for token in tokens]
    for text in texts:
        for canary in (*signatures, GOOD_SECRET, "a wrong secret of ours"):
            assert canary not in text


def is_bytes(value):
    """How the journal writes as JSON what is no text."""
    return isinstance(value, list) and all(isinstance(item, int) for item in value)


def test_each_line_of_the_broker_has_its_priority(story):
    """`journalctl -p warning` shows what is wrong, and no prefix is left in the text."""
    installed, _ = story
    warnings = installed.journalctl("-u", SERVICE, "-p", "warning", "-o", "cat")
    assert "secret refused" in warnings
    assert "serving tokens on" not in warnings
    assert "<3>" not in installed.journal()
    assert "<6>" not in installed.journal()


def test_the_journal_has_fields_to_look_by(story):
    """What it is about, and the row of the catalogue; `journalctl USPS_SLOT=payment` finds it."""
    installed, _ = story
    about = [
        json.loads(line)
        for line in installed.journalctl("-o", "json", "USPS_SLOT=payment").splitlines()
    ]
    failed = [entry for entry in about if entry["USPS_EVENT"] == "failed"]
    assert {entry["USPS_REASON"] for entry in failed} >= {"upstream_unavailable"}
    assert all(entry["SYSLOG_IDENTIFIER"] == "usps-token-broker" for entry in about)
    assert all(entry["_SYSTEMD_UNIT"] == SERVICE for entry in about)
