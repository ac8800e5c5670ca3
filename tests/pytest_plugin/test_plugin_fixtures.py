"""The fixtures `usps` and `usps_broker`, as somebody else's pytest runs them."""

from pathlib import Path

import pytest
from processes import until

pytest_plugins = ("pytester",)

OURS = "usps_token_broker"


@pytest.fixture
def run(pytester):
    """Run these tests in a process of their own; what they printed, and how many passed."""

    def run_it(text, *options):
        pytester.makepyfile(test_it=f"import os, sys\nimport pytest\n{text}")
        return pytester.runpytest_subprocess("-W", "error", "--strict-markers", *options)

    return run_it


def test_a_run_that_uses_none_loads_pytest_alone(run):
    """Of us no more than the plugin's own module, which imports nothing heavy."""
    done = run(
        f"""
        def test_it():
            ours = {{name for name in sys.modules if name.startswith({OURS!r})}}
            assert ours == {{{OURS!r}, "{OURS}.pytest_plugin"}}
            assert not {{"httpx", "msgspec", "rich", "filelock"}} & set(sys.modules)
    """.replace("\n        ", "\n")
    )
    done.assert_outcomes(passed=1)


def test_the_fixtures_tell_who_they_are(run):
    """`pytest --fixtures` shows them."""
    done = run("", "--fixtures")
    done.stdout.fnmatch_lines(["usps -- *", "usps_broker -- *"])


def test_both_tokens_are_there_when_the_test_begins(run):
    """A worker waits for nothing, and what it calls is what it counts."""
    done = run("""
from usps_token_client import TokenClient

def test_it(usps, usps_broker):
    assert usps.count() == 2
    assert TokenClient().headers(payment=True).base_url == usps.base_url
    assert usps.count() == 2
    """)
    done.assert_outcomes(passed=1)


def test_a_cold_start_under_a_fault(run):
    """The mark sets it up before the broker's first call, which is how it begins then."""
    done = run("""
from usps_token_client import TokenClient, TokenDenied

pytestmark = pytest.mark.usps(faults=["unavailable@token"], life_seconds=100)

@pytest.mark.usps(quotas={"labels": 5})
def test_it(usps, usps_broker):
    assert usps_broker.serial() is None
    assert usps_broker.status()["apps"][0]["slots"][0]["trouble"]
    with pytest.raises(TokenDenied):
        TokenClient(wait=0).bearer()
    usps.clear_faults()
    assert 90 < TokenClient().bearer().expires_at - __import__("time").time() <= 100
    """)
    done.assert_outcomes(passed=1)


def test_a_failure_names_them_by_where_they_are(run):
    """An address in memory would tell nobody anything."""
    done = run("""
def test_it(usps, usps_broker):
    assert repr(usps) == f"<Usps {usps.base_url}>"
    assert repr(usps_broker) == f"<UspsBroker {usps_broker.socket}, running>"
    usps_broker.stop()
    assert "not running" in repr(usps_broker)
    """)
    done.assert_outcomes(passed=1)


def test_rotation_by_hand_and_by_restart(run):
    """A renewal gives another serial; a stop, a kill and a start give the same, and no call."""
    done = run("""
from usps_token_client import BrokerError, TokenClient

def test_it(usps, usps_broker):
    tokens = TokenClient()
    first = tokens.bearer().value
    usps_broker.renew()
    usps_broker.renew("payment")
    tokens.forget()
    second = tokens.bearer().value
    assert second != first
    assert usps.count("token") == usps.count("payment-authorization") == 2
    usps_broker.kill()
    usps_broker.start()
    usps_broker.stop()
    tokens.forget()
    with pytest.raises(BrokerError):
        tokens.bearer()
    usps_broker.start()
    assert tokens.bearer().value == second
    assert usps.count("token") == 2
    """)
    done.assert_outcomes(passed=1)


def test_a_client_of_a_module_has_no_token_of_the_test_before(run):
    """Each test has a USPS of its own, and the tokens of another are dead there."""
    done = run("""
from usps_token_client import BrokerError, TokenClient

TOKENS = TokenClient()
SEEN = set()

@pytest.mark.parametrize("turn", range(2))
def test_it(usps, usps_broker, turn):
    SEEN.add(TOKENS.bearer().value)
    assert len(SEEN) == turn + 1

def test_without_a_broker():
    assert "USPS_TOKEN_SOCKET" not in os.environ
    with pytest.raises(BrokerError):
        TOKENS.bearer()
    """)
    done.assert_outcomes(passed=3)


