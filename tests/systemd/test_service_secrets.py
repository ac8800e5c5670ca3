"""The client secret in its three shapes: a credential, an encrypted one, and a file."""

import re

import pytest
from busy_machine import busy
from installed import GOOD_SECRET, SEALED, SECRET, SERVICE, STATE

OTHER_SECRET = "another-client-secret"


def usps_wants(installed, secret):
    """USPS takes this secret alone from now on, as after a rotation in its portal."""
    installed.usps("PUT", "settings", f'{{"client_secret": "{secret}"}}')


@pytest.fixture
def other_secret(installed):
    """USPS wants another secret by the end of the test's beginning; it is put back after."""
    yield OTHER_SECRET
    usps_wants(installed, GOOD_SECRET)


def seal(installed, secret):
    """Encrypted with the machine's own key, as an administrator would do it."""
    command = ("systemd-creds", "encrypt", "--with-key=host", "--name=usps-client-secret")
    installed.machine.run(*command, "-", SEALED, text=secret)


def load_sealed(installed):
    installed.drop_in(
        f"[Service]\nLoadCredential=\nLoadCredentialEncrypted=usps-client-secret:{SEALED}\n"
    )
    installed.machine.path(SECRET).unlink()


def test_a_credential_is_roots_file_and_the_broker_gets_it(broker):
    """Nobody but root can read it, not even the broker's user."""
    asked = ("stat", "-c", "%a %U", SECRET)
    assert broker.machine.run(*asked).stdout == "600 root\n"
    done = broker.machine.run("cat", SECRET, user="usps-token-broker", check=False)
    assert done.returncode != 0
    assert broker.calls() == (1, 1)


def test_an_encrypted_credential_is_as_good(installed):
    """systemd opens it for the service; on the disk there is nothing to read."""
    seal(installed, GOOD_SECRET)
    load_sealed(installed)
    assert GOOD_SECRET.encode() not in installed.machine.path(SEALED).read_bytes()
    installed.start()
    installed.tokens()


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "encrypted"])
def test_a_credential_is_rotated_by_a_restart_under_load(installed, other_secret, sealed):
    """No call fails, the good tokens stay, and the new secret is proved by one call."""
    if sealed:
        seal(installed, GOOD_SECRET)
        load_sealed(installed)
    installed.start()
    before = installed.tokens()
    with busy(installed, threads=20) as story:
        usps_wants(installed, other_secret)
        if sealed:
            seal(installed, other_secret)
        else:
            installed.write_secret(other_secret)
        installed.systemctl("restart", SERVICE)
        installed.until_journal("secret accepted")
    assert story["shim"]["failures"] == []
    assert installed.calls()[0] == 2
    assert installed.tokens()[1] == before[1]


def test_a_file_is_rotated_by_a_reload_under_load(installed, other_secret):
    """`systemctl reload` waits for USPS's word on it."""
    installed.use_secret_file()
    installed.start()
    installed.tokens()
    with busy(installed, threads=20) as story:
        usps_wants(installed, other_secret)
        installed.write_secret(other_secret)
        installed.systemctl("reload", SERVICE)
    assert story["shim"]["failures"] == []
    assert "secret accepted" in installed.journal()
    assert installed.calls()[0] == 2


def test_a_wrong_new_credential_is_told_at_once_and_the_good_token_stays(broker):
    """In the status line and in the journal, with until when there is time."""
    before = broker.tokens()
    broker.write_secret("wrong")
    broker.systemctl("restart", SERVICE)
    words = broker.until_words("; bearer: USPS ")
    assert re.search(r"^ready: bearer good until \d\d:\d\d, ", words)
    assert "Do: " in words
    assert re.search("secret refused: the old token is good for ", broker.journal())
    assert broker.tokens() == before


def test_a_wrong_new_file_fails_the_reload_and_the_good_token_stays(installed):
    """At the prompt, in the status line and in the journal."""
    installed.use_secret_file()
    installed.start()
    before = installed.tokens()
    installed.write_secret("wrong")
    done = installed.machine.run("systemctl", "reload", SERVICE, check=False)
    assert done.returncode != 0
    assert "secret of app default refused: the old token is good until " in installed.words
    assert "refused: the old token is good until " in installed.journal()
    assert installed.tokens() == before


def test_no_secret_is_where_others_can_read(installed):
    """Neither in the environment nor in the arguments nor in the state of the service."""
    installed.start()
    installed.tokens()
    proc = installed.machine.path(f"/proc/{installed.pid}")
    for name in ("cmdline", "environ"):
        assert GOOD_SECRET.encode() not in (proc / name).read_bytes()
    state = installed.machine.path(f"{STATE}/state").read_bytes()
    assert GOOD_SECRET.encode() not in state
    loaded = f"/run/credentials/{SERVICE}/usps-client-secret"
    assert installed.machine.run("cat", loaded, user="ann", check=False).returncode != 0
