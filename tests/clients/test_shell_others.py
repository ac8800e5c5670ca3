"""Shells that hosts have as `sh` and that read POSIX in ways of their own: ksh93, and zsh as sh."""

from __future__ import annotations

import shutil

import pytest
from token_programs import SHELLS, run

OTHERS = {"ksh": ["ksh"], "zsh": ["zsh", "--emulate", "sh"]}
SHOW = ["--", "sh", "-c", 'cat "$USPS_TOKEN_HEADERS"']
BOTH = "Authorization: Bearer bearer-1\nX-Payment-Authorization-Token: payment-1\n"


@pytest.fixture(params=OTHERS)
def shell(request, monkeypatch):
    """One that this machine has."""
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param}")
    monkeypatch.setitem(SHELLS, request.param, OTHERS[request.param])
    return request.param


@pytest.mark.parametrize(
    ("argv", "out"),
    [
        (["bearer"], "bearer-1\n"),
        (["headers", "--payment"], BOTH),
        (["exec", "--fd", "--payment", *SHOW], BOTH),
        (["exec", "--file", "--payment", *SHOW], BOTH),
    ],
)
def test_tokens_are_handed_over_in_other_shells(shell, broker, tmp_path, argv, out):
    """ksh93 closes what a script has opened before it runs a command."""
    environment = {"USPS_TOKEN_SOCKET": broker.path, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = run(shell, argv, environment)
    assert (done.status, done.out) == (0, out)
