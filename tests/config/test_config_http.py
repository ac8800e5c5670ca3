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
        ("[::ffff:127.0.0.1]:9842", "127.0.0.1", 9842),
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
        ('"[fe80::1]:9842"', "fe80::1", "listen ="),
        ('"[ff02::1]:9842"', "ff02::1", "listen ="),
        ('"224.0.0.1:9842"', "224.0.0.1", "listen ="),
        ('"255.255.255.255:9842"', "255.255.255.255", "listen ="),
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


def with_tokens(listen='"127.0.0.1:9842"', more=""):
    return f"[http]\nlisten = {listen}\ntokens = true\n{more}\n{APP}"


def test_tokens_are_served_only_where_somebody_says_so(folder):
    """A port for monitors is no door for tokens."""
    settings = folder.load(listening('"127.0.0.1:9842"'))
    assert not settings.http_tokens
    assert folder.load(with_tokens()).http_tokens


def test_keys_lie_beside_the_configuration(folder, tmp_path):
    """Where they outlive a reboot; or where the file says."""
    assert folder.load(with_tokens()).keys_file == folder.file.parent / "keys.json"
    settings = folder.load(with_tokens(more='keys_file = "/var/lib/keys/k.json"'))
    assert str(settings.keys_file) == "/var/lib/keys/k.json"


@pytest.mark.parametrize("listen", ['"127.0.0.1:9842"', '"[::1]:9842"', '"127.9.9.9:1"'])
def test_tokens_on_loopback_are_taken_without_a_word(folder, listen):
    """Of either kind."""
    assert not folder.load(with_tokens(listen)).warnings


@pytest.mark.parametrize("listen", ['"0.0.0.0:9842"', '"[::]:9842"', '"10.1.2.3:9842"'])
def test_tokens_where_others_can_reach_them_are_refused(folder, listen):
    """They would go over the network in the clear."""
    [problem] = folder.refusal(with_tokens(listen)).problems
    assert problem.key == "http.listen"
    assert problem.expected == "an address of this machine alone, with tokens"
    assert 'listen = "127.0.0.1:' in problem.fix
    assert "tokens_beyond_loopback = true" in problem.fix


def test_tokens_elsewhere_take_a_word_of_their_own_and_a_warning(folder):
    """For a network of containers."""
    settings = folder.load(with_tokens('"0.0.0.0:9842"', "tokens_beyond_loopback = true"))
    assert settings.http_tokens
    assert any(
        w.startswith("http.tokens: keys and tokens go to 0.0.0.0") for w in settings.warnings
    )


def test_the_variable_does_not_lead_tokens_elsewhere(folder):
    """The address counts, whoever says it."""
    text = f"[http]\ntokens = true\n{APP}"
    [problem] = folder.refusal(text, {**HOME, "USPS_TOKEN_HTTP_LISTEN": "0.0.0.0:1"}).problems
    assert problem.expected == "an address of this machine alone, with tokens"
    settings = folder.load(text, {**HOME, "USPS_TOKEN_HTTP_LISTEN": "127.0.0.1:1"})
    assert (settings.http_tokens, settings.http.port) == (True, 1)


def test_tokens_without_an_address_are_refused(folder):
    """With how to write one."""
    [problem] = folder.refusal(f"[http]\ntokens = true\n{APP}").problems
    assert (problem.key, problem.fix) == ("http.listen", 'write: listen = "127.0.0.1:9842"')


@pytest.mark.parametrize(
    ("line", "key"),
    [('tokens = "yes"', "http.tokens"), ('keys_file = "keys.json"', "http.keys_file")],
)
def test_other_kinds_of_values_are_refused(folder, line, key):
    """As of every key."""
    problems = folder.refusal(f'[http]\nlisten = "127.0.0.1:1"\n{line}\n{APP}').problems
    assert [problem.key for problem in problems] == [key]


@pytest.mark.parametrize(
    ("more", "key"), [("", "http.tokens"), ('\nkeys_file = "/k"', "http.keys_file")]
)
def test_a_change_of_tokens_takes_a_restart(folder, more, key):
    """As that of the address."""
    old = folder.load(listening('"127.0.0.1:9842"'))
    text = with_tokens() if not more else f'[http]\nlisten = "127.0.0.1:9842"{more}\n{APP}'
    [problem] = fixed(old, folder.load(text))
    assert problem.key == key
