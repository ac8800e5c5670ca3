"""The Grafana dashboard: `python tests/fakes/dashboard_panels.py` writes it anew.

What its panels ask stands here, so that tests can ask the same of a real Prometheus.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "systemd" / "prometheus" / "dashboard.json"

P = "usps_token_broker"
OF = 'instance=~"$instance"'
OF_APP = f'{OF}, app=~"$app"'
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_STAGES = {"fresh": 0, "due": 1, "late": 2, "spent": 3, "none": 4}
"""How far through its life a token is, as a number that a time line can show."""
_COLOURS = ("green", "blue", "orange", "red", "dark-red")


@dataclass(frozen=True)
class Panel:
    """What is asked and how it is shown; the place is that of a grid of 24 columns."""

    title: str
    kind: str
    asked: tuple[tuple[str, str], ...]
    """PromQL, and what each series is called."""
    place: tuple[int, int, int, int]
    """x, y, width, height."""
    meaning: str
    unit: str = "short"
    options: tuple[tuple[str, Any], ...] = ()
    steps: tuple[tuple[str, float | None], ...] = (("green", None),)
    mappings: tuple[tuple[str, str, str], ...] = ()
    """A value, what is shown in its place, and the colour."""
    empty: str = ""
    """What is shown where Prometheus finds nothing, and that is no fault."""


_IN_USE = f"unless on (job, instance, app, slot) ({P}_slot_dormant == 1)"
_YES_NO = (("0", "no", "red"), ("1", "yes", "green"))
_FRESHNESS = " or ".join(
    f'{P}_slot_freshness{{{OF_APP}, freshness="{stage}"}} * {number}'
    for stage, number in _STAGES.items()
)

PANELS = (
    Panel(
        "Brokers that answer",
        "stat",
        ((f"count({P}_info{{{OF}}}) or vector(0)", ""),),
        (0, 0, 4, 4),
        "Prometheus has fresh figures of them.",
        steps=(("red", None), ("green", 1)),
    ),
    Panel(
        "Every required token is good",
        "stat",
        ((f"min({P}_slot_ready{{{OF_APP}}} and {P}_slot_required{{{OF_APP}}} == 1)", ""),),
        (4, 0, 5, 4),
        "There is one to serve, and no doubt about it. If not: usps-token-broker status",
        steps=(("red", None), ("green", 1)),
        mappings=_YES_NO,
    ),
    Panel(
        "Shortest time left",
        "stat",
        ((f"min(({P}_token_expiry_timestamp_seconds{{{OF_APP}}} {_IN_USE}) - time())", ""),),
        (9, 0, 5, 4),
        "Until the end of the token that ends first, of those that are renewed: at about 1.5 h.",
        unit="s",
        empty="no token",
        steps=(("red", None), ("orange", 1800), ("green", 5400)),
    ),
    Panel(
        "Tokens with trouble",
        "stat",
        ((f"count(max by (instance, app, slot) ({P}_slot_trouble{{{OF_APP}}})) or vector(0)", ""),),
        (14, 0, 5, 4),
        "The last call for them failed; there may be a good token all the same.",
        steps=(("green", None), ("orange", 1)),
    ),
    Panel(
        "State is saved",
        "stat",
        ((f"1 - max({P}_state_trouble{{{OF}}})", ""),),
        (19, 0, 5, 4),
        "A restart loses no token. If not, the disk or its rights are to be looked at.",
        steps=(("red", None), ("green", 1)),
        mappings=_YES_NO,
    ),
    Panel(
        "Time left of each token",
        "timeseries",
        (
            (
                f"{P}_token_expiry_timestamp_seconds{{{OF_APP}}} - time()",
                "{{instance}} {{app}}/{{slot}}",
            ),
        ),
        (0, 4, 12, 8),
        "A saw tooth: it should turn at 1.5 h and never come below 0.5 h, but for tokens that "
        "nobody asked for in a day (keep).",
        unit="s",
        steps=(("red", None), ("green", 1800)),
    ),
    Panel(
        "Freshness",
        "state-timeline",
        ((f"sum by (instance, app, slot) ({_FRESHNESS})", "{{instance}} {{app}}/{{slot}}"),),
        (12, 4, 12, 8),
        "Due: being renewed. Late: in its last half hour, still served. Spent: not served.",
        mappings=tuple((str(number), stage, _COLOURS[number]) for stage, number in _STAGES.items()),
    ),
    Panel(
        "What is wrong now",
        "table",
        ((f"{P}_slot_trouble{{{OF_APP}}} == 1", ""),),
        (0, 12, 12, 7),
        "`usps-token-broker explain REASON` says why, and the fix; `status` since when.",
        options=(("instant", True),),
        empty="nothing",
    ),
    Panel(
        "Calls to USPS",
        "timeseries",
        (
            (
                f"increase({P}_grants_total{{{OF_APP}}}[10m])",
                "{{instance}} {{app}}/{{slot}} granted",
            ),
            (
                (
                    "sum by (instance, app, slot, code) "
                    f"(increase({P}_failed_attempts_total{{{OF_APP}}}[10m]))"
                ),
                "{{instance}} {{app}}/{{slot}} {{code}}",
            ),
        ),
        (12, 12, 12, 7),
        "In the last ten minutes: four grants a day and token are all there should be.",
    ),
    Panel(
        "Budget used in the last hour",
        "timeseries",
        (
            (
                f"{P}_calls_in_last_hour{{{OF_APP}}} / {P}_calls_per_hour{{{OF_APP}}}",
                "{{instance}} {{app}} {{endpoint}}",
            ),
        ),
        (0, 19, 12, 7),
        "Calls made of those that the configuration allows (calls_per_hour).",
        unit="percentunit",
        steps=(("green", None), ("red", 0.8)),
    ),
    Panel(
        "How long USPS takes (95 of 100 calls)",
        "timeseries",
        (
            (
                (
                    "histogram_quantile(0.95, sum by (endpoint, le) "
                    f"(increase({P}_upstream_call_duration_seconds_bucket{{{OF_APP}}}[1d])))"
                ),
                "{{endpoint}}",
            ),
        ),
        (12, 19, 12, 7),
        "Of all brokers, over a day, since there are few. An attempt ends after 8 s.",
        unit="s",
    ),
    Panel(
        "Requests of workers and monitors",
        "timeseries",
        (
            (
                f"sum by (operation, status) (rate({P}_requests_total{{{OF}}}[$__rate_interval]))",
                "{{operation}} {{status}}",
            ),
        ),
        (0, 26, 12, 7),
        "A second, of all brokers. `none` is what was refused before it was understood.",
        unit="reqps",
    ),
    Panel(
        "Clients connected",
        "timeseries",
        (
            (f"{P}_connections{{{OF}}}", "{{instance}} connected"),
            (f"{P}_waiting_requests{{{OF}}}", "{{instance}} waiting for a token"),
        ),
        (12, 26, 6, 7),
        "To the socket for workers.",
    ),
    Panel(
        "Reports of refused tokens",
        "timeseries",
        (
            (
                f"sum by (instance, app, outcome) (increase({P}_reports_total{{{OF_APP}}}[10m]))",
                "{{instance}} {{app}} {{outcome}}",
            ),
        ),
        (18, 26, 6, 7),
        "What came of them: `renewed` is a call, the others are not.",
    ),
)


def dashboard() -> dict[str, Any]:
    """As Grafana imports it, from release 10.1 on."""
    return {
        "title": "USPS token broker",
        "uid": "usps-token-broker",
        "description": "Tokens, budget and troubles of usps-token-broker, by its GET /metrics.",
        "tags": ["usps"],
        "editable": True,
        "schemaVersion": 38,
        "version": 1,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": [_restarts()]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS, 1)],
    }


def _variables() -> list[dict[str, Any]]:
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
        },
        _chosen("instance", "Broker", f"{P}_info"),
        _chosen("app", "App", f"{P}_slot_ready{{{OF}}}"),
    ]


def _chosen(name: str, label: str, of: str) -> dict[str, Any]:
    """The values that a label of this figure has, of which all are chosen at first."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": f"label_values({of}, {name})",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all", "selected": True},
    }


