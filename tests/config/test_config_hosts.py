"""Base URLs: which are accepted, in which spelling they are kept, and what is said of the rest."""

import pytest
from configs import app_with

from usps_token_broker.config.hosts import is_loopback


def with_url(url: str, top: str = "") -> str:
    return f"{top}\n" + app_with(f'base_url = "{url}"')


@pytest.mark.parametrize(
    ("written", "url", "host"),
    [
        ("https://apis.usps.com", "https://apis.usps.com", "apis.usps.com"),
        ("https://apis.usps.com/", "https://apis.usps.com", "apis.usps.com"),
        ("HTTPS://APIS.USPS.COM.:443/", "https://apis.usps.com", "apis.usps.com"),
        ("https://gate.example:8443", "https://gate.example:8443", "gate.example:8443"),
        ("https://gate.example:0443", "https://gate.example", "gate.example"),
        ("http://localhost", "http://localhost", "localhost"),
        ("http://127.0.0.1:80", "http://127.0.0.1", "127.0.0.1"),
        ("http://127.1.2.3:8080", "http://127.1.2.3:8080", "127.1.2.3:8080"),
        ("http://[::1]:8080", "http://[::1]:8080", "[::1]:8080"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]", "[2001:db8::1]"),
        ("http://localhost:443", "http://localhost:443", "localhost:443"),
    ],
)
def test_one_spelling_for_one_host(folder, written, url, host):
    """State is kept by host, so two spellings must not be two hosts."""
    [app] = folder.load(with_url(written)).apps
    assert (app.base_url, app.host) == (url, host)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("apis.usps.com", "no scheme (https://)"),
        ("", "no scheme (https://)"),
        ("ftp://apis.usps.com", "another scheme than https"),
        ("https://apis.usps.com/oauth2/v3/token", "a path or query after the host"),
        ("https://apis.usps.com?x=1", "a path or query after the host"),
        ("https://apis.usps.com#x", "a path or query after the host"),
        ("https://me:pw@apis.usps.com", "a user or password in it"),
        ("https://apis.usps.com\\\\@evil.example", "a user or password in it"),
        ("https://apis.usps.com:x", "a port that is no number"),
        ("https://apis.usps.com:", "a port that is no number"),
        ("https://", "a host name that cannot be one"),
        ("https:///x", "a path or query after the host"),
        ("https://a..b", "a host name that cannot be one"),
        (" https://apis.usps.com", "blanks around it"),
        ("https://-a.example", "a host name that cannot be one"),
        ("https://api s.usps.com", "a host name that cannot be one"),
        ("https://apis.usps.com\\n", "blanks around it"),
        ("https://ap\\tis.usps.com", "a host name that cannot be one"),
        ("https://xn--\\u0430pis.usps.com", "a host name that cannot be one"),
        ("https://[::1", "a port that is no number"),
        ("https://[:::]", "brackets without an IPv6 address in them"),
        ("https://apis.usps.com:0", "0"),
        ("https://apis.usps.com:65536", "65536"),
    ],
)
def test_what_is_no_base_url_is_refused(folder, url, found):
    """Scheme and host alone; the rest is ours to add."""
    [problem] = folder.refusal(with_url(url)).problems
    assert problem.key == "apps.default.base_url"
    assert problem.found == found


@pytest.mark.parametrize(
    "host",
    [
        "apis.usps.com",
        "10.0.0.1",
        "0.0.0.0",
        "127.1",
        "0x7f000001",
        "2130706433",
        "localhost.example",
        "127.0.0.1.example",
        "my-localhost",
        "[::ffff:10.0.0.1]",
        "[::]",
    ],
)
def test_http_leaves_the_machine_for_nobody_by_default(folder, host):
    """The client secret would be there to read."""
    [problem] = folder.refusal(with_url(f"http://{host}")).problems
    assert problem.found == f"http to {host}"
    assert f'allow_http_hosts = ["{host}"]' in problem.fix


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ('["simulator"]', "http://simulator:8080"),
        ('["Simulator"]', "http://SIMULATOR"),
        ('["x", "10.0.0.1"]', "http://10.0.0.1"),
        ('["[fd00::1]"]', "http://[FD00::1]:80"),
        ('["simulator."]', "http://simulator"),
        ('["simulator"]', "http://simulator.:8080"),
    ],
)
def test_http_is_allowed_to_hosts_named_for_it(folder, allowed, url):
    """A simulator in the next container."""
    assert folder.load(with_url(url, f"allow_http_hosts = {allowed}"))


@pytest.mark.parametrize(
    "host", ["sub.simulator", "simulator.example", "simulator2", "simulato", "10.0.0.2"]
)
def test_a_host_that_is_only_like_an_allowed_one_is_not_allowed(folder, host):
    """The whole name, and nothing below or beside it."""
    allowed = 'allow_http_hosts = ["simulator", "10.0.0.1"]'
    [problem] = folder.refusal(with_url(f"http://{host}", allowed)).problems
    assert problem.found == f"http to {host}"


def test_an_allowed_host_may_still_be_spoken_to_in_tls(folder):
    """It is a permission, not an order."""
    app = folder.load(with_url("https://simulator", 'allow_http_hosts = ["simulator"]')).apps[0]
    assert app.base_url == "https://simulator"


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:80"])
def test_a_proxy_may_not_carry_what_was_not_to_leave_the_machine(folder, url):
    """Loopback is called without TLS because nobody else can listen."""
    proxy = 'proxy = "http://proxy.example:3128"'
    [problem] = folder.refusal(f"{with_url(url)}\n{proxy}").problems
    assert problem.key == "apps.default.proxy"
    assert "over http it would read the client secret" in problem.fix
    assert folder.load(f"{with_url(url.replace('http:', 'https:'))}\n{proxy}")


@pytest.mark.parametrize(
    "value", ['["*"]', '["*.example"]', '["http://x"]', '["x:80"]', '[""]', '"x"', "[1]", "true"]
)
def test_allowed_hosts_are_names_and_nothing_wider(folder, value):
    """No wildcard, no scheme, no port."""
    error = folder.refusal(with_url("https://apis.usps.com", f"allow_http_hosts = {value}"))
    assert error.problems[0].key.startswith("allow_http_hosts")


@pytest.mark.parametrize("host", ["api.usps.com", "api-cat.usps.com", "apis-cat.usps.com"])
def test_hosts_of_the_old_platform_are_warned_of(folder, host):
    """Today's apps and tokens are not valid there."""
    [warning] = folder.load(with_url(f"https://{host}")).warnings
    assert f"{host} is a host of the old USPS platform" in warning
    assert "https://apis-tem.usps.com for tests" in warning


@pytest.mark.parametrize("host", ["apis.usps.gov", "apis.usps.com.example", "keyc.usps.com:8443"])
def test_hosts_that_are_not_known_are_warned_of(folder, host):
    """They get the secret."""
    [warning] = folder.load(with_url(f"https://{host}")).warnings
    assert "is not a host of the USPS APIs that is known here" in warning


@pytest.mark.parametrize(
    "url",
    [
        "https://apis.usps.com",
        "https://apis-tem.usps.com:443",
        "http://localhost:1",
        "http://[::1]:80",
    ],
)
def test_hosts_in_order_are_not_remarked_upon(folder, url):
    """USPS's own, and a simulator on this machine."""
    assert folder.load(with_url(url)).warnings == ()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.255.254", "::1", "[::1]"])
def test_loopback_is_what_never_leaves_the_machine(host):
    """By name and by address."""
    assert is_loopback(host)
