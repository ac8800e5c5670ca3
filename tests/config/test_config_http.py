"""`http.listen`: what is taken, what is refused and how, what is warned of."""

import pytest
from configs import APP, HOME

from usps_token_broker.config import ConfigError, load
from usps_token_broker.config.differences import fixed

ENVIRONMENT = {
    **HOME,
    "USPS_CLIENT_ID": "the-id",
    "USPS_CLIENT_SECRET": "the-secret",
}


def listening(value):
    return f"[http]\nlisten = {value}\n{APP}"


def test_there_is_none_by_default(folder):
    """A port is something to ask for."""
    assert folder.load(APP).http is None


def test_an_empty_table_is_none(folder):
    """As one that was commented out."""
    assert folder.load(f"[http]\n{APP}").http is None


@pytest.mark.parametrize(
    ("written", "address", "port"),
    [
        ("127.0.0.1:9842", "127.0.0.1", 9842),
        ("127.9.9.9:1", "127.9.9.9", 1),
        ("[::1]:65535", "::1", 65535),
        ("[0:0:0:0:0:0:0:1]:80", "::1", 80),
    ],
)
def test_loopback_is_taken_without_a_word(folder, written, address, port):
    """In the usual spelling of the address."""
    settings = folder.load(listening(f'"{written}"'))
    assert (settings.http.address, settings.http.port) == (address, port)
    assert not settings.warnings


def test_an_address_is_shown_as_it_is_written_into_a_url(folder):
    """With brackets around one of IPv6."""
    assert str(folder.load(listening('"[::1]:9842"')).http) == "[::1]:9842"
    assert str(folder.load(listening('"127.0.0.1:9842"')).http) == "127.0.0.1:9842"


@pytest.mark.parametrize("written", ["0.0.0.0:9842", "[::]:9842", "10.1.2.3:9842"])
def test_what_others_can_reach_is_taken_with_a_warning(folder, written):
    """Pods need it; who wrote it by mistake is told."""
    settings = folder.load(listening(f'"{written}"'))
    assert str(settings.http) == written
    [warning] = settings.warnings
    assert warning.startswith(f"http.listen: {written} can be reached from outside")
    assert "no token, no secret" in warning


@pytest.mark.parametrize(
    ("written", "found", "fix"),
    [
        ('"localhost:9842"', '"localhost"', 'listen = "127.0.0.1:9842"'),
        ('":9842"', "none", 'listen = "127.0.0.1:9842"'),
        ('"9842"', '"9842"', 'listen = "127.0.0.1:9842"'),
        ("9842", "9842", 'listen = "127.0.0.1:9842"'),
        ('"::1:9842"', '"::1:9842"', 'listen = "[::1]:9842"'),
        ('"127.0.0.1"', '"127.0.0.1"', 'listen = "127.0.0.1:9842"'),
        ('"127.0.0.1:0"', "0", 'listen = "127.0.0.1:9842"'),
        ('"127.0.0.1:65536"', "65536", 'listen = "127.0.0.1:9842"'),
        ('"127.0.0.1:9842 "', '"127.0.0.1:9842 "', "listen ="),
        ('"http://127.0.0.1:9842"', '"http://127.0.0.1:9842"', "listen ="),
        ('"[127.0.0.1]:9842"', '"127.0.0.1"', "listen ="),
        ('"[fe80::1%eth0]:9842"', '"fe80::1%eth0"', "listen ="),
        ('"[]:9842"', "none", "listen ="),
        ('"127.1:9842"', '"127.1"', "listen ="),
        ('"broker.example:9842"', '"broker.example"', "listen ="),
        ("true", "true", "listen ="),
        ("-1", "-1", "listen ="),
        ('["127.0.0.1:9842"]', "a list", "listen ="),
        ('""', '""', "listen ="),
    ],
)
def test_anything_else_is_refused_with_how_to_write_it(folder, written, found, fix):
    """By file and key."""
    [problem] = folder.refusal(listening(written)).problems
    assert problem.key == "http.listen"
    assert problem.found == found
    assert fix in problem.fix


def test_a_lone_key_is_told_its_table(folder):
    """It is not for the top of the file."""
    [problem] = folder.refusal(f'listen = "127.0.0.1:9842"\n{APP}').problems
    assert problem.fix == "listen belongs in [http]"


@pytest.mark.parametrize("key", ["port", "address"])
def test_the_words_of_others_are_understood(folder, key):
    """And the right one is named."""
    [problem] = folder.refusal(f'[http]\n{key} = "x"\n{APP}').problems
    assert problem.fix == "did you mean listen?"


def test_the_variable_does_it_without_a_file(tmp_path):
    """For a container."""
    environ = {**ENVIRONMENT, "USPS_TOKEN_HTTP_LISTEN": "0.0.0.0:9842"}
    settings = load(None, environ, uid=1000, default_path=tmp_path / "none")
    assert str(settings.http) == "0.0.0.0:9842"
    assert settings.warnings[0].startswith("USPS_TOKEN_HTTP_LISTEN: 0.0.0.0:9842 can be reached")


def test_a_wrong_variable_is_named(tmp_path):
    """As a shell sets it."""
    environ = {**ENVIRONMENT, "USPS_TOKEN_HTTP_LISTEN": "9842"}
    with pytest.raises(ConfigError) as refused:
        load(None, environ, uid=1000, default_path=tmp_path / "none")
    [problem] = refused.value.problems
    assert problem.key == "USPS_TOKEN_HTTP_LISTEN"
    assert problem.fix == "set USPS_TOKEN_HTTP_LISTEN=127.0.0.1:9842"


def test_the_variable_stands_beside_a_file_that_says_nothing(folder):
    """As those of socket and state do."""
    settings = folder.load(APP, {**HOME, "USPS_TOKEN_HTTP_LISTEN": "127.0.0.1:1234"})
    assert settings.http.port == 1234


def test_the_file_goes_before_the_variable(folder):
    """What is written down is meant."""
    environ = {**HOME, "USPS_TOKEN_HTTP_LISTEN": "127.0.0.1:1234"}
    assert folder.load(listening('"127.0.0.1:9842"'), environ).http.port == 9842


@pytest.mark.parametrize(
    ("before", "after", "expected", "found"),
    [
        ('"127.0.0.1:1"', '"127.0.0.1:2"', "127.0.0.1:1", "127.0.0.1:2"),
        (None, '"127.0.0.1:2"', "none", "127.0.0.1:2"),
        ('"127.0.0.1:1"', None, "127.0.0.1:1", "none"),
    ],
)
def test_a_change_takes_a_restart(folder, before, after, expected, found):
    """A reload that brings one is refused, as for socket and state."""
    old, new = (folder.load(APP if v is None else listening(v)) for v in (before, after))
    [problem] = fixed(old, new)
    assert problem.key == "http.listen"
    assert problem.expected == f"{expected}, as when the broker was started"
    assert problem.found == found
    assert problem.fix.startswith("restart the broker")


def test_another_spelling_is_no_change(folder):
    """Nor is it one to say the same by the variable."""
    old = folder.load(listening('"[0::1]:9842"'))
    new = folder.load(APP, {**HOME, "USPS_TOKEN_HTTP_LISTEN": "[::1]:9842"})
    assert list(fixed(old, new)) == []
