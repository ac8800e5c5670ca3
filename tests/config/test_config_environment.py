"""One app from environment variables, and how it gets along with a file."""

import os
from pathlib import Path

import pytest
from configs import APP, CANARY, HOME

from usps_token_broker.config import ConfigError, Settings, SlotSettings, UserLimits, load
from usps_token_broker.drivers.secret_source import EnvironmentSource, FileSource

ENOUGH = {**HOME, "USPS_CLIENT_ID": "the-id", "USPS_CLIENT_SECRET": CANARY}
ROLES = '[{"roleName": "PAYER", "CRID": "1"}, {"roleName": "LABEL_OWNER", "CRID": "1"}]'


@pytest.fixture
def nowhere(tmp_path):
    """A default path without a file."""
    return tmp_path / "etc" / "broker.toml"


@pytest.fixture
def settings(nowhere):
    """Loads from this environment."""

    def load_it(**more: str) -> Settings:
        return load(None, {**ENOUGH, **more}, uid=1000, default_path=nowhere)

    return load_it


@pytest.fixture
def refusal(settings):
    """The error that this environment makes; the secret is never in it."""

    def refuse(**more: str) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            settings(**more)
        assert CANARY not in str(caught.value)
        return caught.value

    return refuse


def test_id_and_secret_are_enough(settings):
    """They make one app named `default`, for the daemon's own user."""
    found = settings()
    [app] = found.apps
    assert (app.name, app.base_url, app.client_id) == ("default", "https://apis.usps.com", "the-id")
    assert app.secret == EnvironmentSource("USPS_CLIENT_SECRET")
    assert app.bearer == SlotSettings("bearer", required=True)
    assert app.payments == ()
    assert found.source == "the environment"
    assert CANARY not in repr(found)


def test_it_is_as_if_a_file_had_said_so(settings, folder):
    """Both forms come to the same app."""
    found = settings(USPS_BASE_URL="https://apis-tem.usps.com/", USPS_PAYMENT_ROLES=ROLES)
    text = f"""
        [apps.default]
        base_url = "https://apis-tem.usps.com"
        client_id = "the-id"
        client_secret = {{ env = "USPS_CLIENT_SECRET" }}
        [apps.default.payments.default]
        roles = {ROLES.replace(":", " =")}
    """
    assert found.apps == folder.load(text).apps


def test_the_secret_may_lie_in_a_file(settings, monkeypatch, tmp_path):
    """A relative path is taken from where the broker was started, once."""
    monkeypatch.chdir(tmp_path)
    found = settings(USPS_CLIENT_SECRET="", USPS_CLIENT_SECRET_FILE="sub/secret")
    monkeypatch.chdir("/")
    assert found.apps[0].secret == FileSource(tmp_path / "sub" / "secret")


def test_a_container_may_have_a_readable_secret(settings):
    """Its orchestrator sets the mode."""
    found = settings(
        USPS_CLIENT_SECRET="",
        USPS_CLIENT_SECRET_FILE="/run/secrets/usps",
        USPS_ALLOW_READABLE_SECRET="1",
    )
    assert found.apps[0].secret == FileSource(Path("/run/secrets/usps"), allow_readable=True)


def test_http_hosts_may_be_allowed(settings):
    """For a simulator in the container next door."""
    found = settings(
        USPS_BASE_URL="http://Simulator:8080", USPS_ALLOW_HTTP_HOSTS="other, SIMULATOR"
    )
    assert found.apps[0].host == "simulator:8080"


def test_limits_can_be_set(settings):
    """A variable for each key of the table; the others stay."""
    found = settings(USPS_LIMIT_REQUESTS_PER_MINUTE_PER_UID="0", USPS_LIMIT_WAITING_PER_UID="7")
    assert found.limits == UserLimits(requests_per_minute_per_uid=0, waiting_per_uid=7)
    assert settings().limits == UserLimits()


@pytest.mark.parametrize("value", ["-1", "1e6", "many", "١٢", "9999999999", "1" * 5000])
def test_a_limit_that_is_no_number_is_refused_with_the_way_to_write_it(refusal, value):
    """Name, what was expected and what to set."""
    (problem,) = refusal(USPS_LIMIT_REPORTS_PER_MINUTE_PER_UID=value).problems
    assert problem.key == "USPS_LIMIT_REPORTS_PER_MINUTE_PER_UID"
    assert "a whole number from 0 to 1000000000" in problem.expected
    assert problem.fix.endswith("USPS_LIMIT_REPORTS_PER_MINUTE_PER_UID=60000")


