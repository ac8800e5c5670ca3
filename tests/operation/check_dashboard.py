"""Reads the dashboard with Grafana's own names: `python tests/operation/check_dashboard.py`.

Needs grafana-foundation-sdk (tests/operation/dashboard.txt), which is made from the schemas that
Grafana has for dashboards. Exits 1 where a key is not known there, or comes out otherwise than it
went in. It is no Grafana: whether values are of the right type, and what a panel looks like, it
does not know.
"""

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

OF_THE_DATA_SOURCE = {".annotations.list[0].titleFormat"}
"""What is read by Grafana's data source for Prometheus, and not by dashboards (@grafana/prometheus,
annotations)."""
FILE = Path(__file__).resolve().parents[2] / "systemd" / "prometheus" / "dashboard.json"


def lost(ours: Any, theirs: Any, way: str = "") -> list[str]:
    """What is in ours and not, or otherwise, in theirs."""
    if isinstance(ours, dict):
        if not isinstance(theirs, dict):
            return [f"{way}: {theirs!r}"]
        found = [
            f"{way}.{key} is not known"
            for key in ours
            if key not in theirs and f"{way}.{key}" not in OF_THE_DATA_SOURCE
        ]
        return found + [
            each
            for key in ours
            if key in theirs
            for each in lost(ours[key], theirs[key], f"{way}.{key}")
        ]
    if isinstance(ours, list):
        if not isinstance(theirs, list) or len(ours) != len(theirs):
            return [f"{way}: {theirs!r}"]
        return [
            each
            for index, (one, other) in enumerate(zip(ours, theirs, strict=True))
            for each in lost(one, other, f"{way}[{index}]")
        ]
    return [] if ours == theirs else [f"{way}: {ours!r} became {theirs!r}"]


def main() -> int:
    """0 where nothing is lost."""
    register_default_plugins()
    ours = json.loads(FILE.read_text("utf-8"))
    read = Dashboard.from_json(ours)
    theirs = json.loads(JSONEncoder(sort_keys=True, indent=2).encode(read))
    faults = lost(ours, theirs)
    for fault in faults:
        print(fault)
    print(f"{len(ours['panels'])} panels read with Grafana's names; {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
