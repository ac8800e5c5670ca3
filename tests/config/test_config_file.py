"""A configuration file: what it comes to, and how each thing that is wrong is said."""

import os
from pathlib import Path

import pytest
import trustme
from configs import APP, CANARY, HOME, ROLES, app_with
from ordinary_user import as_ordinary_user

from usps_token_broker.config import ConfigError, Problem, SlotSettings, load
from usps_token_broker.drivers.secret_source import CredentialSource, EnvironmentSource, FileSource

WHOLE = """
state_dir = "/var/lib/usps-token-broker"
socket = "/srv/usps/broker.sock"

[apps.default]
base_url = "https://apis-tem.usps.com"
client_id = "the-id"
client_secret = { credential = "usps-client-secret" }
buffer_seconds = 900
lead_seconds = 1800.5
calls_per_hour = 12
timeout_seconds = 4
proxy = "http://proxy.example:3128"
ca_file = "/etc/ssl/proxy.pem"

[apps.default.bearer]
users = ["daemon", 1234]
groups = ["daemon"]
required = false

[apps.default.payments.default]
groups = ["4321"]
required = true
roles = [
  { roleName = "PAYER", CRID = "12345678", accountType = "EPS", accountNumber = "1000000001" },
  { roleName = "LABEL_OWNER", CRID = "12345678", MID = "900012345", manifestMID = "900012345", \
more = { deep = ["x"] } },
]

[apps.default.payments.second-shop]
roles = [
  { roleName = "PAYER", CRID = "12", accountType = "PERMIT", permitNumber = "1", permitZIP = "2" },
  { roleName = "LABEL_OWNER", CRID = "12", MID = "123456", manifestMID = "123456" },
]

[apps.other]
client_id = "other-id"
client_secret = { env = "OTHER_SECRET" }
"""


def only_problem(error: ConfigError) -> Problem:
    """The one problem of an error."""
    [problem] = error.problems
    return problem


# What it comes to


def test_a_whole_file_becomes_settings(folder):
    """Every key arrives where it belongs."""
    ca_file = folder.write(trustme.CA().cert_pem.bytes(), "proxy.pem")
    settings = folder.load(WHOLE.replace("/etc/ssl/proxy.pem", str(ca_file)))
    default, other = settings.apps
    assert settings.state_dir == Path("/var/lib/usps-token-broker")
    assert settings.socket_path == Path("/srv/usps/broker.sock")
    assert settings.source == f"file {folder.file}"
    assert settings.warnings == ()
    assert (default.name, default.base_url, default.host, default.client_id) == (
        "default",
        "https://apis-tem.usps.com",
        "apis-tem.usps.com",
        "the-id",
    )
    assert default.secret == CredentialSource("usps-client-secret")
    assert (default.buffer_seconds, default.lead_seconds) == (900, 1800.5)
    assert (default.calls_per_hour, default.timeout_seconds) == (12, 4)
    assert (default.proxy, default.ca_file) == ("http://proxy.example:3128", ca_file)
    assert default.bearer == SlotSettings("bearer", frozenset({1, 1234}), frozenset({1}))
    assert [payment.name for payment in default.payments] == ["payment", "payment-second-shop"]
    assert default.payments[0].groups == {4321}
    assert default.payments[0].required
    assert default.payments[0].roles[1] == {
        "roleName": "LABEL_OWNER",
        "CRID": "12345678",
        "MID": "900012345",
        "manifestMID": "900012345",
        "more": {"deep": ["x"]},
    }
    assert other.secret == EnvironmentSource("OTHER_SECRET")


def test_what_is_left_out_has_the_documented_defaults(folder):
    """An app needs its id and its secret, nothing else."""
    [app] = folder.load(APP).apps
    assert app.base_url == "https://apis.usps.com"
    assert app.host == "apis.usps.com"
    assert (app.buffer_seconds, app.lead_seconds) == (1800, 3600)
    assert (app.calls_per_hour, app.timeout_seconds) == (30, 8)
    assert app.bearer == SlotSettings("bearer", required=True)
    assert app.payments == ()
    assert (app.proxy, app.ca_file) == (None, None)
    assert app.secret == FileSource(Path("/etc/usps-token-broker/client-secret"))


