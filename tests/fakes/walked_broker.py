"""A broker with a debugger in it: `python -m walked_broker run …`; SIGUSR1 has it look around.

It shows every object of the package that lives, in each of the ways of a debugger, a crash reporter
or a careless log line, and prints one line of JSON: how many there were, the names of their types,
and which of them show a marked word in which way. WALKED_BROKER_MARKS holds the marks, each spelled
backwards, or it would itself be found.
"""

import contextlib
import dataclasses
import gc
import json
import os
import pickle
import pprint
import signal
import sys
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

import msgspec
from rich.pretty import pretty_repr

from usps_token_broker.cli import main

PACKAGE = "usps_token_broker"
PLAIN = (dict, list, tuple, set, frozenset)
NO_VALUES = (type, ModuleType, FunctionType, MethodType)

WAYS: dict[str, Callable[[Any], str | bytes]] = {
    "repr": repr,
    "str": str,
    "format": lambda thing: f"{thing}",
    "percent": lambda thing: "%s %r" % (thing, thing),  # noqa: UP031 - it is what is tried
    "in a list": lambda thing: repr([thing]),
    "pprint": pprint.pformat,
    "rich": lambda thing: pretty_repr({"a": thing}, expand_all=True),
    "vars": lambda thing: repr(vars(thing)),
    "asdict": lambda thing: repr(dataclasses.asdict(thing)),
    "astuple": lambda thing: repr(dataclasses.astuple(thing)),
    "msgspec": lambda thing: repr(msgspec.to_builtins(thing)),
    "json of msgspec": msgspec.json.encode,
    "pickle": pickle.dumps,
}


def is_ours(thing: object) -> bool:
    """Whether its type is of the package."""
    return str(getattr(type(thing), "__module__", "")).startswith(PACKAGE)


def living() -> Iterator[Any]:
    """Every object of the package, and what plain containers of such objects lead to."""
    gc.unfreeze()  # what was there when it settled is not listed else
    todo = [thing for thing in gc.get_objects() if is_ours(thing)]
    seen = set(map(id, todo))
    while todo:
        thing = todo.pop()
        ours = is_ours(thing)
        if ours:
            yield thing
        if ours or type(thing) in PLAIN:
            new = [one for one in gc.get_referents(thing) if id(one) not in seen]
            seen.update(map(id, new))
            todo += [one for one in new if not isinstance(one, NO_VALUES)]


def look_around(*_: object) -> None:
    """Print what is to be seen."""
    marks = [mark[::-1].encode() for mark in os.environ["WALKED_BROKER_MARKS"].split()]
    kinds, leaks, count = set(), set(), 0
    for thing in list(living()):
        count += 1
        name = type(thing).__qualname__
        kinds.add(name)
        for way, show in WAYS.items():
            with contextlib.suppress(Exception):  # what refuses to be shown shows nothing
                shown = show(thing)
                text = shown if isinstance(shown, bytes) else shown.encode("utf-8", "replace")
                if any(mark in text for mark in marks):
                    leaks.add(f"{name}: {way}")
    seen = {"count": count, "kinds": sorted(kinds), "leaks": sorted(leaks)}
    print(json.dumps(seen), flush=True)  # noqa: T201 - it is a program


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, look_around)
    sys.exit(main())
