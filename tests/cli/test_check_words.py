"""Word for word what `check` says of a broken configuration, as an administrator reads it at night.

Each text names the place, what is wrong there, and what to write. FOLDER stands for the folder.
"""

import os
import pwd
from typing import NamedTuple

import pytest
from configs import ROLES

APP = """\
socket = "FOLDER/broker.sock"
state_dir = "FOLDER/state"

[apps.default]
base_url = "https://apis.usps.com"
client_id = "the-id"
client_secret = { file = "FOLDER/client-secret" }
"""
PAYMENT = "[apps.default.payments.default]\n"
ME = pwd.getpwuid(os.getuid()).pw_name
ENDS = "not ok: `run` would not start\n"
THREE_WAYS = """\
    write one of these, and the secret itself into the file (`chmod 600` it):
    client_secret = { file = "/etc/usps-token-broker/client-secret" }
    client_secret = { credential = "usps-client-secret" }    # with systemd's LoadCredential=
    client_secret = { env = "USPS_CLIENT_SECRET" }
"""
AN_APP = """\
    [apps.default]
    client_id = "the Consumer Key"
    client_secret = { file = "/etc/usps-token-broker/client-secret" }
"""


class Case(NamedTuple):
    """A configuration and what is said of it."""

    name: str
    text: str
    said: str
    environ: dict[str, str] | None = None

    def __str__(self) -> str:
        return self.name


def changed(old, new):
    assert old in APP
    return APP.replace(old, new)


def added(lines):
    return f"{APP}{lines}\n"


