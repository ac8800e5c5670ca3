"""The figures of `GET /metrics`, by Prometheus's conventions: base units, `_total`, `_info`."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from usps_token_broker.app.access import Access
from usps_token_broker.app.status import Process
from usps_token_broker.app.tally import DURATION_BOUNDS_SECONDS, Durations, Tally
from usps_token_broker.core.commands import Outcome
from usps_token_broker.core.snapshot import AppView, SlotView, Snapshot, WindowView
from usps_token_broker.core.values import Freshness, Phase
from usps_token_broker.wire.operations import METRICS, OPEN_METRICS

_PREFIX: Final = "usps_token_broker"
_SLOT: Final = ("app", "slot")
_ENDPOINT: Final = ("app", "endpoint")

_BOUNDS: Final = (*map(str, DURATION_BOUNDS_SECONDS), "+Inf")

Row = tuple[tuple[str, ...], float | None]
"""The values of the labels, and the figure; none where there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class Sight:
    """All there is to tell, and who is told."""

    snapshot: Snapshot
    access: Access
    tally: Tally
    process: Process
    state_trouble: bool

    def apps(self) -> list[AppView]:
        """Those that the peer may use."""
        mine = self.access.apps
        return [app for app in self.snapshot.apps if app.plan.name in mine]

    def slots(self) -> list[SlotView]:
        """Those that the peer may read."""
        mine = self.access.slots
        return [slot for app in self.snapshot.apps for slot in app.slots if slot.id in mine]

    def windows(self) -> list[tuple[str, WindowView]]:
        """The budgets of those apps."""
        return [(app.plan.name, window) for app in self.apps() for window in app.windows]


def expose(sight: Sight, accepted: str) -> tuple[bytes, str]:
    """The figures as text, and its media type, in the format that this `Accept` asks for."""
    open_metrics = OPEN_METRICS in accepted.lower()
    encode: Callable[[Collector], bytes]
    encode = openmetrics.generate_latest if open_metrics else generate_latest
    media_type = f"{OPEN_METRICS}; version=1.0.0" if open_metrics else METRICS
    return encode(_Figures(sight)), f"{media_type}; charset=utf-8"