def _restarts() -> dict[str, Any]:
    return {
        "name": "Starts of a broker",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "purple",
        "expr": f"changes({P}_start_time_seconds{{{OF}}}[2m]) > 0",
        "titleFormat": "{{instance}} was started",
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    x, y, width, height = panel.place
    instant = dict(panel.options).get("instant", panel.kind == "stat")
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend or "__auto",
                "instant": instant,
                "range": not instant,
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for index, (expression, legend) in enumerate(panel.asked)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel.kind),
        **({"transformations": [_TIDY]} if panel.kind == "table" else {}),
    }


_TIDY = {
    "id": "organize",
    "options": {
        "excludeByName": {"Time": True, "Value": True, "__name__": True, "job": True},
        "indexByName": {"instance": 0, "app": 1, "slot": 2, "code": 3, "reason": 4},
        "renameByName": {},
    },
}


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = [{"color": colour, "value": value} for colour, value in panel.steps]
    shown = {
        value: {"text": text, "color": colour, "index": index}
        for index, (value, text, colour) in enumerate(panel.mappings)
    }
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": [{"type": "value", "options": shown}] if shown else [],
    }
    if panel.empty:
        defaults["noValue"] = panel.empty
    if panel.kind == "timeseries":
        defaults["color"] = {"mode": "palette-classic"}
        defaults["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8}
        if len(steps) > 1:
            defaults["custom"]["thresholdsStyle"] = {"mode": "line"}
    return defaults


def _options(kind: str) -> dict[str, Any]:
    match kind:
        case "stat":
            return {
                "colorMode": "background",
                "graphMode": "none",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            }
        case "state-timeline":
            return {"mergeValues": True, "showValue": "auto", "rowHeight": 0.9}
        case "timeseries":
            legend = {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}
            return {
                "legend": legend,
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case _:
            return {"showHeader": True}


def expressions() -> Sequence[str]:
    """All that is asked of Prometheus, with its variables put in as Grafana would."""
    asked = [expression for panel in PANELS for expression, _ in panel.asked]
    return [put_in(e) for e in (*asked, _restarts()["expr"])]


def put_in(expression: str) -> str:
    """The expression for all brokers, scraped every few seconds."""
    return (
        expression.replace("$instance", ".*")
        .replace("$app", ".*")
        .replace("$__rate_interval", "1m")
    )


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