def test_two_at_once_do_not_meet(run):
    """Under pytest-xdist each process has its own."""
    done = run(
        """
from usps_token_client import TokenClient

@pytest.mark.parametrize("turn", range(2))
def test_it(usps, usps_broker, turn):
    usps.revoke("all")
    assert TokenClient().bearer()
    assert usps.count("token") == 1
    """,
        "-n",
        "2",
    )
    done.assert_outcomes(passed=2)


def test_what_usps_cannot_be_told_is_explained(run):
    """Settings, faults, endpoints, revocations and times that there are not."""
    done = run("""
def test_it(usps):
    for wrong, said in (
        (lambda: usps.inject("no_such_fault"), "no_such_fault"),
        (lambda: usps.revoke("everything"), "bearer"),
        (lambda: usps.configure(life=3), "life_seconds"),
        (lambda: usps.advance(-1), "forwards"),
        (lambda: usps.count("label"), "labels"),
    ):
        with pytest.raises(ValueError, match=said):
            wrong()
    """)
    done.assert_outcomes(passed=1)


def test_a_mark_that_cannot_be_meant_is_explained(run):
    """In the error of that test's setup."""
    done = run("""
@pytest.mark.usps(8)
def test_nameless(usps): pass

@pytest.mark.usps(life=8)
def test_unknown(usps): pass

@pytest.mark.usps(faults="no_such_fault")
def test_fault(usps): pass
    """)
    done.assert_outcomes(errors=3)
    text = done.stdout.str()
    assert "mark.usps: 8 has no name" in text
    assert "there is no setting 'life'" in text
    assert "no_such_fault" in text


def test_the_brokers_log_is_beside_a_failure(run):
    """What a shop's developer needs first."""
    done = run("""
def test_it(usps, usps_broker):
    assert False
    """)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*Captured stderr setup*", "*default/bearer: fetched*"])


def test_nothing_is_left_behind(run, monkeypatch, tmp_path):
    """No process and no folder, whether the test passes, fails or breaks its broker."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = run("""
from pathlib import Path

def test_that_passes(usps, usps_broker): pass
def test_that_fails(usps, usps_broker): assert False
def test_that_kills(usps, usps_broker): usps_broker.kill()

def test_the_rest():
    mine = f"PPid:\\t{os.getpid()}\\n"
    assert not [p for p in Path("/proc").glob("[0-9]*/status") if mine in p.read_text()]
    """)
    done.assert_outcomes(passed=3, failed=1)
    assert not list(Path(tmp_path).glob("utb-*"))


def test_a_pytest_that_dies_takes_its_processes_along(run):
    """As pytest-timeout ends one, and as the out-of-memory killer does."""
    done = run("""
from pathlib import Path

def test_it(usps, usps_broker):
    mine = f"PPid:\\t{os.getpid()}\\n"
    pids = [p.parent.name for p in Path("/proc").glob("[0-9]*/status") if mine in p.read_text()]
    Path("pids").write_text(" ".join(pids))
    os._exit(3)
    """)
    assert done.ret == 3
    pids = Path("pids").read_text(encoding="utf-8").split()
    assert len(pids) == 2
    until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids), pids)


def test_the_environment_is_as_before(run, monkeypatch):
    """Also what the shop itself had set; the broker is not told of it either."""
    monkeypatch.setenv("USPS_TOKEN_STATIC", "a-token-of-the-shop")
    monkeypatch.setenv("USPS_CLIENT_ID", "the-shop's")
    done = run("""
def test_with(usps, usps_broker):
    assert "USPS_TOKEN_STATIC" not in os.environ
    assert os.environ["USPS_TOKEN_SOCKET"] == str(usps_broker.socket)

def test_without():
    assert os.environ["USPS_TOKEN_STATIC"] == "a-token-of-the-shop"
    """)
    done.assert_outcomes(passed=2)