def test_a_payment_slot_is_not_required_unless_said(folder):
    """Only the bearer counts for readiness by itself."""
    [app] = folder.load(app_with(f"[apps.default.payments.default]\n{ROLES}")).apps
    assert not app.payments[0].required
    assert app.payments[0].users == app.payments[0].groups == frozenset()


def test_the_fingerprint_ignores_the_order_of_keys(folder):
    """A file sorted anew is no reason to ask USPS anew; other content is."""

    def fingerprint(roles: str) -> str:
        text = app_with(f"[apps.default.payments.default]\nroles = [{roles}]")
        return folder.load(text).apps[0].payments[0].roles_fingerprint

    first = fingerprint('{ roleName = "PAYER", CRID = "1" }')
    assert fingerprint('{ CRID = "1", roleName = "PAYER" }') == first
    assert fingerprint('{ roleName = "PAYER", CRID = "2" }') != first
    assert fingerprint('{ roleName = "PAYER", CRID = "1", MID = "" }') != first


def test_readable_secrets_are_allowed_by_one_key(folder):
    """It reaches files and credentials."""
    text = "allow_readable_secret = true\n" + APP
    assert folder.load(text).apps[0].secret == FileSource(
        Path("/etc/usps-token-broker/client-secret"), allow_readable=True
    )
    text = text.replace('file = "/etc/usps-token-broker/client-secret"', 'credential = "x"')
    assert folder.load(text).apps[0].secret == CredentialSource("x", allow_readable=True)


def test_a_byte_order_mark_and_carriage_returns_do_no_harm(folder):
    """Files come from Windows editors."""
    text = APP.replace("\n", "\r\n").encode("utf-8-sig")
    assert folder.load(text).apps[0].client_id == "the-id"


def test_the_settings_do_not_hold_the_secret(folder):
    """Only where it lies."""
    environ = {**HOME, "OTHER_SECRET": CANARY}
    text = APP.replace('file = "/etc/usps-token-broker/client-secret"', 'env = "OTHER_SECRET"')
    assert CANARY not in repr(folder.load(text, environ))


# All that is wrong, at once


def test_every_problem_is_told_at_once(folder):
    """Nobody mends a file one error at a time."""
    error = folder.refusal(
        """
        stat_dir = "/x"
        [apps.default]
        client_id = 5
        client_secret = { file = "relative" }
        calls_per_hour = 0
        [apps.default.bearer]
        groups = "shop"
        [apps.default.payments.default]
        roles = [{ CRID = 1 }]
        [apps."a/b"]
        """
    )
    assert {problem.key for problem in error.problems} == {
        "apps.default.client_id",
        "apps.default.client_secret.file",
        "apps.default.calls_per_hour",
        "apps.default.bearer.groups",
        "apps.default.payments.default.roles[0]",
        "apps.default.payments.default.roles[0].CRID",
        'apps."a/b"',
        "stat_dir",
    }
    assert all(problem.source == str(folder.file) for problem in error.problems)
    assert str(error).count(str(folder.file)) == len(error.problems)


