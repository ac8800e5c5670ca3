"""`http.listen` under the shipped unit: the port that it opens, and what is said of another."""

import json

import pytest
from installed import CONFIG, SERVICE
from processes import until


def listen(installed, address):
    """Have the configuration say so."""
    path = installed.machine.path(CONFIG)
    installed.machine.write(CONFIG, f'[http]\nlisten = "{address}"\n\n{path.read_text()}')


def ask(installed, url):
    """What a monitor on that machine is answered; empty without an answer."""
    return installed.machine.run("curl", "-sg", "--max-time", "10", url, check=False).stdout


@pytest.mark.parametrize("address", ["127.0.0.1:9842", "0.0.0.0:9842"])
def test_the_sandbox_has_room_for_the_port_of_the_reference(installed, address):
    """Nothing but the configuration is to be changed; tokens are served beside it."""
    listen(installed, address)
    installed.start()
    installed.tokens()
    assert json.loads(ask(installed, "http://127.0.0.1:9842/readyz"))["ready"]
    assert "usps_token_broker_slot_ready" in ask(installed, "http://127.0.0.1:9842/metrics")


def test_a_port_that_is_taken_is_told_in_the_status(installed):
    """As the last word of a service that has failed."""
    holder = ("systemd-run", "--unit=holder", "python3", "-m", "http.server", "9842")
    installed.machine.run(*holder, "--bind", "127.0.0.1")
    try:
        until(lambda: ask(installed, "http://127.0.0.1:9842/"))
        listen(installed, "127.0.0.1:9842")
        installed.machine.run("systemctl", "start", SERVICE, check=False)
        said = "http.listen: cannot listen on 127.0.0.1:9842: Address already in use"
        until(lambda: said in installed.journal(), installed.journal)
        assert "Main process exited, code=exited, status=73" in installed.journal()
    finally:
        installed.systemctl("stop", "holder.service", check=False)
    # It is tried again every 5 s, so it comes by itself once the port is free.
    until(lambda: "ready" in ask(installed, "http://127.0.0.1:9842/readyz"), installed.journal)


def test_what_systemd_forbids_is_said_with_the_drop_in_that_allows_it(installed):
    """Where the kernel can hold a service to ports; where it cannot, the broker listens."""
    listen(installed, "127.0.0.1:9843")
    installed.machine.run("systemctl", "start", SERVICE, check=False)

    def is_known():
        return "SocketBindAllow=tcp:9843" in installed.journal() or ask(
            installed, "http://127.0.0.1:9843/healthz"
        )

    until(is_known, installed.journal)
    if "SocketBindAllow=tcp:9843" in installed.journal():
        installed.drop_in("[Service]\nSocketBindAllow=tcp:9843\n", name="port")
    until(lambda: "alive" in ask(installed, "http://127.0.0.1:9843/healthz"), installed.journal)
