"""The clock of this host: is it kept right, and does USPS agree?"""

from collections.abc import Iterator
from typing import Final

from usps_token_broker.core.notes import span
from usps_token_broker.doctor.findings import Finding, failed, passed, unseen, warned
from usps_token_broker.doctor.scene import Scene
from usps_token_broker.drivers import probing
from usps_token_broker.drivers.probing import Synchronised
from usps_token_broker.wire.status import AppMessage

CHECK: Final = "clock"
_MOST_SKEW_SECONDS: Final = 60.0
"""As far as the two clocks of a host may disagree before the broker doubts them."""


def look(scene: Scene) -> Iterator[Finding]:
    """Ask the kernel, and the broker what it saw of USPS's clock."""
    yield judge_kernel(probing.clock_synchronised())
    if scene.status is None:
        yield unseen(CHECK, "no broker says how far USPS's clock is from this one")
        return
    for app in scene.status.apps:
        yield judge_skew(app)


def judge_kernel(said: Synchronised) -> Finding:
    """Whether something keeps the clock right."""
    match said:
        case Synchronised.YES:
            return passed(CHECK, "it is synchronised by the network, as the kernel says")
        case Synchronised.NO:
            return warned(CHECK, "clock_off", "nothing synchronises it, as the kernel says")
        case Synchronised.UNKNOWN:
            return unseen(CHECK, "the kernel does not say here whether it is synchronised")


def judge_skew(app: AppMessage) -> Finding:
    """USPS's clock against ours, by the `Date` of its answers."""
    off = app.skew_seconds
    if off is None:
        return unseen(CHECK, f"app {app.app}: USPS has not answered this broker yet")
    where = "ahead of" if off > 0 else "behind"
    saw = f"app {app.app}: the clock of {app.host} is {span(abs(off))} {where} this one"
    if abs(off) > _MOST_SKEW_SECONDS:
        return failed(CHECK, "clock_off", saw)
    return passed(CHECK, f"app {app.app}: it agrees with that of {app.host}")