def test_a_problem_says_file_key_expected_found_and_fix(folder):
    """In this form."""
    error = folder.refusal(app_with("calls_per_hour = 5000"))
    assert str(error) == (
        f"{folder.file}: apps.default.calls_per_hour: expected a whole number from 4 to 3600 "
        "(USPS allows 60 unless it granted you more), found 5000\n    write: calls_per_hour = 30"
    )


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        ("calls_per_hour = 3", "calls_per_hour", "from 4 to 3600"),
        ("calls_per_hour = 3601", "calls_per_hour", "found 3601"),
        ("calls_per_hour = 30.0", "calls_per_hour", "a whole number"),
        ("calls_per_hour = true", "calls_per_hour", "found true"),
        ('calls_per_hour = "30"', "calls_per_hour", "write it without quotes: 30"),
        (f"calls_per_hour = {10**40}", "calls_per_hour", "a very large number"),
        ("timeout_seconds = 0.5", "timeout_seconds", "from 1 to 60"),
        ("timeout_seconds = 61", "timeout_seconds", "from 1 to 60"),
        ("timeout_seconds = true", "timeout_seconds", "found true"),
        ("timeout_seconds = nan", "timeout_seconds", "found nan"),
        ("timeout_seconds = inf", "timeout_seconds", "found inf"),
        ("buffer_seconds = -1", "buffer_seconds", "from 0 to 7200 (a quarter of the 8 hours"),
        ("buffer_seconds = 7201", "buffer_seconds", "found 7201"),
        ("lead_seconds = 07:32:00", "lead_seconds", "found a date or time"),
        ("lead_seconds = []", "lead_seconds", "found a list"),
        ('proxy = "proxy:3128"', "proxy", "scheme, host and port"),
        ('proxy = "http://u:p@proxy:3128"', "proxy", "without user and password"),
        ('ca_file = "proxy.pem"', "ca_file", "a full path, from / on"),
        ("bearer = 1", "bearer", "write: [apps.default.bearer]"),
        ("payments = []", "payments", "write: [apps.default.payments]"),
        ("[apps.default.bearer]\nrequired = 1", "bearer.required", "true or false"),
        ('[apps.default.bearer]\nrequired = "True"', "bearer.required", "without quotes: true"),
    ],
)
def test_a_wrong_value_is_named(folder, lines, key, words):
    """By its full key, with what would do."""
    problem = only_problem(folder.refusal(app_with(lines)))
    assert problem.key == f"apps.default.{key}"
    assert words in str(problem)


@pytest.mark.parametrize(
    "line",
    [
        "buffer_seconds = 0",
        "buffer_seconds = 7200",
        "lead_seconds = 0.0",
        "timeout_seconds = 1",
        "timeout_seconds = 60",
        "calls_per_hour = 4",
        "calls_per_hour = 3600",
    ],
)
def test_the_bounds_themselves_are_allowed(folder, line):
    """From and to include both ends."""
    assert folder.load(app_with(line))


# Payments that are seldom used


def payment_with(line: str) -> str:
    return app_with(f"[apps.default.payments.default]\n{line}\n{ROLES}")


@pytest.mark.parametrize(
    ("line", "keep_active"), [("", False), ('keep = "always"', False), ('keep = "active"', True)]
)
def test_a_payment_is_kept_always_unless_the_file_says_otherwise(folder, line, keep_active):
    """With `active`, only while somebody asks for it."""
    assert folder.load(payment_with(line)).apps[0].payments[0].keep_active is keep_active


@pytest.mark.parametrize(
    "value", ["true", '"Active"', '"never"', '""', "1", '["active"]', '{ active = "always" }']
)
def test_how_a_payment_is_kept_is_one_of_two_words(folder, value):
    """Both are named, and how to write it."""
    problem = only_problem(folder.refusal(payment_with(f"keep = {value}")))
    assert problem.key == "apps.default.payments.default.keep"
    assert problem.expected == '"always" or "active"'
    assert problem.fix == 'write: keep = "active"'


def test_a_required_token_must_be_kept(folder):
    """The broker would be unready whenever nobody had asked for a day."""
    problem = only_problem(folder.refusal(payment_with('required = true\nkeep = "active"')))
    assert problem.key == "apps.default.payments.default.keep"
    assert problem.found == '"active"'
    assert "remove this line, or else required = true" in problem.fix
    assert folder.load(payment_with('required = true\nkeep = "always"'))
    assert folder.load(payment_with('required = false\nkeep = "active"'))


