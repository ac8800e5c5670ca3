"""The service units on a host: what to write, writing it, and taking it away again.

`survey_install` and `survey_removal` look and change nothing; what they give is a plan of values,
which `carry_out` acts upon step by step. What somebody else wrote or changed is never touched.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from usps_token_broker.drivers.units import files, manager
from usps_token_broker.drivers.units.files import UnitsError
from usps_token_broker.drivers.units.places import CONFIG_NAME, Layout, Target
from usps_token_broker.drivers.units.plans import (
    SERVICE_USER,
    Deed,
    Manager,
    Order,
    Step,
    hidden,
    installing,
    notes_after_install,
    orders_after_install,
    orders_after_removal,
    orders_before_removal,
    removing,
)
from usps_token_broker.drivers.units.shipped import Shipped
from usps_token_broker.drivers.units.texts import for_program, for_systemd, stamped

__all__ = [
    "Deed",
    "Layout",
    "Manager",
    "Order",
    "Plan",
    "Shipped",
    "Step",
    "UnitsError",
    "carry_out",
    "survey_install",
    "survey_removal",
]

_NOBODY = Manager()
"""Where no service manager is asked, as for an image."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that would be done, in order."""

    first: tuple[Order, ...]
    steps: tuple[Step, ...]
    last: tuple[Order, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What whoever did it should know afterwards."""

    @property
    def refused(self) -> tuple[Step, ...]:
        """The files that are somebody else's."""
        return tuple(step for step in self.steps if step.deed is Deed.REFUSE)

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return any(step.changes for step in self.steps) or bool(self.first or self.last)


def survey_install(  # noqa: PLR0913 - what, where, whose, and two decisions
    layout: Layout,
    shipped: Shipped,
    program: Sequence[str],
    host: Manager = _NOBODY,
    *,
    force: bool = False,
    now: bool = False,
) -> Plan:
    """What it takes to have the units of this release there. Blocks.

    Raises UnitsError for a directory that cannot be looked into, ValueError for a program that no
    unit can name.
    """
    warnings: list[str] = []
    steps = []
    for name, text in shipped.sysusers.items():
        if layout.sysusers is not None:
            target = layout.sysusers / name
            steps.append(installing(target, stamped(text), files.look(target), force=force))
    for name, text in shipped.units.items():
        fit, left_out = for_systemd(for_program(text, program), host.version)
        if left_out:
            named = ", ".join(left_out)
            warnings.append(f"systemd {host.version} does not know {named}: left out of {name}")
        target = layout.units / name
        steps.append(installing(target, stamped(fit), files.look(target), force=force))
        warnings += _hidden(layout, name)
    steps += _example(layout, shipped, steps)
    orders = tuple(orders_after_install(steps, host, now=now, call=layout.call))
    notes = () if now else tuple(notes_after_install(steps, host, layout.call))
    return Plan((), tuple(steps), orders, tuple(warnings), notes)


def survey_removal(
    layout: Layout, shipped: Shipped, host: Manager = _NOBODY, *, force: bool = False
) -> Plan:
    """What it takes to have them gone. Blocks. Raises UnitsError as above."""
    targets = [layout.units / name for name in reversed(shipped.units)]
    if layout.sysusers is not None:
        targets += [layout.sysusers / name for name in shipped.sysusers]
    found = [removing(target, files.look(target), force=force) for target in targets]
    steps = tuple(step for step in found if step is not None)
    return Plan(
        tuple(orders_before_removal(steps, host, layout.call)),
        steps,
        tuple(orders_after_removal(steps, host, layout.call)),
        notes=tuple(_staying(layout)),
    )


def carry_out(plan: Plan, tell: Callable[[str], None]) -> None:
    """Do it, and say of each thing that it is done, so that a failure halfway leaves no riddle.

    Raises UnitsError; what was told is done, the rest is not.
    """
    for order in plan.first:
        manager.carry_out(order)
        tell(f"ran {order}")
    for step in plan.steps:
        if step.changes:
            _check_as_surveyed(step)
        if step.saves:
            tell(f"moved {step.path} to {files.set_aside(step.target)}")
        if step.deed is Deed.REMOVE:
            if not step.saves:
                files.remove(step.target)
                tell(f"removed {step.path}")
        elif step.changes:
            files.write(step.target, step.after)
            tell(f"{step.deed}d {step.path}")
    for order in plan.last:
        manager.carry_out(order)
        tell(f"ran {order}")


def _check_as_surveyed(step: Step) -> None:
    """What has come meanwhile is somebody's, and was not asked about. Raises UnitsError."""
    expected = None if step.deed is Deed.CREATE else files.Regular(step.before)
    if not step.saves and files.look(step.target) != expected:
        raise UnitsError(f"{step.path} has just been changed by somebody else; run this again")


def _staying(layout: Layout) -> Iterator[str]:
    if layout.config is not None:
        yield (
            f"left as they are: {layout.config.path}, the state, and the user and the group "
            f"{SERVICE_USER}"
        )


def _hidden(layout: Layout, name: str) -> Iterator[str]:
    for directory in layout.hiding:
        target = directory / name
        try:
            found = files.look(target)
        except UnitsError:  # nothing is written there, so its links are not our matter
            continue
        told = hidden(name, target.path, found)
        if told is not None:
            yield told
            return


def _example(layout: Layout, shipped: Shipped, steps: Sequence[Step]) -> Iterator[Step]:
    """At the first installation alone: who took it away, configured by environment, meant it."""
    units = [step for step in steps if step.is_unit]
    if layout.config is None or any(step.deed is not Deed.CREATE for step in units):
        return
    target: Target = layout.config / CONFIG_NAME
    if files.look(target) is None:
        yield Step(target, Deed.CREATE, after=shipped.example.encode())
