"""Two brokers started at once: one serves, the other says who it is and ends with 73."""

import contextlib

import pytest
from processes import Home, Process, Usps, until

EX_CANTCREAT = 73


@pytest.fixture
def usps():
    """A USPS that takes as many calls as it is given."""
    with Usps("--quota", "token=none", "--quota", "payment-authorization=none") as process:
        yield process


@pytest.fixture
def home(usps):
    """A folder with two configurations: the second has the same socket and another state."""
    home = Home(usps.base_url)
    text = home.config.read_text()
    state = f'state_dir = "{home.folder}/state"'
    assert state in text
    other = home.folder / "other.toml"
    other.write_text(text.replace(state, f'state_dir = "{home.folder}/other"'))
    yield home
    home.remove()


def one_serves(home, started):
    """The one of these that goes on, once the others have ended."""
    until(
        lambda: sum(one.process.poll() is None for one in started) <= 1,
        lambda: [one.errors() for one in started],
    )
    [serving] = [one for one in started if one.process.poll() is None]
    home.wait_for_socket(serving)
    return serving


@pytest.mark.parametrize("shared", ["state and socket", "socket"])
def test_of_two_that_start_at_once_one_serves_and_the_other_names_it(
    usps, home, shared, dice, rounds, tried
):
    """Also where a killed one has left its socket and its pid; the loser spoils nothing."""
    configs = [home.config, home.config if "state" in shared else home.folder / "other.toml"]
    for _ in range(rounds(1, 20)):
        dice.shuffle(configs)
        with contextlib.ExitStack() as stack:
            started = [
                stack.enter_context(Process("usps_token_broker", "run", "--config", str(config)))
                for config in configs
            ]
            serving = one_serves(home, started)
            [loser] = [one for one in started if one is not serving]
            assert loser.process.poll() == EX_CANTCREAT, loser.errors()
            assert f"(pid {serving.process.pid})" in loser.errors()
            assert "Traceback" not in loser.errors() + serving.errors()
            assert home.token()["slot"] == "bearer"
            assert f"~{home.socket.name}" not in {path.name for path in home.folder.iterdir()}
            tried("two brokers started at once", 1, 5)
    assert usps.calls("token") <= len(set(configs)), "each state has its token from the first time"