# Keys


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("client_idd = 1", "did you mean client_id?"),
        ("Buffer-Seconds = 1", "did you mean buffer_seconds?"),
        ("consumer_key = 1", "did you mean client_id?"),
        ("url = 1", "did you mean base_url?"),
        ("timeout = 1", "did you mean timeout_seconds?"),
        ("xyzzy = 1", "the keys here are base_url, bearer, buffer_seconds, ca_file, calls_per"),
        ('state_dir = "/x"', "state_dir belongs at the top of the file, above the first [table]"),
        ("allow_http_hosts = []", "allow_http_hosts belongs at the top of the file"),
        ("groups = []", "groups belongs in [apps.NAME.bearer] or [apps.NAME.payments.NAME]"),
        ("roles = []", "roles belongs in [apps.NAME.payments.NAME]"),
    ],
)
def test_an_unknown_key_is_refused_with_what_was_meant(folder, line, fix):
    """A typing error must not silently be a default."""
    problem = only_problem(folder.refusal(app_with(line)))
    assert problem.found == "an unknown one"
    assert problem.fix.startswith(fix)


@pytest.mark.parametrize(
    ("text", "key", "fix"),
    [
        ("xx = 1\n" + APP, "xx", "the keys here are allow_http_hosts, allow_readable"),
        ("client_id = 1\n" + APP, "client_id", "client_id belongs in [apps.NAME]"),
        ("socket_path = 1\n" + APP, "socket_path", "did you mean socket?"),
        (app_with(f"[apps.default.bearer]\n{ROLES}"), "apps.default.bearer.roles", "roles belongs"),
        (
            app_with('[apps.default.bearer]\nkeep = "active"'),
            "apps.default.bearer.keep",
            "keep belongs in [apps.NAME.payments.NAME]; the bearer is always kept",
        ),
        (
            app_with(f'[apps.default.payments.default]\nkep = "active"\n{ROLES}'),
            "apps.default.payments.default.kep",
            "did you mean keep?",
        ),
    ],
)
def test_unknown_keys_are_refused_in_every_table(folder, text, key, fix):
    """The top, the bearer, a payment."""
    problem = only_problem(folder.refusal(text))
    assert (problem.key, problem.found) == (key, "an unknown one")
    assert problem.fix.startswith(fix)


def test_a_missing_key_is_named_with_an_example(folder):
    """Both that an app must have."""
    error = folder.refusal("[apps.default]")
    assert [(p.key, p.found) for p in error.problems] == [
        ("apps.default.client_id", "nothing"),
        ("apps.default.client_secret", "nothing"),
    ]
    assert "client_secret = { file =" in error.problems[1].fix


@pytest.mark.parametrize("text", ["", "apps = {}", "[apps]", "# nothing"])
def test_a_file_without_an_app_shows_one(folder, text):
    """The fix is what to write."""
    problem = only_problem(folder.refusal(text))
    assert problem.key == "apps"
    assert "[apps.default]\nclient_id =" in problem.fix


def test_a_singular_app_is_understood(folder):
    """`[app.default]` is the likeliest slip."""
    fixes = {p.key: p.fix for p in folder.refusal(APP.replace("apps", "app")).problems}
    assert fixes["app"] == "did you mean apps?"


@pytest.mark.parametrize("name", ['""', '"a/b"', '"-x"', '"ä"', '"a b"', f'"{"x" * 65}"', '".."'])
def test_names_are_fit_for_urls_and_files(folder, name):
    """Of apps and of payments."""
    app = f'[apps.{name}]\nclient_id = "x"\nclient_secret = {{ env = "X" }}'
    assert "a name of letters" in only_problem(folder.refusal(APP + app)).expected
    payment = app_with(f"[apps.default.payments.{name}]\n{ROLES}")
    assert "a name of letters" in only_problem(folder.refusal(payment)).expected


@pytest.mark.parametrize("name", ["x", "0", "A_b-c", '"shop.example"', "x" * 64])
def test_names_may_be_anything_simple(folder, name):
    """Letters, digits, underscore, dot and hyphen."""
    [app] = folder.load(app_with(f"[apps.default.payments.{name}]\n{ROLES}")).apps
    assert app.payments[0].name == "payment-" + name.strip('"')


