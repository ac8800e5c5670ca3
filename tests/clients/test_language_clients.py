"""What a worker in another language can count on, against a real broker and a simulated USPS.

Each test is named LANGUAGE-FACT: what the README's table of clients is made of.
"""

import json
import os

import pytest
from language_clients import LANGUAGES, BrokerSaid, LanguageClient
from processes import Home, Usps, until

from usps_token_broker.simulator import EXAMPLE_LABEL

ADDRESS = "/addresses/v3/address?streetAddress=475+LENFANT+PLZ+SW&city=WASHINGTON&state=DC"
CHECK_AFTER_SECONDS = 60
PATIENCE_SECONDS = 50


@pytest.fixture
def usps():
    with Usps() as process:
        yield process


@pytest.fixture
def home(usps):
    home = Home(usps.base_url)
    home.usps = usps
    yield home
    home.remove()


def worker_of(language, home):
    """A driver with a client of this broker."""
    worker = LanguageClient(language)
    worker.ask("new", socket=str(home.socket), timeout=PATIENCE_SECONDS)
    return worker


def look_up(worker, home):
    """A call that wants the bearer."""
    return worker.ask("fetch", url=home.usps.base_url + ADDRESS)


def make_label(worker, home, **more):
    """A call that wants both tokens."""
    return worker.ask(
        "fetch",
        url=f"{home.usps.base_url}/labels/v3/label",
        method="POST",
        headers={"Content-Type": "application/json"},
        body=json.dumps(dict(EXAMPLE_LABEL)),
        **more,
    )


def refused(home, endpoint):
    """How many calls USPS answered with 401."""
    seen = home.usps.ask("GET", "/sim/calls")["by_endpoint"][endpoint]["by_status"]
    return seen.get("401", 0)


def gets_both_headers(language, home):
    """The headers are those of the broker, and USPS takes a call and a label with them."""
    with home.broker(), worker_of(language, home) as worker:
        values = worker.ask("headers", payment="default")["values"]
        assert values == {
            "Authorization": f"Bearer {home.token()['token']}",
            "X-Payment-Authorization-Token": home.token("payment")["token"],
        }
        assert worker.ask("payment")["value"] == home.token("payment")["token"]
        assert look_up(worker, home)["status"] == 200
        assert make_label(worker, home)["status"] == 200
        assert (refused(home, "addresses"), refused(home, "labels")) == (0, 0)


def survives_a_rotation(language, home):
    """After `check_after` it has the new token, and no call failed before or after."""
    with home.broker(), worker_of(language, home) as worker:
        old = worker.ask("bearer")
        assert look_up(worker, home)["status"] == 200
        assert home.renew("bearer", wait=10)[0] == 200
        assert worker.ask("bearer") == old
        assert look_up(worker, home)["status"] == 200
        worker.ask("advance", seconds=CHECK_AFTER_SECONDS)
        new = worker.ask("bearer")
        assert new["serial"] != old["serial"]
        assert new["value"] == home.token()["token"]
        assert look_up(worker, home)["status"] == 200
        assert refused(home, "addresses") == 0


def survives_a_revocation(language, home):
    """The first call after it is refused once and sent again; no caller sees a failure.

    A second worker of the host, which still holds the dead token, costs no call for another one.
    """
    with (
        home.broker(),
        worker_of(language, home) as worker,
        worker_of(language, home) as other,
    ):
        for one in (worker, other):
            assert make_label(one, home)["status"] == 200
        home.usps.ask("POST", "/sim/revocations", {"what": "bearer"})
        said = make_label(worker, home)
        assert (said["status"], said["verdict"]["outcome"]) == (200, "renewed")
        assert [look_up(worker, home)["status"] for _ in range(3)] == [200] * 3
        assert (refused(home, "labels"), refused(home, "addresses")) == (1, 0)
        said = make_label(other, home)
        assert (said["status"], said["verdict"]["outcome"]) == (200, "superseded")
        assert home.usps.calls("token") == 2


def survives_a_restart_of_the_broker(language, home):
    """It works while there is no broker, and asks the next one, which has the same token."""
    with worker_of(language, home) as worker, worker_of(language, home) as other:
        with home.broker() as broker:
            before = worker.ask("bearer")
            assert look_up(worker, home)["status"] == 200
            broker.kill()
        worker.ask("advance", seconds=CHECK_AFTER_SECONDS)
        assert worker.ask("bearer") == before
        assert look_up(worker, home)["status"] == 200
        # Nobody listens yet: this one waits for the broker that is being started.
        other.send("bearer")
        with home.broker():
            assert other.heard()["value"] == before["value"]
            worker.ask("advance", seconds=CHECK_AFTER_SECONDS)
            assert worker.ask("bearer")["value"] == before["value"]
        assert home.usps.calls("token") == 1


def names_a_refusal(language, home):
    """A wrong secret is told at once, with what a person must do, and waiting ends with it too."""
    home.write_secret("wrong")
    with home.broker(), worker_of(language, home) as worker:
        until(lambda: home.slot()["phase"] == "halted")
        for question in ("bearer", "headers", "wait_ready"):
            with pytest.raises(BrokerSaid) as caught:
                worker.ask(question)
            assert caught.value.code == "credentials_refused"
            assert caught.value.error["permanent"] is True
            assert "Consumer Secret" in caught.value.error["fix"]


def works_after_a_fork(language, home):
    """A child asks for itself, and its parent goes on."""
    with home.broker(), worker_of(language, home) as worker:
        mine = worker.ask("bearer")
        said = worker.ask("fork", socket=str(home.socket))
        assert said["value"] == mine["value"]
        assert said["pid"] not in {worker.process.pid, os.getpid()}
        assert worker.ask("bearer") == mine
        assert worker.ask("headers")["values"]["Authorization"] == f"Bearer {mine['value']}"


FACTS = {
    "headers": gets_both_headers,
    "rotation": survives_a_rotation,
    "revocation": survives_a_revocation,
    "restart": survives_a_restart_of_the_broker,
    "refusal": names_a_refusal,
    "fork": works_after_a_fork,
}


@pytest.mark.parametrize(
    ("language", "fact"),
    [pytest.param(name, fact, id=f"{name}-{fact}") for name in LANGUAGES for fact in FACTS],
)
def test_a_worker_of_another_language(language, fact, home):
    """What the function of this fact says."""
    FACTS[fact](language, home)