def test_roles_may_lie_in_a_file(settings, folder):
    """JSON, as USPS gets it."""
    path = folder.write(ROLES, "roles.json")
    [app] = settings(USPS_PAYMENT_ROLES_FILE=str(path)).apps
    assert [role["roleName"] for role in app.payments[0].roles] == ["PAYER", "LABEL_OWNER"]
    assert app.payments[0].roles_fingerprint


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"USPS_CLIENT_ID": ""}, "USPS_CLIENT_ID: expected this key, found nothing"),
        ({"USPS_CLIENT_ID": CANARY + " x"}, "USPS_CLIENT_ID: expected the Consumer Key"),
        ({"USPS_CLIENT_ID": "\udcff"}, "USPS_CLIENT_ID: expected the Consumer Key"),
        ({"USPS_CLIENT_SECRET": ""}, "expected USPS_CLIENT_SECRET or USPS_CLIENT_SECRET_FILE"),
        ({"USPS_CLIENT_SECRET_FILE": "/x"}, "unset USPS_CLIENT_SECRET"),
        ({"USPS_CLIENT_SECRET_FILE": f"{CANARY}\nx"}, "USPS_CLIENT_SECRET_FILE: expected a path"),
        ({"USPS_CLIENT_SECRET_FILE": "x" * 5000}, "USPS_CLIENT_SECRET_FILE: expected a path"),
        ({"USPS_BASE_URL": "apis.usps.com"}, "set USPS_BASE_URL=https://apis.usps.com"),
        ({"USPS_BASE_URL": "http://sim"}, "set USPS_ALLOW_HTTP_HOSTS=sim"),
        ({"USPS_ALLOW_HTTP_HOSTS": "http://sim"}, "USPS_ALLOW_HTTP_HOSTS[0]: expected a host"),
        ({"USPS_ALLOW_READABLE_SECRET": "maybe"}, "expected true or false"),
        ({"USPS_PAYMENT_ROLES": "[{"}, "USPS_PAYMENT_ROLES: expected JSON, found Expecting"),
        ({"USPS_PAYMENT_ROLES": f'"{CANARY}"'}, "USPS_PAYMENT_ROLES: expected a list of tables"),
        ({"USPS_PAYMENT_ROLES": CANARY}, "USPS_PAYMENT_ROLES: expected JSON"),
        ({"USPS_PAYMENT_ROLES": "[]"}, "at least one role"),
        (
            {"USPS_PAYMENT_ROLES": "[null]"},
            "USPS_PAYMENT_ROLES[0]: expected a table, found nothing",
        ),
        ({"USPS_PAYMENT_ROLES": '[{"roleName":"P","CRID":12}]'}, 'in quotes: "CRID": "12"'),
        ({"USPS_PAYMENT_ROLES": '[{"roleName":"P","CRID":NaN}]'}, "expected a string, found nan"),
        ({"USPS_PAYMENT_ROLES": '[{"roleName":"\\ud800"}]'}, "characters that UTF-8 does not have"),
        ({"USPS_PAYMENT_ROLES": "[" * 100_000}, "USPS_PAYMENT_ROLES: expected JSON"),
        ({"USPS_PAYMENT_ROLES": "9" * 5000}, "USPS_PAYMENT_ROLES: expected JSON"),
        (
            {"USPS_PAYMENT_ROLES": ROLES, "USPS_PAYMENT_ROLES_FILE": "/x"},
            "unset USPS_PAYMENT_ROLES",
        ),
        ({"USPS_PAYMENT_ROLES_FILE": "/nowhere/x"}, "/nowhere/x: expected a file, found no such"),
    ],
)
def test_what_is_wrong_is_said_by_variable(refusal, more, words):
    """In the words of a shell, not of TOML."""
    assert words in str(refusal(**more))


def test_a_broken_file_of_roles_is_named(refusal, folder):
    """With the place in it, and not with its content."""
    path = folder.write(f'[{{"roleName": {CANARY}', "roles.json")
    assert f"{path}: roles: expected JSON, found Expecting value at line 1, column 15" in str(
        refusal(USPS_PAYMENT_ROLES_FILE=str(path))
    )
    path.write_bytes(b"\xff\xfe")
    assert "expected JSON" in str(refusal(USPS_PAYMENT_ROLES_FILE=str(path)))


