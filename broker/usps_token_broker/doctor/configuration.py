"""The configuration: is it there, does it parse, and does it say what is meant?"""

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from usps_token_broker.config import (
    AppSettings,
    ConfigError,
    Settings,
    budgets,
    hosts,
    load,
    role_remarks,
)
from usps_token_broker.config.loading import NO_CONFIGURATION
from usps_token_broker.config.problems import Problem
from usps_token_broker.doctor.findings import Finding, Verdict, failed, passed, unseen, warned
from usps_token_broker.doctor.scene import ASK_SECONDS, Scene
from usps_token_broker.drivers import probing
from usps_token_broker.wire.payment_roles import role_faults

CHECK = "config"
_DENIED = "permission denied"


def look(scene: Scene) -> Iterator[Finding]:
    """Read it as the daemon would. Blocks."""
    try:
        scene.settings = _load(scene)
    except ConfigError as error:
        if _is_elsewhere(error, scene.sockets):
            saw = "there is none here, and a broker listens that has one"
            yield unseen(
                CHECK, saw, "give --config FILE, or the variables that it was started with"
            )
            return
        for finding in judge_refusal(error):
            scene.config_refused |= finding.verdict is Verdict.FAIL
            yield finding
    else:
        yield from judge(scene.settings)


def _load(scene: Scene) -> Settings:
    """With the places that the service has: who looks at its file may be another user."""
    own = scene.config is None and os.path.lexists(scene.default_path)
    uid = 0 if own or scene.config == scene.default_path else os.getuid()
    return load(scene.config, scene.environ, uid=uid, default_path=scene.default_path)


def _is_elsewhere(error: ConfigError, sockets: Iterable[Path]) -> bool:
    """Whether nothing is configured here, as where a container or its environment has it all."""
    if [problem.source for problem in error.problems] != [NO_CONFIGURATION]:
        return False
    for path in sockets:
        try:
            probing.listener(path, ASK_SECONDS)
        except (OSError, ValueError):
            continue
        return True
    return False


def judge_refusal(error: ConfigError) -> Iterator[Finding]:
    """Each problem by itself; what this user may not read is not wrong for that."""
    for problem in error.problems:
        if problem.found == _DENIED and os.geteuid() != 0:
            yield unseen(CHECK, f"{problem.source} is not open to uid {os.geteuid()}", "use sudo")
        else:
            yield failed(CHECK, "config_invalid", _saw(problem), problem.fix)


def _saw(problem: Problem) -> str:
    where = f"{problem.source}: {problem.key}" if problem.key else problem.source
    return f"{where}: expected {problem.expected}, found {problem.found}"


def judge(settings: Settings) -> Iterator[Finding]:
    """One that can be used: what is left out, and what is hardly meant."""
    slots = sum(1 + len(app.payments) for app in settings.apps)
    apps = "1 app" if len(settings.apps) == 1 else f"{len(settings.apps)} apps"
    tokens = "1 token" if slots == 1 else f"{slots} tokens"
    yield passed(CHECK, f"{settings.source}: {apps}, {tokens}")
    for slot in settings.broken:
        for problem in slot.problems:
            saw = f"the slot {slot.slot} is not served: {_saw(problem)}"
            yield failed(CHECK, "config_invalid", saw, problem.fix)
    for app in settings.apps:
        yield from _host(app)
    elsewhere = {told for slot in settings.broken for told in slot.told()}
    for app in settings.apps:
        elsewhere |= {*budgets.remarks(app), *role_remarks.remarks(app)}
        elsewhere |= {hosts.remark(app.name, app.host) or ""}
    for warning in settings.warnings:
        if warning not in elsewhere:
            yield warned(CHECK, "config_invalid", warning)


def _host(app: AppSettings) -> Iterator[Finding]:
    remark = hosts.remark(app.name, app.host)
    if remark is None:
        return
    saw, _, fix = remark.partition("; ")
    if hosts.is_old(app.host):
        yield failed(CHECK, "old_host", saw, fix)
    else:
        yield warned(CHECK, "base_url_wrong", remark)


def judge_roles(app: AppSettings, granted: Collection[str] = ()) -> Iterator[Finding]:
    """The payment roles against USPS's rules; where it has `granted` the slot a token, it knows."""
    for slot in app.payments:
        name = f"{app.name}/{slot.name}"
        faults = role_faults(slot.roles)
        for fault in faults:
            say = warned if fault.depends or slot.name in granted else failed
            yield say("roles", fault.row, f"{name}: {role_remarks.told(fault)}")
        if not faults:
            yield passed("roles", f"{name}: USPS would find nothing wrong with them")


def judge_budget(app: AppSettings) -> Iterator[Finding]:
    """Whether the calls an hour are enough for the tokens."""
    remarks = [*budgets.remarks(app)]
    for remark in remarks:
        saw, _, fix = remark.partition("; ")
        yield warned("budget", "budget_exhausted", saw, fix)
    if not remarks:
        saw = f"app {app.name}: calls_per_hour = {app.calls_per_hour} is enough for its tokens"
        yield passed("budget", saw)


def look_at_roles(scene: Scene) -> Iterator[Finding]:
    """Those of all apps."""
    if scene.settings is None:
        yield unseen("roles", "there is no configuration to look at")
        return
    if not any(app.payments for app in scene.settings.apps):
        yield passed("roles", "no payment roles are configured")
    for app in scene.settings.apps:
        standing = scene.status.apps if scene.status else []
        slots = [slot for told in standing if told.app == app.name for slot in told.slots]
        yield from judge_roles(app, {slot.slot for slot in slots if slot.ready})


def look_at_budget(scene: Scene) -> Iterator[Finding]:
    """That of all apps."""
    if scene.settings is None:
        yield unseen("budget", "there is no configuration to look at")
        return
    for app in scene.settings.apps:
        yield from judge_budget(app)
