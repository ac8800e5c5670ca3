"""What Prometheus would have scraped of a broker on virtual time, for promtool to play rules on."""

import json
import subprocess
from pathlib import Path
from typing import Final

import anyio
from interface import Interface
from prometheus_client.parser import text_string_to_metric_families

TARGET: Final = {"job": "usps-token-broker", "instance": "a"}
EVERY_SECONDS: Final = 60


class Scraped:
    """Every sample since it was made. Prometheus's clock begins at 0 then, by promtool's rule."""

    def __init__(self, broker: Interface) -> None:
        self._broker = broker
        self._began_at = broker.clock().wall
        self._series: dict[str, list[float | None]] = {}
        self._scrapes = 0

    async def go_on(self, seconds: float) -> None:
        """Scrape once a minute for so long."""
        for _ in range(int(seconds // EVERY_SECONDS)):
            await self._scrape()
            await anyio.sleep(EVERY_SECONDS)

    async def _scrape(self) -> None:
        text = (await self._broker.get("/metrics")).body.decode()
        families = text_string_to_metric_families(text)
        for sample in [sample for family in families for sample in family.samples]:
            labels = ",".join(
                f"{k}={json.dumps(v)}" for k, v in {**sample.labels, **TARGET}.items()
            )
            values = self._series.setdefault(f"{sample.name}{{{labels}}}", [])
            values += [None] * (self._scrapes - len(values))
            is_instant = sample.name.endswith(("_timestamp_seconds", "_start_time_seconds"))
            values.append(sample.value - self._began_at * is_instant)
        self._scrapes += 1

    def alerts(self, rules: Path, folder: Path) -> str:
        """What promtool says when it expects that none fires, at any time."""
        up = f"up{{{','.join(f'{k}={json.dumps(v)}' for k, v in TARGET.items())}}}"
        series: dict[str, list[float | None]] = {**self._series, up: [1.0] * self._scrapes}
        last = f"{self._scrapes - 1}m"
        fired = f'sum by (alertname, slot) (count_over_time(ALERTS{{alertstate="firing"}}[{last}]))'
        play = {
            "interval": f"{EVERY_SECONDS}s",
            "input_series": [
                {"series": name, "values": _written(values, self._scrapes)}
                for name, values in series.items()
            ],
            "promql_expr_test": [{"expr": fired, "eval_time": last, "exp_samples": []}],
        }
        story = folder / "story.yml"  # JSON is YAML
        story.write_text(json.dumps({"rule_files": [str(rules)], "tests": [play]}))
        command = ["promtool", "test", "rules", str(story)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


def _written(values: list[float | None], scrapes: int) -> str:
    """As promtool reads them; a series that is not exported any more is stale at once."""
    all_values = [*values, *[None] * (scrapes - len(values))]
    words = [
        f"{value:.6f}" if value is not None else "stale" if before is not None else "_"
        for before, value in zip([None, *all_values], all_values, strict=False)
    ]
    return " ".join(words)