CASES = [
    Case(
        "wrong-key",
        changed("client_id", "clientid"),
        """\
FOLDER/broker.toml: apps.default.client_id: expected this key, found nothing (but clientid is there)
    write: client_id = "the Consumer Key"
FOLDER/broker.toml: apps.default.clientid: expected a key that is known here, found an unknown one
    did you mean client_id?
""",
    ),
    Case(
        "key-that-nobody-knows",
        added("retries = 3"),
        """\
FOLDER/broker.toml: apps.default.retries: expected a key that is known here, found an unknown one
    the keys here are base_url, bearer, buffer_seconds, ca_file, calls_per_hour, client_id, \
client_secret, lead_seconds, payments, proxy, timeout_seconds
""",
    ),
    Case(
        "key-in-the-wrong-place",
        added('socket = "/run/x"'),
        """\
FOLDER/broker.toml: apps.default.socket: expected a key that is known here, found an unknown one
    socket belongs at the top of the file, above the first [table]
""",
    ),
    Case(
        "number-for-a-string",
        added(f'{PAYMENT}roles = [{{ roleName = "PAYER", CRID = 123 }}]'),
        """\
FOLDER/broker.toml: apps.default.payments.default.roles[0].CRID: expected a string, found 123
    put it in quotes: CRID = "123"
""",
    ),
    Case(
        "number-with-a-zero-in-front",
        added(f'{PAYMENT}roles = [{{ roleName = "PAYER", CRID = 0123 }}]'),
        """\
FOLDER/broker.toml: line 9, column 40: expected TOML, found a mistake: Unclosed inline table
    ids are strings: put the number in quotes, such as CRID = "012345678"
""",
    ),
    Case(
        "string-for-a-number",
        added('calls_per_hour = "30"'),
        """\
FOLDER/broker.toml: apps.default.calls_per_hour: expected a whole number from 4 to 3600 \
(USPS allows 60 unless it granted you more), found "30"
    write it without quotes: 30
""",
    ),
    Case(
        "bare-secret",
        changed('{ file = "FOLDER/client-secret" }', '"hunter2"'),
        f"""\
FOLDER/broker.toml: apps.default.client_secret: expected a table that says where the secret lies, \
found a string (not shown)
{THREE_WAYS}""",
    ),
    Case(
        "unknown-group",
        added('[apps.default.bearer]\ngroups = ["no-such-group"]'),
        """\
FOLDER/broker.toml: apps.default.bearer.groups[0]: expected a group that exists, \
found "no-such-group", which does not
    check the spelling, or make it: sudo groupadd --system no-such-group
""",
    ),
    Case(
        "one-group-for-a-list",
        added('[apps.default.bearer]\ngroups = "shop"'),
        """\
FOLDER/broker.toml: apps.default.bearer.groups: expected a list, such as ["shop"], found "shop"
    write: groups = ["shop"]
""",
    ),
    Case(
        "file-and-environment",
        APP,
        """\
configuration: expected either a file or the environment, found both FOLDER/broker.toml and \
USPS_CLIENT_ID, USPS_CLIENT_SECRET
    unset USPS_CLIENT_ID USPS_CLIENT_SECRET, or take the file away
""",
        {"USPS_CLIENT_ID": "x", "USPS_CLIENT_SECRET": "hunter2"},
    ),
    Case(
        "toml-without-quotes",
        changed('"the-id"', "the-id"),
        """\
FOLDER/broker.toml: line 6, column 13: expected TOML, found a mistake: Invalid value
    text goes in quotes: key = "value"
""",
    ),
    Case(
        "toml-with-curly-quotes",
        changed('"the-id"', "\u201cthe-id\u201d"),
        """\
FOLDER/broker.toml: line 6, column 13: expected TOML, found a mistake: Invalid value
    the quotes are curly ones, as word processors write them; use "
""",
    ),
    Case(
        "toml-with-half-a-header",
        changed("[apps.default]", "[apps.default"),
        """\
FOLDER/broker.toml: line 4, column 14: expected TOML, found a mistake: Expected ']' at the end of \
a table declaration
    a table is written: [apps.default]
""",
    ),
    Case(
        "toml-with-a-key-twice",
        added('client_id = "other"'),
        """\
FOLDER/broker.toml: line 8, column 20: expected TOML, found a mistake: Cannot overwrite a value
    the same key stands above already: keep one of the two
""",
    ),
    Case(
        "toml-with-a-table-twice",
        added("[apps.default]"),
        """\
FOLDER/broker.toml: line 8, column 14: expected TOML, found a mistake: Cannot declare \
('apps', 'default') twice
    the same table stands above already: put the keys together below one of the two
""",
    ),
    Case(
        "toml-with-half-a-string",
        changed('"the-id"', '"the-id'),
        """\
FOLDER/broker.toml: line 6, column 20: expected TOML, found a mistake: Illegal character '\\n'
    a text ends with the quote that it begins with
""",
    ),
    Case(
        "toml-that-ends-too-soon",
        f'{PAYMENT}roles = [{{ roleName = "PAYER" }},',
        """\
FOLDER/broker.toml: end of document: expected TOML, found a mistake: Invalid value
    something is not closed before the end: a text, a list ] or a table }
""",
    ),
    Case(
        "http-to-a-foreign-host",
        changed("https://apis.usps.com", "http://usps-simulator"),
        """\
FOLDER/broker.toml: apps.default.base_url: expected https, found http to usps-simulator
    write https, since over http anybody on the way reads the client secret; or for a simulator \
on a net of your own at the top of the file add allow_http_hosts = ["usps-simulator"]
""",
    ),
    Case(
        "base-url-with-a-path",
        changed("apis.usps.com", "apis.usps.com/oauth2/v3"),
        """\
FOLDER/broker.toml: apps.default.base_url: expected scheme and host alone, found a path or query \
after the host
    write: base_url = "https://apis.usps.com"
""",
    ),
    Case(
        "missing-roles",
        added(f"{PAYMENT}groups = []"),
        """\
FOLDER/broker.toml: apps.default.payments.default.roles: expected this key, found nothing
    write: roles = [{ roleName = "PAYER", CRID = "12345678", … }, { roleName = "LABEL_OWNER", … }]
""",
    ),
    Case(
        "roles-without-a-slot",
        added(f"[apps.default.payments]\n{ROLES}"),
        """\
FOLDER/broker.toml: apps.default.payments.roles: expected tables only, found a list
    write it below [apps.default.payments.default]
""",
    ),
    Case(
        "twin-apps",
        added('[apps.shop]\nclient_id = "the-id"\nclient_secret = { env = "X" }'),
        """\
FOLDER/broker.toml: apps.shop: expected a client_id or base_url of its own, found those of \
apps.default
    write what it has as [apps.default.payments.NAME], of which there may be many, and take \
[apps.shop] out
""",
    ),
    Case(
        "an-app-without-a-name",
        'state_dir = "FOLDER/state"\nsocket = "FOLDER/s"\n[apps]\nclient_id = "x"\n'
        'client_secret = { file = "/x" }',
        """\
FOLDER/broker.toml: apps.client_id: expected tables only, found a string
    write it below [apps.default]
FOLDER/broker.toml: apps.client_secret: expected the name of an app, found a part of one
    write it into [apps.default], or whatever the app is named
""",
    ),
    Case(
        "nothing-in-it",
        'state_dir = "FOLDER/state"\nsocket = "FOLDER/s"',
        f"FOLDER/broker.toml: apps: expected an app, found none\n{AN_APP}",
    ),
    Case(
        "required-and-active",
        added(f'{PAYMENT}required = true\nkeep = "active"\n{ROLES}'),
        """\
FOLDER/broker.toml: apps.default.payments.default.keep: expected "always" beside required = true, \
found "active"
    remove this line, or else required = true: a required token must always be there
""",
    ),
    Case(
        "keep-of-a-bearer",
        added('[apps.default.bearer]\nkeep = "active"'),
        """\
FOLDER/broker.toml: apps.default.bearer.keep: expected a key that is known here, found an unknown \
one
    keep belongs in [apps.NAME.payments.NAME]; the bearer is always kept
""",
    ),
    Case(
        "a-ca-file-that-is-not-there",
        added('ca_file = "FOLDER/ca.pem"'),
        """\
FOLDER/broker.toml: apps.default.ca_file: expected a file of CA certificates in PEM form, found \
FOLDER/ca.pem: no such file
    check the path, or take ca_file out to trust the system's certificates
""",
    ),
    Case(
        "proxy-with-a-password",
        added('proxy = "http://me:hunter2@proxy:3128"'),
        """\
FOLDER/broker.toml: apps.default.proxy: expected scheme, host and port of a proxy, without user \
and password, found a string (not shown)
    write: proxy = "http://proxy.example:3128"
""",
    ),
]


