"""Whatever stands in a configuration: settings or a ConfigError, and never a secret in it."""

import datetime as dt
import json
from collections.abc import Callable

import pytest
from configs import CANARY, HOME, Folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usps_token_broker.config import ConfigError, Settings, load

KNOWN = [
    "apps",
    "default",
    "base_url",
    "client_id",
    "client_secret",
    "bearer",
    "payments",
    "users",
    "groups",
    "roles",
    "roleName",
    "required",
    "keep",
    "calls_per_hour",
    "timeout_seconds",
    "proxy",
    "ca_file",
    "socket",
    "state_dir",
    "allow_http_hosts",
    "allow_readable_secret",
    "file",
    "env",
    "credential",
]
keys = st.sampled_from(KNOWN) | st.text(max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["/x", "https://apis.usps.com", "http://h", "root", "nobody", "PAYER"])
    | st.just(dt.date(2026, 1, 1))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
files = st.fixed_dictionaries(
    {},
    optional={
        "apps": st.dictionaries(keys, st.dictionaries(keys, values, max_size=6), max_size=3)
        | values,
        "socket": values,
        "state_dir": values,
        "allow_http_hosts": values,
        "allow_readable_secret": values,
        "other": values,
    },
)
fast = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def toml(value: object) -> str:  # noqa: PLR0911 - TOML has that many types
    """The value as TOML writes it."""
    match value:
        case None:
            return '"none"'
        case bool():
            return "true" if value else "false"
        case float():
            return str(value)
        case str():
            return json.dumps(value).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{toml(k)} = {toml(v)}' for k, v in value.items())}}}"
        case _:
            return str(value)


def outcome(load_it: Callable[[], Settings]) -> Settings | ConfigError:
    """What loading comes to; any other exception goes through."""
    try:
        return load_it()
    except ConfigError as error:
        return error


@fast
@given(content=files)
def test_any_table_is_accepted_or_refused(tmp_path, content):
    """Nothing else is ever raised."""
    text = "\n".join(f"{toml(key)} = {toml(value)}" for key, value in content.items())
    found = outcome(lambda: Folder(tmp_path).load(text))
    if isinstance(found, ConfigError):
        assert found.problems
        assert all(line.isprintable() for line in str(found).split("\n"))
    else:
        assert found.apps


@fast
@given(content=st.binary(max_size=200))
def test_any_bytes_are_accepted_or_refused(tmp_path, content):
    """Also those that are no TOML."""
    with pytest.raises(ConfigError):
        Folder(tmp_path).load(content)


@fast
@given(
    secret=st.sampled_from([CANARY, [CANARY], {"file": CANARY}, {"x": CANARY}, {CANARY: CANARY}])
    | st.dictionaries(keys, st.just(CANARY), max_size=3),
    key=st.sampled_from(["client_secret", "client_secrt", "secret", "client_id", "base_url"]),
)
def test_a_secret_typed_anywhere_is_not_shown(tmp_path, secret, key):
    """For keys in which somebody would type it."""
    text = f"[apps.default]\n{key} = {toml(secret)}"
    assert CANARY not in str(outcome(lambda: Folder(tmp_path).load(text)))


@fast
@given(
    environ=st.dictionaries(
        st.sampled_from(
            [
                "USPS_CLIENT_ID",
                "USPS_CLIENT_SECRET",
                "USPS_CLIENT_SECRET_FILE",
                "USPS_BASE_URL",
                "USPS_PAYMENT_ROLES",
                "USPS_PAYMENT_ROLES_FILE",
                "USPS_ALLOW_HTTP_HOSTS",
                "USPS_ALLOW_READABLE_SECRET",
                "USPS_TOKEN_SOCKET",
                "USPS_TOKEN_STATE_DIR",
                "RUNTIME_DIRECTORY",
            ]
        ),
        st.text(st.characters(exclude_characters="\0"), max_size=30)
        | st.sampled_from(["/x", "/etc", "\udcff", '[{"roleName": "P"}]', "http://h", ":::", "/"]),
    )
)
def test_any_environment_is_accepted_or_refused(tmp_path, environ):
    """Bytes that are no text come as lone surrogates."""
    found = outcome(
        lambda: load(None, {**HOME, **environ}, uid=1000, default_path=tmp_path / "none")
    )
    if isinstance(found, ConfigError):
        assert all(line.isprintable() for line in str(found).split("\n"))
    else:
        assert found.apps[0].client_id == environ["USPS_CLIENT_ID"]
