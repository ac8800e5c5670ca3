"""`check`: would `run` start? Said without starting, fetching or writing anything."""

import os
from pathlib import Path

import pytest
from configs import ROLES

SECRET = "a-secret-of-a-test"
DEMAND = """\
  calls    token: 1 token, 4 calls a day; 0.2 an hour, busiest 1, limit 30: enough
  calls    payment-authorization: 60 tokens, 225 calls a day; 9.4 an hour, busiest 30, limit 30: \
enough
           4 more while in use: room for 84 of them at a time
           a start with nothing saved: 1 h until all are there, those waited for first
ok"""


def change(config, old, new):
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def test_a_good_configuration_is_told_back(command, config, folder):
    """Where things lie, as whom it was read, what is open to whom."""
    change(config, "client_id", "lead_seconds = 3600\nclient_id")
    config.write_text(config.read_text() + '[apps.default.bearer]\nusers = ["root", 4242]\n')
    done = command("check", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"socket     {folder}/broker.sock" in done.stdout
    assert f"state      {folder}/state" in done.stdout
    assert "default: the-id at http://127.0.0.1:9" in done.stdout
    assert "for user root (0), user 4242, required" in done.stdout
    assert done.stdout.endswith("ok\n")


def test_it_touches_nothing(command, config, folder):
    """No directory, no socket, no lock."""
    before = sorted(path.name for path in folder.iterdir())
    command("check", "--config", config)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_it_never_tells_the_secret(command, config):
    """Only whether it could be read."""
    done = command("check", "--config", config)
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("client_id", "clientid", ("apps.default", "client_id")),
        ('"the-id"', "5", ("client_id",)),
        ("http://127.0.0.1:9", "http://example.com", ("base_url", "http")),
        ("http://127.0.0.1:9", "https://apis.usps.com/oauth2", ("base_url", "path")),
        ("[apps.default]", "[apps.default", ("line", "TOML")),
        ("[apps.default]", "[app.default]", ("apps",)),
        ("state_dir =", "statedir =", ("state_dir",)),
    ],
)
def test_a_wrong_key_type_or_value_is_78_with_file_and_key(command, config, old, new, words):
    """And what to write."""
    change(config, old, new)
    done = command("check", "--config", config)
    assert (done.returncode, done.stdout) == (78, "")
    assert str(config) in done.stderr
    assert all(word in done.stderr for word in words)
    assert "Traceback" not in done.stderr


def test_all_that_is_wrong_is_said_at_once(command, config):
    """Nobody wants to run it five times at night."""
    change(config, "client_id", "clientid")
    change(config, "http://127.0.0.1:9", "ftp://x")
    done = command("check", "--config", config)
    assert "client_id" in done.stderr
    assert "base_url" in done.stderr


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.chmod(0o644), "open to everybody"),
        (lambda path: path.write_text(""), "it is empty"),
        (lambda path: path.write_text("one\ntwo\n"), "more than one line"),
        (lambda path: path.write_text("\ufeffone"), "byte order mark"),
        (lambda path: path.write_text("one", "utf-16"), "perhaps UTF-16"),
        (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file"),
    ],
)
def test_a_secret_that_cannot_be_used_is_78(command, config, folder, spoil, word):
    """The rest is told all the same, and what to do."""
    spoil(folder / "client-secret")
    done = command("check", "--config", config)
    assert done.returncode == 78
    assert "error: app default: the secret file" in done.stderr
    assert word in done.stderr
    assert "state  " in done.stdout
    assert "ok" not in done.stdout.splitlines()
    assert SECRET not in done.stderr


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("the id", "a string with blanks in it (not shown)"),
        ("the-id ", "a string with blanks in it (not shown)"),
        ("", "an empty string"),
        ("\u043a\u043b\u044e\u0447", "a string (not shown)"),
    ],
)
def test_what_is_wrong_with_a_client_id_is_said_without_showing_it(command, config, key, found):
    """The secret may have been put in its place."""
    change(config, "the-id", key)
    assert f"found {found}\n" in command("check", "--config", config).stderr


def test_a_key_beyond_all_measure_is_cut(command, config):
    """What it was can be seen from its beginning."""
    config.write_text(f"{config.read_text()}{'k' * 5000} = 1\n")
    done = command("check", "--config", config)
    assert f'apps.default."{"k" * 50}' in done.stderr
    assert max(map(len, done.stderr.splitlines())) < 300


def test_a_host_that_is_not_known_is_told_with_what_to_write(command, config):
    """The secret goes there."""
    change(config, "http://127.0.0.1:9", "https://apis.usps.co")
    done = command("check", "--config", config)
    assert "it is sent the client secret; unless you know whose it is, write" in done.stderr


def test_what_is_hardly_a_key_or_a_secret_is_warned_of(command, config, folder):
    """It is sent all the same: nobody else knows how USPS's look."""
    change(config, "the-id", "YOUR_CLIENT_ID")
    (folder / "client-secret").write_text('"aB3dEf"\n')
    done = command("check", "--config", config)
    assert done.returncode == 0
    assert "warning: app default: client_id is an example" in done.stderr
    assert "hardly one: it stands in quotes" in done.stderr
    assert "aB3dEf" not in done.stderr