def test_roles_right_below_payments_are_sent_below_a_name(folder):
    """`[apps.default.payments]` alone lacks the slot's name."""
    problem = only_problem(folder.refusal(app_with(f"[apps.default.payments]\n{ROLES}")))
    assert problem.fix == "write it below [apps.default.payments.default]"


def test_two_apps_of_one_account_are_refused(folder):
    """They would share tokens, quota and saved state."""
    text = APP + APP.replace("default", "second") + 'base_url = "https://APIS.usps.com:443/"'
    problem = only_problem(folder.refusal(text))
    assert problem.key == "apps.second"
    assert problem.found == "those of apps.default"


def test_one_id_at_two_hosts_is_two_accounts(folder):
    """The test environment takes production's credentials."""
    text = APP + APP.replace("default", "tem") + 'base_url = "https://apis-tem.usps.com"'
    assert [app.host for app in folder.load(text).apps] == ["apis.usps.com", "apis-tem.usps.com"]


# The secret


@pytest.mark.parametrize(
    "value",
    [
        f'"{CANARY}"',
        f'["{CANARY}"]',
        f'{{ value = "{CANARY}" }}',
        f'{{ file = "{CANARY}" }}',
        f'{{ file = ["{CANARY}"] }}',
        f'{{ env = "{CANARY} 0" }}',
        f'{{ credential = "{CANARY}/0" }}',
        f'{{ credential = ["{CANARY}"] }}',
        f'{{ file = "/x", env = "{CANARY}" }}',
        f'{{ {CANARY} = "x" }}',
        "{ }",
        "12345",
    ],
)
def test_a_secret_in_the_wrong_form_is_not_shown(folder, value):
    """The error gives the lines to write, and not a letter of what was written."""
    text = f'[apps.default]\nclient_id = "x"\nclient_secret = {value}'
    error = folder.refusal(text)
    assert only_problem(error).key.startswith("apps.default.client_secret")
    assert 'client_secret = { file = "/etc/usps-token-broker/client-secret" }' in str(error)
    assert CANARY not in str(error)
    assert "12345" not in str(error)


