"""What `install-units` and `uninstall-units` share: options, and how to tell what is done."""

import argparse
import difflib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from usps_token_broker.config.problems import printable
from usps_token_broker.drivers.units import Plan, Step, UnitsError, carry_out

EX_CONFIG: Final = 78


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of both."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--user", action="store_true", help="your own service manager: ~/.config/systemd/user"
    )
    where.add_argument(
        "--root",
        metavar="DIR",
        type=_directory,
        help="the root directory of an image; systemd is not called then",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be done and the differences"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="move aside what somebody else wrote or changed, as NAME.saved-1",
    )
    parser.add_argument("--json", action="store_true", help="one object for a program")


def _directory(text: str) -> Path:
    """An empty one is a variable that was not set, and would be the current directory."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path")
    return Path(text).absolute()


class Report:
    """Tells what is done while it is done, or keeps it for one object at the end."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._done: list[str] = []
        self._unheard: OSError | None = None

    def done(self, line: str) -> None:
        """One thing that has happened. The next one happens even if nobody reads of this one."""
        self._done.append(line)
        try:
            self.say(line)
        except OSError as error:
            self._unheard = error

    def say(self, line: str) -> None:
        """A word to a person."""
        if not self._options.json:
            print(_shown(line), flush=True)  # noqa: T201

    def complain(self, line: str) -> None:
        """A word to a person about what is not well."""
        if not self._options.json:
            print(_shown(line), file=sys.stderr, flush=True)  # noqa: T201

    def end(self, plan: Plan | None, code: int, error: str | None = None) -> int:
        """The object for a program, or what went wrong. Raises OSError if nobody reads."""
        if error is not None:
            self.complain(error)
            if self._done:
                self.complain("what is told above is done, the rest is not")
        if self._unheard is not None:
            raise self._unheard
        if self._options.json:
            answer = {
                "exit_code": code,
                "error": error,
                "dry_run": self._options.dry_run,
                "done": self._done,
                **(_as_object(plan) if plan else {}),
            }
            # ASCII alone: a path may be of bytes that are no text.
            print(json.dumps(answer, indent=2))  # noqa: T201
        return code


def _shown(text: str) -> str:
    """Without what would steer a terminal: a file that somebody changed may hold anything."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def _as_object(plan: Plan) -> dict[str, Any]:
    return {
        "files": [
            {
                "path": str(s.path),
                "deed": s.deed.value,
                "saves": s.saves,
                "why": s.why,
                "fix": s.fix,
                "diff": "\n".join(_difference(s)),
            }
            for s in plan.steps
        ],
        "commands": [list(order.words) for order in (*plan.first, *plan.last)],
        "warnings": list(plan.warnings),
        "notes": list(plan.notes),
    }


def act(options: argparse.Namespace, survey: Callable[[], Plan], *, whole: bool) -> int:
    """Survey, and show or do it. `whole` is to do nothing at all when anything is refused."""
    report = Report(options)
    plan = None
    try:
        plan = survey()
        code = _do(options, plan, report, whole=whole)
    except UnitsError as error:
        return report.end(plan, error.exit_code, str(error))
    return report.end(plan, code)


def _do(options: argparse.Namespace, plan: Plan, report: Report, *, whole: bool) -> int:
    for warning in plan.warnings:
        report.complain(f"warning: {warning}")
    for step in plan.refused:
        report.complain(f"not touched: {step.path} {step.why}; {step.fix}")
    if options.dry_run:
        for line in _preview(plan):
            report.say(line)
        report.say("nothing was changed" if plan.changes or plan.refused else "nothing to do")
    elif plan.refused and whole:
        report.complain("nothing was changed")
    elif not plan.changes:
        report.say("nothing to do")
    else:
        carry_out(plan, report.done)
        for note in plan.notes:
            report.say(note)
    return EX_CONFIG if plan.refused else 0


def _preview(plan: Plan) -> Iterator[str]:
    for order in plan.first:
        yield f"would run: {order}"
    for step in plan.steps:
        if step.changes:
            aside = ", what is there moved aside" if step.saves else ""
            yield f"would {step.deed} {step.path}{aside}"
        yield from _difference(step)
    for order in plan.last:
        yield f"would run: {order}"


def _difference(step: Step) -> Iterable[str]:
    """As diff -u; what is no text is shown as far as it is."""
    before, after = (
        text.decode(errors="replace").splitlines() for text in (step.before, step.after)
    )
    old, new = (str(step.path) if text else os.devnull for text in (step.before, step.after))
    return difflib.unified_diff(before, after, old, new, lineterm="")
