"""The README's commands from nothing to a worker with a label token, each of them run."""

import re

import pytest
from machine import Machine
from machine_program import CHECKOUT, PLACE

SIMULATOR = """\
[Service]
ExecStart=/opt/usps-token-broker/bin/usps-token-broker simulate --port 8000 --json
"""
EDITOR = """\
#!/bin/sh
# What a person does in an editor: every line of the example, filled in.
sed -i -e 's/^# //' -e '/^The configuration/,/^The README/d' \
  -e 's|https://apis.usps.com"|http://127.0.0.1:8000"|' \
  -e 's/the Consumer Key/demo-client-id/' \
  -e 's/groups = .*/groups = ["labels"]/' -e '/^The service/d' -e '/^#/d' "$1"
"""


def commands():
    """The block of the README, line by line, without its comments."""
    readme = (CHECKOUT / "README.md").read_text()
    block = readme.split("From nothing to a worker", 1)[1].split("```sh\n", 1)[1].split("```")[0]
    return [re.sub(r"\s+# .*", "", line) for line in block.splitlines()]


def typed(machine, command):
    """One of them, in a root shell; what is pasted is for the one that asks for the secret."""
    path = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    return machine.run("sh", "-c", command, text="demo-client-secret\n", environ=path).stdout


@pytest.fixture
def bare(program):
    """A machine with a worker's user, and a USPS; nothing of ours but what pip has installed."""
    with Machine({PLACE: program}) as machine:
        machine.write("/etc/systemd/system/usps.service", SIMULATOR)
        machine.write("/usr/local/bin/editor", EDITOR, 0o755)
        machine.write("/etc/sysusers.d/shop.conf", 'u shop 2021 "workers"\n')
        machine.run("systemd-sysusers")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "usps.service")
        yield machine


def test_it_takes_six_commands_at_the_most():
    """Somebody types them."""
    assert len(commands()) <= 6


def test_the_commands_take_an_administrator_from_nothing_to_a_label_token(bare):
    """All but the first, which the machine comes with: there is no registry in it."""
    first, *others = commands()
    assert first.endswith("pip install . ./clients/python")
    *_, said = [typed(bare, command) for command in others]
    assert re.fullmatch(r"[\w.-]+", said.splitlines()[-1])
    assert bare.run("systemctl", "is-enabled", "usps-token-broker.service").stdout == "enabled\n"
    mode = bare.run("stat", "-c", "%a %U", "/etc/usps-token-broker/client-secret").stdout
    assert mode == "600 root\n"


def test_another_user_gets_none_of_it(bare):
    """And is told which line is missing."""
    for command in commands()[1:]:
        typed(bare, command)
    bare.write("/etc/sysusers.d/eve.conf", 'u eve 2022 "nobody"\n')
    bare.run("systemd-sysusers")
    done = bare.run(f"{PLACE}/bin/usps-token", "payment", user="eve", check=False)
    assert done.returncode == 77
    assert 'add users = ["eve"]' in done.stderr
