"""clients/shell/RECIPES.md: each recipe is run as it stands there, with a real broker and USPS."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from free_port import free_port
from processes import DEADLINE_SECONDS, Home, Usps
from token_programs import SHELL_CLIENT, SHELLS, missing

TEXT = (Path(__file__).parents[2] / "clients" / "shell" / "RECIPES.md").read_text("utf-8")
SETTINGS, *RECIPES = re.findall(r"(?ms)^```sh\n(.*?)^```$", TEXT)
[ADDRESS] = re.findall("(?m)^export ADDRESS='(.*)'$", SETTINGS)
NEEDS = ("curl", "nc", "busybox")
TOOLS = ("curl", "nc", "sed", "awk", "cat", "head", "tr", "sh", "busybox")
WATCHING_TOOL = """\
#!{sh}
{cat} /proc/[0-9]*/cmdline >>{log}.$$ 2>/dev/null
echo ran {name} >>{log}.$$
exec {real} "$@"
"""
LABEL = {
    "toAddress": {"streetAddress": "475 LENFANT PLZ SW", "city": "WASHINGTON", "state": "DC",
                  "ZIPCode": "20260"},
    "fromAddress": {"streetAddress": "1 MAIN ST", "city": "ATLANTA", "state": "GA",
                    "ZIPCode": "30022"},
    "packageDescription": {"mailClass": "USPS_GROUND_ADVANTAGE", "weight": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def shop():
    """A broker with both tokens, which is asked about itself over TCP too."""
    with Usps() as usps, free_port() as port:
        home = Home(usps.base_url)
        home.port = port
        text = home.config.read_text()
        home.config.write_text(text + f'\n[http]\nlisten = "127.0.0.1:{home.port}"\n')
        with home.broker():
            home.token("payment")
            home.usps = usps
            yield home
        home.remove()


@pytest.fixture(params=SHELLS)
def cook(request, tmp_path, shop):
    """Runs a recipe in a shell, with every tool watched; how it ended, and what was seen."""
    shell = SHELLS[request.param]
    for name in (shell[0], *NEEDS):
        if shutil.which(name) is None:
            pytest.skip(f"there is no {name}")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    log = tmp_path / "log"
    for name in TOOLS:
        tool = bin_ / name
        real, sh, cat = (shutil.which(each) for each in (name, "sh", "cat"))
        tool.write_text(WATCHING_TOOL.format(name=name, real=real, sh=sh, log=log, cat=cat))
        tool.chmod(0o755)
    (bin_ / "usps-token").symlink_to(SHELL_CLIENT)

    def run(recipe):
        recipe = recipe.replace("127.0.0.1:9842", f"127.0.0.1:{shop.port}")
        done = subprocess.run(
            [*shell, "-c", recipe],
            env={
                "PATH": f"{bin_}:{os.environ['PATH']}",
                "USPS": shop.usps.base_url,
                "ADDRESS": ADDRESS,
                "SOCKET": str(shop.socket),
                "USPS_TOKEN_SOCKET": str(shop.socket),
                "XDG_RUNTIME_DIR": str(tmp_path),
                "LABEL": json.dumps(LABEL),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS * 2,
            check=False,
        )
        return done, "".join(
            each.read_text(errors="replace").replace("\0", " ") for each in tmp_path.glob("log.*")
        )

    return run


def first_words(recipe):
    """What a recipe is called in the report of a test."""
    return " ".join(recipe.split())[:40]


@pytest.mark.parametrize("recipe", RECIPES, ids=first_words)
def test_a_recipe_does_what_it_is_for(cook, shop, recipe):
    """It ends with 0 and USPS's answer, or the headers; no token in any process's arguments."""
    calls = shop.usps.calls("addresses") + shop.usps.calls("labels")
    done, seen = cook(recipe)
    assert done.returncode == 0, done.stderr
    tokens = [shop.token(slot)["token"] for slot in ("bearer", "payment")]
    assert seen.count("ran ") >= 1
    for token in tokens:
        assert token not in seen
        assert token not in done.stderr
    if "$USPS/" in recipe:
        assert shop.usps.calls("addresses") + shop.usps.calls("labels") == calls + 1
    elif "readyz" in recipe:
        assert json.loads(done.stdout)["ready"] is True
    else:
        assert done.stdout == f"Authorization: Bearer {tokens[0]}\n"


def test_what_should_never_be_done_is_seen(cook, shop):
    """The watch sees a token in curl's arguments, so it would see one of a recipe."""
    [never] = re.findall(r"(?m)^Never this: `(.*) …`", TEXT)
    _, seen = cook(f'{never} "$USPS/$ADDRESS"')
    assert f"Bearer {shop.token()['token']}" in seen


def test_netcat_tells_a_refusal_and_fails(cook):
    """On stderr, with what to do; nothing on stdout."""
    [get] = [recipe for recipe in RECIPES if "broker_get() {" in recipe]
    done, _ = cook(get.replace("broker_get /v1/headers", "broker_get /v1/tokens/payment-none"))
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads(done.stderr)["code"] == "unknown_slot"
    done, _ = cook(get.replace('"$SOCKET"', '"$SOCKET.none"'))
    assert (done.returncode, done.stdout) == (1, "")


def test_without_a_token_the_careful_ones_call_nobody(cook, shop):
    """`exec` and the one with a look at the broker's answer."""
    calls = shop.usps.calls("addresses")
    careful = [each for each in RECIPES if "exec --" in each or "headers=$(" in each]
    assert len(careful) == 4
    for recipe in careful:
        without = recipe.replace("exec --", "exec --socket /none --").replace("$SOCKET", "/none")
        done, _ = cook(without)
        assert done.returncode != 0
    assert shop.usps.calls("addresses") == calls


def test_the_settings_are_the_real_ones():
    """Where tests put their own."""
    assert SETTINGS.splitlines() == [
        "export USPS=https://apis.usps.com",
        f"export ADDRESS='{ADDRESS}'",
        "SOCKET=/run/usps-token-broker/broker.sock",
    ]


def test_the_nc_of_busybox_knows_no_unix_sockets():
    """When one day it does, the text wants another recipe."""
    if missing("busybox"):
        pytest.skip(f"there is no {missing('busybox')}")
    done = subprocess.run(["busybox", "nc", "-U", "/none"], capture_output=True, check=False)
    assert b"invalid option" in done.stderr or b"unrecognized option" in done.stderr