class _Figures(Collector):
    """One look at everything."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight

    def collect(self) -> Iterator[Metric]:
        """Every figure; those of memory and files by the names that all programs have for them."""
        yield from _of_process(self._sight)
        yield from ProcessCollector(registry=None).collect()
        yield from _of_slots(self._sight.slots())
        yield _of_trouble(self._sight.slots())
        yield from _of_attempts(self._sight)
        yield from _of_apps(self._sight)


def _gauge(name: str, meaning: str, labels: Iterable[str], rows: Iterable[Row]) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, labels=[*labels])
    for values, figure in rows:
        if figure is not None:
            family.add_metric(values, figure)
    return family


def _counter(name: str, meaning: str, labels: Iterable[str], rows: Iterable[Row]) -> Metric:
    family = CounterMetricFamily(f"{_PREFIX}_{name}", meaning, labels=[*labels])
    for values, figure in rows:
        if figure is not None:
            family.add_metric(values, figure)
    return family


def _of_process(sight: Sight) -> Iterator[Metric]:
    process, tally = sight.process, sight.tally
    peers = process.peers()
    yield InfoMetricFamily(_PREFIX, "Always 1; which release runs", {"version": process.version})
    yield _gauge(
        "start_time_seconds", "When it started, Unix seconds", (), [((), process.started_at)]
    )
    yield _gauge(
        "state_trouble",
        "Whether tokens cannot be saved, so that a restart would fetch them anew",
        (),
        [((), sight.state_trouble)],
    )
    yield _gauge(
        "connections",
        "Clients connected to the socket for workers",
        (),
        [((), sum(peer.connections for peer in peers))],
    )
    yield _gauge(
        "waiting_requests",
        "Requests of theirs that wait for their reply",
        (),
        [((), sum(peer.waiting for peer in peers))],
    )
    yield _counter(
        "requests",
        "Requests answered, by operation and HTTP status",
        ("operation", "status"),
        (
            ((name, str(status)), n)
            for name, statuses in sorted(tally.requests.items())
            for status, n in sorted(statuses.items())
        ),
    )
    yield _counter(
        "reloads",
        "Configurations put in force, or refused",
        ("result",),
        [(("applied",), tally.reloads[True]), (("refused",), tally.reloads[False])],
    )


_OF_SLOT: Final[tuple[tuple[str, str, Callable[[SlotView], float | None]], ...]] = (
    ("slot_ready", "Whether there is a token to serve, and no doubt about it", lambda s: s.ready),
    ("slot_required", "Whether the broker is ready only with it", lambda s: s.required),
    (
        "slot_degraded",
        "Whether its token should not be in use any more: late, spent, or reported as dead",
        lambda s: s.degraded,
    ),
    (
        "slot_dormant",
        "Whether nobody asked in a day, and it is kept only for who asks: no fault, not renewed",
        lambda s: s.dormant,
    ),
    (
        "token_expiry_timestamp_seconds",
        "The end of the token's life, Unix seconds; none without a token",
        lambda s: s.expires_at,
    ),
    (
        "slot_next_attempt_timestamp_seconds",
        "When USPS is asked next, Unix seconds; none while that is open",
        lambda s: s.next_attempt_at,
    ),
    ("slot_attempts_left", "Calls that the slot may make now", lambda s: s.attempts_left),
)


def _of_slots(slots: list[SlotView]) -> Iterator[Metric]:
    for name, meaning, figure in _OF_SLOT:
        yield _gauge(name, meaning, _SLOT, ((s.id, figure(s)) for s in slots))
    yield _gauge(
        "slot_phase",
        "1 for what is done about the next token, else 0",
        (*_SLOT, "phase"),
        (((*s.id, phase.value), s.phase is phase) for s in slots for phase in Phase),
    )
    yield _gauge(
        "slot_freshness",
        "1 for how far through its life the token is, else 0",
        (*_SLOT, "freshness"),
        (((*s.id, stage.value), s.freshness is stage) for s in slots for stage in Freshness),
    )


def _of_trouble(slots: list[SlotView]) -> Metric:
    return _gauge(
        "slot_trouble",
        "1 for what went wrong last, until the next grant; none without trouble. "
        "`usps-token-broker explain REASON` says why, and what to do",
        (*_SLOT, "code", "reason"),
        (
            ((*s.id, s.trouble.code.value, s.trouble.reason or s.trouble.code.value), 1.0)
            for s in slots
            if s.trouble
        ),
    )


def _of_attempts(sight: Sight) -> Iterator[Metric]:
    ids = [slot.id for slot in sight.slots()]
    tally = sight.tally
    yield _counter(
        "grants", "Tokens that USPS granted", _SLOT, ((slot, tally.grants[slot]) for slot in ids)
    )
    yield _counter(
        "failed_attempts",
        "Attempts that ended without a token, by code and by what that means for the next one",
        (*_SLOT, "code", "kind"),
        (
            ((*slot, code.value, kind.value), n)
            for (slot, code, kind), n in sorted(tally.failures.items())
            if slot in ids
        ),
    )
    seconds = HistogramMetricFamily(
        f"{_PREFIX}_upstream_call_duration_seconds",
        "How long attempts at USPS took, those that failed as well",
        labels=_ENDPOINT,
    )
    for app, window in sight.windows():
        durations = tally.durations.get((app, window.endpoint), Durations())
        sums = itertools.accumulate(durations.counts)
        buckets = list(zip(_BOUNDS, sums, strict=True))
        seconds.add_metric((app, window.endpoint.value), buckets, durations.seconds)
    yield seconds


def _of_apps(sight: Sight) -> Iterator[Metric]:
    windows = [((app, w.endpoint.value), w) for app, w in sight.windows()]
    yield _gauge(
        "calls_in_last_hour",
        "Calls made to USPS in the last hour, of those that calls_per_hour allows",
        _ENDPOINT,
        ((key, w.used) for key, w in windows),
    )
    yield _gauge(
        "calls_per_hour",
        "Calls to USPS that may be made in an hour",
        _ENDPOINT,
        ((key, w.limit) for key, w in windows),
    )
    yield _gauge(
        "held_until_timestamp_seconds",
        "Until when USPS wants no call, Unix seconds; none when it does not say",
        _ENDPOINT,
        ((key, w.held_until) for key, w in windows),
    )
    yield _gauge(
        "usps_clock_skew_seconds",
        "The clock of USPS less ours; none before its first answer",
        ("app",),
        (((app.plan.name,), app.skew_seconds) for app in sight.apps()),
    )
    names = [app.plan.name for app in sight.apps()]
    yield _counter(
        "reports",
        "What came of workers' reports of refusals",
        ("app", "outcome"),
        (((n, o.value), sight.tally.reports[n, o]) for n in names for o in Outcome),
    )