def allow_readable(config):
    config.write_text(f"allow_readable_secret = true\n{config.read_text()}")


def test_a_secret_that_everybody_can_read_is_taken_when_that_is_allowed(command, config, folder):
    """A container's orchestrator sets the mode; without the key it is refused, with the fix."""
    (folder / "client-secret").chmod(0o644)
    refused = command("check", "--config", config)
    assert refused.returncode == 78
    assert f"`chmod 600 {folder}/client-secret`" in refused.stderr
    assert "allow_readable_secret = true" in refused.stderr
    allow_readable(config)
    assert command("check", "--config", config).returncode == 0


def test_a_secret_that_the_brokers_own_group_can_read_is_taken(command, config, folder):
    """`root:usps-token-broker 0640` is how packages lay it down."""
    secret = folder / "client-secret"
    os.chown(secret, -1, os.getegid())
    secret.chmod(0o640)
    assert command("check", "--config", config).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to a foreign group")
def test_a_secret_that_a_foreign_group_can_read_is_refused_unless_allowed(command, config, folder):
    """Its members could read it."""
    secret = folder / "client-secret"
    os.chown(secret, -1, 52001)
    secret.chmod(0o640)
    refused = command("check", "--config", config)
    assert refused.returncode == 78
    assert "it is open to the group 52001 (mode 0640)" in refused.stderr
    allow_readable(config)
    assert command("check", "--config", config).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what the broker's user may not")
@pytest.mark.parametrize("name", ["client-secret", "broker.toml"])
def test_root_is_told_what_the_brokers_own_user_cannot_read(command, config, folder, name):
    """It reads everything itself, and `run` would end all the same."""
    nobody = 65534
    state = folder / "state"
    state.mkdir(exist_ok=True)
    for path in (state, config, folder / "client-secret"):
        os.chown(path, nobody, nobody)
    assert command("check", "--config", config).returncode == 0
    os.chown(folder / name, 0, 0)
    (folder / name).chmod(0o600)
    done = command("check", "--config", config)
    assert done.returncode == 78
    assert f"{folder / name}" in done.stderr
    assert "the daemon's user, nobody, may not read it" in done.stderr
    assert f"`chown nobody {folder / name}`" in done.stderr


def test_allow_readable_forgoes_the_mode_and_nothing_else(command, config, folder):
    """An empty secret is still none."""
    allow_readable(config)
    (folder / "client-secret").write_text("")
    done = command("check", "--config", config)
    assert done.returncode == 78
    assert "it is empty" in done.stderr


def test_the_demand_of_the_slots_is_told_against_the_limit(command, config, folder):
    """For each endpoint: how many, how often, in the busiest hour, and how long a start takes."""
    (folder / "payments.d").mkdir()
    roles = f"{ROLES}\n"
    for n in range(60):
        (folder / "payments.d" / f"m{n}.toml").write_text(roles)
    for n in range(4):
        (folder / "payments.d" / f"rare{n}.toml").write_text(f'keep = "active"\n{roles}')
    done = command("check", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    told = [line for line in done.stdout.splitlines() if "payment-m" not in line]
    begin = told.index(next(line for line in told if "  calls " in line))
    assert "\n".join(told[begin:]) == DEMAND
    assert any(line.endswith("alone, kept while in use") for line in told)


def test_a_file_that_is_not_there(command, folder):
    """Named, whoever named it."""
    done = command("check", "--config", folder / "none.toml")
    assert done.returncode == 78
    assert "none.toml" in done.stderr
    assert "no such file" in done.stderr


def test_no_configuration_at_all_says_both_ways(command):
    """A file, or the environment; and how to see it at work without either."""
    if Path("/etc/usps-token-broker/broker.toml").exists():
        pytest.skip("this machine has a configuration of its own")
    done = command("check")
    assert done.returncode == 78
    assert "/etc/usps-token-broker/broker.toml" in done.stderr
    assert "USPS_CLIENT_ID" in done.stderr
    assert "demo" in done.stderr


def test_the_environment_is_enough(command, folder):
    """For a container."""
    environ = {
        "USPS_CLIENT_ID": "the-id",
        "USPS_CLIENT_SECRET": SECRET,
        "USPS_TOKEN_SOCKET": str(folder / "run" / "s"),
        "USPS_TOKEN_STATE_DIR": str(folder / "state"),
    }
    done = command("check", environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "read from  the environment" in done.stdout
    assert SECRET not in done.stdout


def test_file_and_environment_together_are_refused(command, config):
    """Both are named."""
    done = command("check", "--config", config, environ={"USPS_CLIENT_ID": "other"})
    assert done.returncode == 78
    assert str(config) in done.stderr
    assert "USPS_CLIENT_ID" in done.stderr


def test_a_broken_payment_file_is_78_though_run_would_start_without_it(command, config, folder):
    """Whoever deploys must learn of it before a label cannot be made."""
    (folder / "payments.d").mkdir()
    (folder / "payments.d" / "eu.toml").write_text('roles = [{ roleName = "PAYER", CRID = 5 }]\n')
    done = command("check", "--config", config)
    assert done.returncode == 78
    assert "error: the slot payment-eu is not served" in done.stderr
    assert "CRID" in done.stderr