@pytest.fixture
def check(command, folder):
    """Checks this configuration; what it says on standard error, and the exit code."""
    secret = folder / "client-secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)

    def run(text, environ=None):
        path = folder / "broker.toml"
        path.write_text(text.replace("FOLDER", str(folder)))
        done = command("check", "--config", path, environ=environ)
        assert "hunter2" not in done.stdout + done.stderr
        return done.returncode, done.stderr.replace(str(folder), "FOLDER")

    return run


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_configuration_that_cannot_be_used(check, case):
    """Place, fault, and what to write."""
    assert check(case.text, case.environ) == (78, case.said + ENDS)


def test_no_file_where_one_was_named(command, folder):
    """With the lines that a first one needs."""
    done = command("check", "--config", folder / "broker.toml")
    said = done.stderr.replace(str(folder), "FOLDER")
    assert (done.returncode, said) == (
        78,
        f"""\
FOLDER/broker.toml: expected a file, found no such file
    check the path, or begin one with these lines:
{AN_APP}{ENDS}""",
    )


def test_a_bad_file_in_payments_d_hurts_itself_only(check, folder):
    """`run` would start, and the verdict says without what."""
    (folder / "payments.d").mkdir()
    (folder / "payments.d" / "good.toml").write_text(ROLES)
    (folder / "payments.d" / "eu.toml").write_text('roles = [{ roleName = "PAYER", CRID = 5 }]')
    assert check(APP) == (
        78,
        """\
error: the slot payment-eu is not served: FOLDER/payments.d/eu.toml: roles[0].CRID: expected a \
string, found 5
    put it in quotes: CRID = "5"
not ok: `run` would start, but without payment-eu
""",
    )