@pytest.mark.parametrize(
    "line",
    [
        f'client_id = "{CANARY} "',
        f'secret = "{CANARY}"',
        f'password = "{CANARY}"',
        f'base_url = "https://user:{CANARY}@apis.usps.com"',
        f'base_url = "https://apis.usps.com/?key={CANARY}"',
        f'proxy = "http://user:{CANARY}@proxy:3128"',
        f'calls_per_hour = {{ x = "{CANARY}" }}',
        f'client_secret = "{CANARY}',
        f'client_secret = {CANARY}\n"',
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(folder, line):
    """Wherever somebody may have typed it."""
    key = line.partition(" ")[0]
    text = "\n".join(row for row in APP.splitlines() if not row.startswith(key))
    assert CANARY not in str(folder.refusal(f"{text}\n{line}"))


@pytest.mark.parametrize("value", ["é", "two words", "", "x\\ty", "…", "x" * 513])
def test_a_client_id_that_cannot_be_one_is_refused(folder, value):
    """Placeholders copied from an example above all."""
    problem = only_problem(folder.refusal(APP.replace("the-id", value)))
    assert problem.key == "apps.default.client_id"
    assert "Consumer Key" in problem.expected


# Roles


@pytest.mark.parametrize(
    ("roles", "key", "words"),
    [
        ("[]", "roles", "at least one role"),
        ("{ roleName = 'PAYER' }", "roles", "expected a list of tables, found a table"),
        ("['PAYER']", "roles[0]", "expected a table, found a string"),
        ("[{ CRID = '1' }]", "roles[0]", "expected a roleName"),
        ("[{ rolename = 'PAYER' }]", "roles[0]", "write roleName, not rolename"),
        ("[{ roleName = '' }]", "roles[0].roleName", "an empty string"),
        ("[{ roleName = 7 }]", "roles[0].roleName", 'put it in quotes: roleName = "7"'),
        ("[{ roleName = ['PAYER'] }]", "roles[0].roleName", "expected a string, found a list"),
        ("[{ roleName = 'PAYER', CRID = 123 }]", "roles[0].CRID", 'quotes: CRID = "123"'),
        ("[{ roleName = 'PAYER', CRID = 1.5 }]", "roles[0].CRID", "put it in quotes"),
        ("[{ roleName = 'PAYER', CRID = true }]", "roles[0].CRID", "expected a string, found true"),
        ("[{ roleName = 'PAYER', at = 2026-01-01 }]", "roles[0].at", "found a date or time"),
        ("[{ roleName = 'PAYER', a = { b = [1] } }]", "roles[0].a.b[0]", 'quotes: "1"'),
        ("[{ roleName = 'PAYER', 'a.b' = 1 }]", 'roles[0]."a.b"', "put it in quotes"),
    ],
)
def test_roles_that_usps_cannot_mean_are_refused(folder, roles, key, words):
    """The rest is opaque: USPS names new roles and fields as it likes."""
    text = app_with(f"[apps.default.payments.default]\nroles = {roles}")
    problem = only_problem(folder.refusal(text))
    assert problem.key == f"apps.default.payments.default.{key}"
    assert words in str(problem)


def test_a_payment_without_roles_is_refused(folder):
    """With an example of some."""
    problem = only_problem(folder.refusal(app_with("[apps.default.payments.default]")))
    assert problem.key == "apps.default.payments.default.roles"
    assert "PAYER" in problem.fix


def test_roles_may_be_written_as_tables(folder):
    """TOML's other way of a list of tables."""
    text = app_with('[[apps.default.payments.default.roles]]\nroleName = "PAYER"\nX = "new"')
    assert folder.load(text).apps[0].payments[0].roles == ({"roleName": "PAYER", "X": "new"},)


def test_deep_roles_are_bounded(folder):
    """A nest of tables is no role, and no stack overflow."""
    nest = "{ a = " * 60 + "'x'" + " }" * 60
    text = app_with(f"[apps.default.payments.default]\nroles = [{{ roleName = 'P', a = {nest} }}]")
    assert "at most 16 levels" in str(folder.refusal(text))


# Users and groups


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('groups = ["no-such-group"]', "sudo groupadd --system no-such-group"),
        ('users = ["no-such-user"]', "sudo useradd --system no-such-user"),
        ("groups = ['x; rm -rf /']", "groupadd --system 'x; rm -rf /'"),
        ('groups = ["a\\u0000b"]', "a group that exists"),
        ('users = [""]', "the name or number of a user"),
        ("users = [true]", "found true"),
        ("users = [1.5]", "found 1.5"),
        ("users = [-1]", "from 0 to 4294967294"),
        ("groups = [4294967295]", "from 0 to 4294967294"),
        ("users = [65534]", "stands for anybody"),
        ('users = ["65534"]', "stands for anybody"),
        ('users = ["nobody"]', "name the user that the workers run as"),
        ('groups = "shop"', 'write: groups = ["shop"]'),
        ("groups = 5", "expected a list"),
    ],
)
def test_people_that_cannot_be_let_in_are_refused(folder, line, words):
    """With the command that makes the missing one."""
    problem = only_problem(folder.refusal(app_with(f"[apps.default.bearer]\n{line}")))
    assert words in str(problem)


def test_every_unknown_name_is_told(folder):
    """By its place in the list."""
    text = app_with('[apps.default.bearer]\ngroups = ["no-a", "daemon", "no-b"]')
    keys = [problem.key for problem in folder.refusal(text).problems]
    assert keys == ["apps.default.bearer.groups[0]", "apps.default.bearer.groups[2]"]


def test_names_and_numbers_are_one(folder):
    """A number need not be in the user database: containers have none."""
    text = app_with('[apps.default.bearer]\nusers = ["daemon", 1, "1", 424242, "0"]')
    assert folder.load(text).apps[0].bearer.users == {1, 424242, 0}


