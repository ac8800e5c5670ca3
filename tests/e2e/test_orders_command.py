"""`renew` and `forget` against a running broker."""

import json
import os
import stat

import pytest
from ordinary_user import as_ordinary_user
from processes import Home, Usps

from usps_token_broker.cli import main
from usps_token_broker.drivers import asking


@pytest.fixture(scope="module")
def usps():
    with Usps() as running:
        yield running


@pytest.fixture
def shop(usps):
    """A broker with both tokens."""
    home = Home(usps.base_url)
    with home.broker():
        home.token("payment")
        yield home
    home.remove()


def test_renew_brings_another_token(shop, usps):
    """One call; the one before was served until then."""
    before, calls = shop.token(), usps.calls("token")
    done = shop.command("renew")
    assert (done.returncode, done.stdout) == (0, "default/bearer renewed; good for 8 h\n")
    assert shop.token()["serial"] > before["serial"]
    assert usps.calls("token") == calls + 1


def test_renew_takes_the_name_of_a_token(shop):
    """The bearer is left alone."""
    before = shop.token()["serial"], shop.token("payment")["serial"]
    done = shop.command("renew", "payment", "--app", "default", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["serial"] == shop.token("payment")["serial"] > before[1]
    assert shop.token()["serial"] == before[0]


def test_renew_in_a_loop_is_stopped_by_the_budget(shop):
    """75, and when it may be tried again."""
    codes = [shop.command("renew").returncode for _ in range(3)]
    done = shop.command("renew")
    assert codes[0] == 0
    assert done.returncode == 75
    assert "the budget of calls to USPS is used up" in done.stderr


def test_an_unknown_token_or_app_says_what_there_is(shop):
    """And costs nothing."""
    done = shop.command("renew", "payment-eu")
    assert done.returncode == 69
    assert "you may use: bearer, payment" in done.stderr
    assert "no app `two`" in shop.command("renew", "--app", "two").stderr


def test_forget_drops_what_is_named(shop):
    """And the next one is fetched."""
    before = shop.token()["token"], shop.token("payment")["token"]
    done = shop.command("forget", "payment")
    assert (done.returncode, done.stdout) == (0, "default/payment forgotten\n")
    assert shop.token("payment")["token"] != before[1]
    assert shop.token()["token"] == before[0]


def test_a_forgotten_token_is_on_no_disk(shop):
    """The state is written anew before anything else happens."""
    token = shop.token()["token"]
    shop.command("forget", "--all")
    shop.token("payment")
    files = [path for path in (shop.folder / "state").iterdir() if path.is_file()]
    assert files
    assert not any(token.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("options", [(), ("bearer", "--all")])
def test_forget_wants_to_be_told_what(shop, options):
    """Everything is never the default."""
    done = shop.command("forget", *options)
    assert done.returncode == 64
    assert "--all" in done.stderr


def test_the_admin_socket_is_for_its_owner_alone(shop):
    """Mode 0600 in a directory of mode 0700."""
    path = shop.folder / "state" / "admin.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
def test_others_are_told_whom_it_is_for(shop):
    """77."""

    def renew():
        with pytest.raises(asking.AskError) as refused:
            asking.post([shop.folder / "state" / "admin.sock"], "/v1/tokens/bearer/renewals")
        return f"{refused.value.exit_code} {refused.value}"

    told = as_ordinary_user(renew)
    assert told.startswith("77 ")
    assert "sudo" in told


def test_the_socket_is_gone_when_the_broker_ends(usps):
    """So a later command says that there is no broker, not that it refuses."""
    home = Home(usps.base_url)
    with home.broker() as broker:
        home.token()
        broker.kill(15)
    assert not (home.folder / "state" / "admin.sock").exists()
    assert home.command("renew").returncode == 69
    home.remove()


def test_a_socket_that_a_killed_broker_left_is_taken_over(usps):
    """As that for workers is."""
    home = Home(usps.base_url)
    with home.broker() as broker:
        home.token()
        broker.kill(9)
    with home.broker():
        home.token()
        assert home.command("reload").returncode == 0
    home.remove()


def test_no_broker_by_another_configuration(shop):
    """The state directory that a configuration names is looked at first."""
    done = shop.command("renew", "--admin-socket", "/nonexistent/admin.sock")
    assert done.returncode == 69
    assert "/nonexistent/admin.sock" in done.stderr
    assert "--admin-socket PATH" in done.stderr
    assert "--socket" not in done.stderr


@pytest.mark.parametrize("command", ["renew", "reload"])
@pytest.mark.parametrize("wait", ["inf", "nan", "1e400", "-1", "60.1", "soon", ""])
def test_a_wait_that_makes_no_sense_is_wrong_usage(capsys, command, wait):
    """64 before anybody is asked, with what would do."""
    with pytest.raises(SystemExit) as ended:
        main([command, f"--wait={wait}"])
    assert ended.value.code == 64
    assert "is not a number of seconds from 0 to 60" in capsys.readouterr().err