def test_everything_wrong_is_told_at_once(refusal):
    """As with a file."""
    error = refusal(USPS_CLIENT_ID="", USPS_BASE_URL="x", USPS_PAYMENT_ROLES="x")
    assert [problem.key for problem in error.problems] == [
        "USPS_BASE_URL",
        "USPS_PAYMENT_ROLES",
        "USPS_CLIENT_ID",
    ]


def test_a_variable_of_nearly_the_right_name_is_pointed_out(refusal):
    """One letter off."""
    error = refusal(USPS_CLIENT_ID="", USPS_CLIENTID="x")
    assert "found nothing (but USPS_CLIENTID is set)" in str(error)


def test_neither_file_nor_environment_teaches_both(nowhere):
    """The first thing that anybody sees who just types `run`."""
    with pytest.raises(ConfigError) as caught:
        load(None, HOME, uid=1000, default_path=nowhere)
    text = str(caught.value)
    assert f"{nowhere} or USPS_CLIENT_ID in the environment, found neither" in text
    assert "[apps.default]" in text
    assert "USPS_CLIENT_ID=… USPS_CLIENT_SECRET_FILE=/path/to/secret usps-token-broker run" in text
    assert "usps-token-broker demo" in text


@pytest.mark.parametrize("variable", ["USPS_CLIENT_ID", "USPS_BASE_URL", "USPS_PAYMENT_ROLES_FILE"])
def test_part_of_the_environment_form_is_taken_for_it(nowhere, variable):
    """So the error is about what is missing, not about there being nothing."""
    with pytest.raises(ConfigError, match="the environment: "):
        load(None, {variable: "https://apis.usps.com"}, uid=0, default_path=nowhere)


# With a file


def test_the_default_file_is_read_when_it_exists(folder):
    """Nobody needs --config under systemd."""
    folder.write(APP)
    found = load(None, HOME, uid=1000, default_path=folder.file)
    assert found.source == f"file {folder.file}"


def test_file_and_environment_together_are_refused(folder):
    """One of them would be ignored, and somebody would look for hours."""
    folder.write(APP)
    for path in (None, folder.file):
        with pytest.raises(ConfigError) as caught:
            load(path, ENOUGH, uid=1000, default_path=folder.file)
        [problem] = caught.value.problems
        assert problem.found == f"both {folder.file} and USPS_CLIENT_ID, USPS_CLIENT_SECRET"
        assert "unset USPS_CLIENT_ID USPS_CLIENT_SECRET" in problem.fix


def test_a_broken_file_and_an_environment_are_both_told(folder):
    """The syntax error does not hide the other."""
    folder.write("x")
    with pytest.raises(ConfigError) as caught:
        load(folder.file, ENOUGH, uid=1000)
    assert len(caught.value.problems) == 2


def test_a_variable_that_the_file_names_is_no_second_form(folder):
    """`{ env = "USPS_CLIENT_SECRET" }` needs that variable."""
    text = APP.replace(
        'file = "/etc/usps-token-broker/client-secret"', 'env = "USPS_CLIENT_SECRET"'
    )
    environ = {**HOME, "USPS_CLIENT_SECRET": CANARY, "USPS_BASE_URL": ""}
    assert folder.load(text, environ).apps[0].secret == EnvironmentSource("USPS_CLIENT_SECRET")


def test_variables_of_the_client_are_none_of_ours(folder):
    """A shell in which somebody uses the tokens may also start a broker."""
    environ = {**HOME, "USPS_BEARER_TOKEN": "x", "USPS_PAYMENT_TOKEN": "y"}
    assert folder.load(APP, environ)


def test_a_default_file_that_is_a_dangling_link_is_an_error(folder, tmp_path):
    """It was meant to be there."""
    folder.file.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="no such file"):
        load(None, ENOUGH, uid=1000, default_path=folder.file)


def test_the_process_environment_is_not_read(nowhere, monkeypatch):
    """Only what is handed in counts."""
    monkeypatch.setitem(os.environ, "USPS_CLIENT_ID", "x")
    with pytest.raises(ConfigError, match="found neither"):
        load(None, {}, uid=0, default_path=nowhere)
