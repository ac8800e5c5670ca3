"""The broker's commands as another user: `python -m own_user_broker UID run …`, started by root.

Everything is imported before: that user may not be able to read where Python lies.
"""

import codecs
import ctypes
import importlib
import os
import pkgutil
import sys

import anyio._backends._asyncio  # noqa: F401 - anyio imports its backend when it runs

import usps_token_broker
from usps_token_broker.cli import main
from usps_token_broker.drivers import upstream

PR_SET_DUMPABLE = 4  # linux/prctl.h


def become(uid: int) -> None:
    """This user, in no group but its own; open to others of it, as after an ordinary exec."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    assert ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0


if __name__ == "__main__":
    usps_token_broker.version()
    for module in pkgutil.walk_packages(usps_token_broker.__path__, "usps_token_broker."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    upstream.load()
    for name in ("ascii", "idna", "latin-1", "utf-8-sig", "utf-16-be"):
        codecs.lookup(name)
    become(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
