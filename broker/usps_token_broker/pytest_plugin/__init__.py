"""pytest fixtures for whoever writes a worker: a USPS to break, and a real broker that serves it.

    def test_a_revoked_token_costs_no_label(usps, usps_broker):
        usps.revoke("bearer")
        assert shop.buy_label(usps.base_url)  # takes its tokens by TokenClient()
        assert usps.count("token") == 2

pytest loads this module in every run where the broker is installed: it imports nothing but pytest
until a fixture is asked for.
"""

import gc
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from usps_token_broker.pytest_plugin.broker import UspsBroker
    from usps_token_broker.pytest_plugin.usps import Usps

MARKER = (
    "usps(faults=(), **settings): how the `usps` of this test is set up: faults from the first "
    "call on, and what `PUT /sim/settings` takes, such as life_seconds=8 or quotas={'labels': 5}"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, for runs with --strict-markers."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def usps(request: pytest.FixtureRequest) -> Iterator["Usps"]:
    """A simulated USPS of this test's own, with `.base_url`, `.inject("rate_limited=30@labels")`.

    Its tokens live ten minutes, so that none is renewed by itself within a test;
    `@pytest.mark.usps(life_seconds=4)` has them renewed every two seconds.
    """
    from usps_token_broker.pytest_plugin.usps import Usps  # noqa: PLC0415 - see module docstring

    settings: dict[str, object] = {}
    faults: list[str] = []
    # From the farthest (module, class) to the nearest, which has the last word.
    for mark in reversed(list(request.node.iter_markers("usps"))):
        if mark.args:
            pytest.fail(f"mark.usps: {mark.args[0]!r} has no name; write {MARKER}", pytrace=False)
        given = dict(mark.kwargs)
        more = given.pop("faults", ())
        faults += [more] if isinstance(more, str) else more
        settings.update(given)
    with Usps(faults, settings) as simulated:
        yield simulated


@pytest.fixture
def usps_broker(usps: "Usps", monkeypatch: pytest.MonkeyPatch) -> Iterator["UspsBroker"]:
    """A real broker of that USPS, which `TokenClient()` finds in this process and its children.

    Both tokens are there when the test begins, unless a fault is in the way. What the broker logs
    is part of the standard error that pytest shows of a failed test.
    """
    from usps_token_broker.pytest_plugin.broker import UspsBroker  # noqa: PLC0415 - as above

    with UspsBroker(usps) as broker:
        monkeypatch.setenv("USPS_TOKEN_SOCKET", str(broker.socket))
        monkeypatch.delenv("USPS_TOKEN_STATIC", raising=False)
        # A client made when a module was loaded serves many tests, and each has another USPS.
        _forget_tokens()
        yield broker
        _forget_tokens()


def _forget_tokens() -> None:
    """Have every token client of this process ask anew; none is kept alive or loaded for it."""
    client = sys.modules.get("usps_token_client._settings")
    if client is None or not hasattr(client.Settings, "forget"):
        return
    for thing in gc.get_objects():
        # Not isinstance, which asks the thing itself, and a lazy proxy would come to life. One
        # whose arguments were refused has no core.
        if issubclass(type(thing), client.Settings) and hasattr(thing, "_core"):
            thing.forget()