# The file itself


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[apps.default\n", "line 1, column 14", ""),
        ('a = 1\nb = "x\n', "line 2, column 7", ""),
        ("a = 1\na = 2\n", "line 2, column 6", ""),
        ("x = [1,\n", "end of document", ""),
        ("client_id = abc", "line 1, column 13", "text goes in quotes"),
        ("calls_per_hour = 30 at most", "line 1, column 21", "on a line of its own"),
        ("apps:\n  default:\n", "line 1, column 5", "a key is written"),
        ('{"apps": {}}', "line 1, column 1", "a key is written"),
        ("client_id", "end of document", "a key is written"),
        ("r = { CRID = 0123 }", "line 1, column 15", 'CRID = "012345678"'),
        ("client_id = \u201cabc\u201d", "line 1, column 13", "the quotes are curly ones"),
    ],
)
def test_a_syntax_error_has_its_line(folder, text, place, words):
    """And where the slip is a known one, the fix."""
    problem = only_problem(folder.refusal(text))
    assert (problem.source, problem.key) == (str(folder.file), place)
    assert words in problem.fix


def test_bytes_that_are_no_text_have_their_line(folder):
    """As an editor shows it."""
    problem = only_problem(folder.refusal(b"a = 1\n# caf\xe9\n"))
    assert (problem.key, problem.fix) == ("line 2", "save it as UTF-8")


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "\0", "x" * 2_000_000])
def test_a_hostile_file_is_refused_like_any_other(folder, text):
    """Nested without end, a number without end, NULs, megabytes."""
    assert only_problem(folder.refusal(text)).source == str(folder.file)


def test_a_missing_file_is_named(tmp_path):
    """The one that --config names."""
    with pytest.raises(ConfigError, match=r"gone\.toml: expected a file, found no such file"):
        load(tmp_path / "gone.toml", {}, uid=0)


@pytest.mark.parametrize("kind", ["directory", "fifo", "device"])
def test_what_is_no_regular_file_is_refused(tmp_path, kind):
    """A FIFO would block here, and be empty at the next reload."""
    path = tmp_path / "c"
    match kind:
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case _:
            path = Path("/dev/null")
    with pytest.raises(ConfigError, match="expected a regular file"):
        load(path, {}, uid=0)


def test_a_file_that_everybody_can_write_is_refused(folder):
    """They could have the client secret sent anywhere."""
    folder.write(APP).chmod(0o666)
    with pytest.raises(ConfigError, match=f"chmod o-w {folder.file}"):
        load(folder.file, HOME, uid=0)


def test_a_file_that_everybody_can_read_is_fine(folder):
    """There is no secret in it."""
    folder.write(APP).chmod(0o444)
    assert load(folder.file, HOME, uid=0)


def test_a_link_to_a_file_is_fine(folder, tmp_path):
    """Kubernetes makes nothing else."""
    folder.write(APP)
    (tmp_path / "link.toml").symlink_to(folder.file)
    assert load(tmp_path / "link.toml", HOME, uid=0)


def test_a_file_we_may_not_read_says_who_we_are(folder):
    """With the uid that it should be readable for."""
    folder.write(APP).chmod(0o000)

    def look() -> str:
        with pytest.raises(ConfigError, match=f"permission denied\n    let uid {os.geteuid()},"):
            load(folder.file, HOME, uid=0)
        return "refused"

    assert as_ordinary_user(look) == "refused"


def test_a_path_with_a_nul_is_an_error_not_a_crash():
    """Whatever the command line brings."""
    with pytest.raises(ConfigError):
        load(Path("/x\0y"), {}, uid=0)


def test_reading_leaks_no_descriptor(folder):
    """A reload happens many times."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    folder.load(APP)
    folder.refusal("x")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_problem_without_a_fix_is_one_line():
    """No empty line hangs below it."""
    problem = Problem("the source", "the.key", "this", "that")
    assert str(problem) == "the source: the.key: expected this, found that"
    assert str(ConfigError([problem, problem])) == f"{problem}\n{problem}"


def test_a_path_that_no_file_system_takes_is_an_error(tmp_path):
    """In the kernel's words."""
    with pytest.raises(ConfigError, match="File name too long"):
        load(tmp_path / ("x" * 300), HOME, uid=0)
