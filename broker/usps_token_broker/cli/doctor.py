"""`usps-token-broker doctor`: what is wrong on this host, looked at from the outside in."""

import argparse
import io
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from usps_token_broker.cli import paths, screen
from usps_token_broker.cli.progress import Progress
from usps_token_broker.config.problems import printable
from usps_token_broker.doctor import Finding, Scene, Verdict, bundle, exit_code, walk
from usps_token_broker.drivers import probing

EX_CANTCREAT: Final = 73

DESCRIPTION = """\
Look at everything between a worker and USPS: configuration, secret, directories, socket, unit, who
may, DNS, TLS, clock, tokens, scopes, payment roles, budget and quota; say of each what was seen,
whether it is well, and what to do. It works on a broken host, and as any user: as root it sees all.
No call to USPS is made but with --online. No check is waited for longer than 15 s (--online: 60 s).
Exit code 0: nothing fails; 75: what fails passes by itself; 78: a person must act; 73: the bundle
cannot be written, or the file is there already."""
EPILOG = """\
examples:
  sudo usps-token-broker doctor
  sudo usps-token-broker doctor --as www-data
  sudo usps-token-broker doctor --online
  sudo usps-token-broker doctor --bundle help.json
--online makes two calls: a renewal of the bearer, within the broker's budget, then one look-up of
an address with the bearer before it (one of 60 an hour), and keeps what that shows.
next: what is said after `do:`, then usps-token-broker doctor again"""

_WIDTH: Final = 79
_MARKS: Final = {
    Verdict.PASS: "pass",
    Verdict.WARN: "WARN",
    Verdict.FAIL: "FAIL",
    Verdict.UNSEEN: "-",
}
_STYLES: Final = {
    Verdict.PASS: "green",
    Verdict.WARN: "yellow",
    Verdict.FAIL: "bold red",
    Verdict.UNSEEN: "dim",
}
_INDENT: Final = " " * 18


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `doctor`."""
    paths.add_config(parser)
    paths.add_socket(parser)
    paths.add_admin_socket(parser)
    parser.add_argument("--as", metavar="USER", dest="user", help="say what USER would get")
    parser.add_argument(
        "--online",
        action="store_true",
        help="make two calls: renew the bearer, and look whether that killed the one before",
    )
    parser.add_argument("--app", metavar="NAME", help="which app --online is about")
    parser.add_argument(
        "--bundle",
        metavar="FILE",
        type=Path,
        help="write all that was seen, without secrets and ids, into a new file of mode 0600",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def act(options: argparse.Namespace) -> int:
    """Walk, and print each finding as it is found."""
    if options.bundle is not None and os.path.lexists(options.bundle):
        return _complain(f"{options.bundle} is there already; name another file")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # in a terminal of any encoding
            stream.reconfigure(errors="backslashreplace")
    scene = _scene(options)
    progress = Progress(sys.stderr)
    try:
        return _act(options, scene, progress)
    finally:  # Ctrl-C too
        progress.end()


def _act(options: argparse.Namespace, scene: Scene, progress: Progress) -> int:
    say = _silent if options.json else _sayer()
    findings = []
    for finding in walk(scene, online=options.online, begin=lambda n: progress.begin(waiting(n))):
        progress.end()
        say(finding)
        findings.append(finding)
    progress.end()
    code = exit_code(findings)
    if options.json:
        told = {"exit_code": code, "findings": findings}
        print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())  # noqa: T201
    else:
        print(summary(findings))  # noqa: T201
    if options.bundle is not None:
        progress.begin(waiting("bundle"))
        if not _write(options.bundle, scene, findings, progress):
            return EX_CANTCREAT
    return code


def _scene(options: argparse.Namespace) -> Scene:
    return Scene(
        config=options.config,
        sockets=tuple(paths.candidates(options.socket)),
        socket_is_named=options.socket is not None,
        admin_sockets=() if options.admin_socket is None else (options.admin_socket,),
        as_user=options.user,
        app=options.app,
    )


def _silent(_: Finding) -> None:
    pass


def _sayer() -> Callable[[Finding], None]:
    if not sys.stdout.isatty():
        return lambda finding: print("\n".join(lines(finding)), flush=True)  # noqa: T201
    from rich.text import Text  # noqa: PLC0415 - only where a person looks

    terminal = screen.console()
    return lambda finding: terminal.print(
        Text("\n".join(lines(finding)), style=_STYLES[finding.verdict]), soft_wrap=True
    )


def lines(finding: Finding) -> Iterator[str]:
    """A finding for people, 79 columns wide."""
    lead = f"{_MARKS[finding.verdict]:<5}{finding.check:<12} "
    why = f" [{finding.code}]" if finding.code else ""
    looked = "not looked at: " if finding.verdict is Verdict.UNSEEN else ""
    yield from _wrapped(lead, f"{looked}{finding.saw}{why}")
    if finding.fix:
        first, *others = finding.fix.split("\n")
        yield from _wrapped(f"{_INDENT}do: ", first)
        # What follows is to be copied, so it is not broken.
        yield from (f"{_INDENT}    {printable(line)}" for line in others)


def _wrapped(lead: str, text: str) -> Sequence[str]:
    return textwrap.wrap(
        printable(" ".join(text.split("\n"))),
        _WIDTH,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_on_hyphens=False,
        break_long_words=True,
    ) or [lead.rstrip()]


def summary(findings: Iterable[Finding]) -> str:
    """How many of each verdict."""
    verdicts = [finding.verdict for finding in findings]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict)


def waiting(check: str) -> str:
    """What a terminal shows while one takes long."""
    return f"...  {check:<12} still looking"


def _write(path: Path, scene: Scene, findings: Sequence[Finding], progress: Progress) -> bool:
    try:
        made = bundle.make(scene, findings)
        progress.end()
        probing.write_new(path, made)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        _complain(f"cannot write {path}: {why}; name another file")
        return False
    print(  # noqa: T201
        f"{path} has all of it without secrets and ids; read it before you send it",
        file=sys.stderr,
    )
    return True


def _complain(text: str) -> int:
    print(printable(text), file=sys.stderr)  # noqa: T201
    return EX_CANTCREAT