def test_a_file_in_payments_d_written_as_the_main_file_is(check, folder):
    """Its keys stand alone."""
    (folder / "payments.d").mkdir()
    (folder / "payments.d" / "eu.toml").write_text(f"[apps.default.payments.eu]\n{ROLES}")
    told = """\
error: the slot payment-eu is not served: FOLDER/payments.d/eu.toml: apps: expected a key that is \
known here, found an unknown one
    apps belongs in the main file; here the slot's own keys stand alone, without a [table]
"""
    assert told in check(APP)[1]


@pytest.fixture
def many(folder):
    """A hundred and fifty payment files."""
    (folder / "payments.d").mkdir()
    for number in range(150):
        (folder / "payments.d" / f"m{number}.toml").write_text(ROLES)


def test_run_says_of_a_budget_that_is_too_small_what_check_says(check, command, folder, many):
    """Once, in the log; here it ends at the next thing, a state directory that is none."""
    (folder / "state").touch()
    warning = check(APP)[1].removeprefix("warning: ")
    started = command("run", "--config", folder / "broker.toml")
    assert started.returncode == 73
    assert started.stderr.count(warning) == 1


def test_a_budget_that_is_too_small(check, many):
    """A warning with the line to write; `run` would start."""
    assert check(APP) == (
        0,
        """\
warning: app default: calls_per_hour = 30 is too small for 150 tokens of payment-authorization: \
their renewals take 23 calls an hour, which leaves too few for retries when USPS fails; write \
calls_per_hour = 40, or keep = "active" into 6 or more of those tokens' tables that are seldom used
""",
    )


def change_mode(path):
    path.chmod(0o644)


def empty(path):
    path.write_text("")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            change_mode,
            (
                "it is open to everybody (mode 0644); `chmod 600 FOLDER/client-secret`; only where "
                "a container sets the mode, write allow_readable_secret = true at the top of the "
                "configuration file, or without a file set USPS_ALLOW_READABLE_SECRET=true"
            ),
        ),
        (
            os.unlink,
            (
                "FOLDER/client-secret does not exist; write the secret there, for the daemon's "
                f"user alone: `install -D -m 600 -o {ME} /dev/stdin FOLDER/client-secret`"
            ),
        ),
        (empty, "it is empty; write the secret there and nothing else, in one line"),
    ],
)
def test_a_secret_that_cannot_be_read(check, folder, spoil, said):
    """The path, why, and the command."""
    spoil(folder / "client-secret")
    assert check(APP) == (
        78,
        f"error: app default: the secret file FOLDER/client-secret: {said}\n{ENDS}",
    )


def test_a_secret_in_a_variable_that_is_not_set(check):
    """It is named."""
    assert check(changed('file = "FOLDER/client-secret"', 'env = "SHOP_SECRET"')) == (
        78,
        (
            "error: app default: the environment variable SHOP_SECRET: it is not set; set it for "
            f"the daemon, or name a file instead\n{ENDS}"
        ),
    )


def test_a_credential_cannot_be_looked_at_outside_its_unit(check):
    """That is no fault of the configuration, and how to look is said."""
    assert check(changed('file = "FOLDER/client-secret"', 'credential = "usps"')) == (
        0,
        (
            "warning: app default: its client secret is a systemd credential, which only the unit "
            "is given, so it was not looked at; to do so give it to this command:\n"
            "    sudo systemd-run --pipe --wait -p LoadCredential=NAME:/path "
            "usps-token-broker check\n"
        ),
    )


def test_a_credential_is_looked_at_where_systemd_gave_some(check, folder):
    """Then it has to be there."""
    text = changed('file = "FOLDER/client-secret"', 'credential = "usps"')
    code, said = check(text, {"CREDENTIALS_DIRECTORY": str(folder)})
    assert code == 78
    assert said.startswith(
        "error: app default: the systemd credential usps: the unit was not given"
    )
    (folder / "usps").write_text("hunter2\n")
    (folder / "usps").chmod(0o600)
    assert check(text, {"CREDENTIALS_DIRECTORY": str(folder)}) == (0, "")
