"""A picture of the dashboard: `python tests/operation/picture.py --picture FILE.svg`.

A broker, a simulated USPS with short lives and an outage, a few workers and a real Prometheus run
for some minutes; then Prometheus is asked what each panel asks, and the answers are drawn where the
dashboard has the panel. It is a drawing of real figures and no screenshot of Grafana.
"""

import argparse
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from dashboard_panels import PANELS, Panel, put_in
from free_port import free_port
from processes import Home, Usps
from prometheus import Prometheus, listening

LIFE_SECONDS = 240
STEPS = 200
OUTAGE = (0.35, 0.58)
"""When it begins and ends, of the whole time."""
WORKER = """
import sys, time
from usps_token_client import BrokerError, TokenClient
while True:
    try:
        TokenClient(sys.argv[1]).headers(payment=True)
    except BrokerError as error:
        print("error:", error, file=sys.stderr, flush=True)
    time.sleep(0.5)
"""
COLUMN, ROW, GAP = 50, 34, 8
LINES = ("#0969da", "#1a7f37", "#9a6700", "#8250df", "#cf222e", "#bf3989", "#57606a", "#0a7ea4")
COLOURS = {
    "green": "#2da44e",
    "blue": "#54aeff",
    "orange": "#d4a72c",
    "red": "#cf222e",
    "dark-red": "#82071e",
}

Series = tuple[str, list[tuple[float, float]]]
"""What it is called; instants and values."""


@contextmanager
def workers(count: int, socket: Path) -> Iterator[None]:
    """Processes that ask for headers twice a second."""
    command = [sys.executable, "-c", WORKER, str(socket)]
    running = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield
    finally:
        for worker in running:
            worker.kill()
            worker.wait()


def story(minutes: float, count: int) -> list[tuple[Panel, list[Series]]]:
    """Run it; what each panel is answered."""
    quotas = ("--quota", "token=none", "--quota", "payment-authorization=none")
    with ExitStack() as stack:
        usps = stack.enter_context(Usps("--life", str(LIFE_SECONDS), *quotas))
        port = stack.enter_context(free_port())
        home = Home(usps.base_url, app="calls_per_hour = 60", bearer="", payment="required = true")
        stack.callback(home.remove)
        listening(home, f"127.0.0.1:{port}")
        stack.enter_context(home.broker())
        prometheus = stack.enter_context(Prometheus(f"127.0.0.1:{port}"))
        begun_at = time.time()
        stack.enter_context(workers(count, home.socket))
        end_at = begun_at + minutes * 60
        wait(begun_at + (end_at - begun_at) * OUTAGE[0])
        usps.ask("POST", "/sim/faults", {"name": "unavailable", "value": 1})
        wait(begun_at + (end_at - begun_at) * OUTAGE[1])
        usps.ask("DELETE", "/sim/faults")
        wait(end_at)
        return [(panel, answered(prometheus, panel, begun_at, end_at)) for panel in PANELS]


def wait(until_at: float) -> None:
    """Until that instant."""
    while (left := until_at - time.time()) > 0:
        select.select([], [], [], left)


def answered(prometheus: Prometheus, panel: Panel, since: float, until_at: float) -> list[Series]:
    """Every series of a panel, in the order in which it asks for them."""
    found = []
    for expression, legend in panel.asked:
        asked = {"start": since, "end": until_at, "step": (until_at - since) / STEPS}
        data = prometheus.ask("query_range", query=put_in(expression), **asked)
        found += [
            (called(legend, each["metric"]), [(float(at), float(v)) for at, v in each["values"]])
            for each in data["result"]
        ]
    return found


def called(legend: str, labels: dict[str, Any]) -> str:
    """The name of a series."""
    if not legend:
        shown = (labels.get(key, "") for key in ("app", "slot", "code"))
        return "  ".join(filter(None, shown))
    of_one_broker = legend.removeprefix("{{instance}} ")
    return re.sub(r"\{\{(\w+)\}\}", lambda m: str(labels.get(m[1], "")), of_one_broker)


# -- drawing --------------------------------------------------------------------------------------


def picture(panels: Sequence[tuple[Panel, list[Series]]], caption: Sequence[str]) -> str:
    """The whole dashboard."""
    times = [at for _, found in panels for _, points in found for at, _ in points]
    span = (min(times), max(times))
    height = ROW * max(p.place[1] + p.place[3] for p, _ in panels) + 50
    width = 24 * COLUMN
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                'font-family="sans-serif" font-size="12" fill="#24292f">'
            ),
            f'<rect width="{width}" height="{height}" fill="#f6f8fa"/>',
            *(drawn(panel, found, span) for panel, found in panels),
            *(
                f'<text x="{GAP}" y="{height - 30 + 18 * row}" fill="#57606a">{escape(line)}</text>'
                for row, line in enumerate(caption)
            ),
            "</svg>\n",
        ]
    )


def drawn(panel: Panel, found: list[Series], span: tuple[float, float]) -> str:
    """One panel in its frame."""
    x, y, w, h = panel.place
    left, top = x * COLUMN + GAP / 2, y * ROW + GAP / 2
    width, height = w * COLUMN - GAP, h * ROW - GAP
    inside = {"stat": stat, "state-timeline": bands, "table": table}.get(panel.kind, curves)
    return (
        f'<g transform="translate({left:g} {top:g})">'
        f'<rect width="{width}" height="{height}" rx="3" fill="#fff" stroke="#d0d7de"/>'
        f'<text x="8" y="18" font-weight="bold">{escape(panel.title)}</text>'
        f"{inside(panel, found, width, height, span)}</g>"
    )


def stat(panel: Panel, found: list[Series], width: float, height: float, _span: object) -> str:
    """The last value, large."""
    value = found[0][1][-1][1]
    colour = next(c for c, step in reversed(panel.steps) if step is None or value >= step)
    words = {v: (text, c) for v, text, c in panel.mappings}
    text, colour = words.get(f"{value:g}", (told(value, panel.unit), colour))
    return (
        f'<rect x="8" y="28" width="{width - 16}" height="{height - 36}" rx="3" '
        f'fill="{COLOURS[colour]}"/><text x="{width / 2}" y="{height / 2 + 24}" fill="#fff" '
        f'font-size="34" text-anchor="middle">{escape(text)}</text>'
    )


def bands(
    panel: Panel, found: list[Series], width: float, height: float, span: tuple[float, float]
) -> str:
    """A band for each series, in the colours of its values."""
    shown = {float(v): COLOURS[colour] for v, _, colour in panel.mappings}
    tall = (height - 70) / max(1, len(found))
    out = []
    for row, (name, points) in enumerate(found):
        top = 30 + row * tall
        out.append(f'<text x="110" y="{top + tall / 2}" text-anchor="end">{escape(name)}</text>')
        step = (width - 130) / STEPS
        for at, value in points:
            along = 118 + (width - 130) * (at - span[0]) / (span[1] - span[0])
            out.append(
                f'<rect x="{along:.1f}" y="{top + 4:.1f}" width="{step + 0.5:.1f}" '
                f'height="{tall - 10:.1f}" fill="{shown[value]}" shape-rendering="crispEdges"/>'
            )
    names = [(text, COLOURS[colour]) for _, text, colour in panel.mappings]
    return "".join(out) + legend(names, width, height)


def table(_panel: Panel, found: list[Series], _w: float, _h: float, span: object) -> str:
    """What there was at any time, since at the end there should be nothing."""
    assert isinstance(span, tuple)
    out = ['<text x="8" y="40" fill="#57606a">during these minutes (now: none)</text>']
    if any(points[-1][0] >= span[1] - 1 for _, points in found):
        out = ['<text x="8" y="40" fill="#57606a">during these minutes</text>']
    for row, (name, points) in enumerate(found):
        since, last = points[0][0] - span[0], points[-1][0] - span[0]
        when = f"{told(since, 's')} to {told(last, 's')}"
        out.append(f'<text x="8" y="{62 + 20 * row}">{escape(name)}   {when}</text>')
    return "".join(out)


def curves(
    panel: Panel, found: list[Series], width: float, height: float, span: tuple[float, float]
) -> str:
    """Lines over a scale that begins at nothing."""
    found = [(name, [p for p in points if p[1] == p[1]]) for name, points in found]  # no NaN
    most = max((v for _, points in found for _, v in points), default=1.0) * 1.15 or 1.0
    left, top, right, bottom = 66, 30, width - 20, height - 64
    if panel.unit == "percentunit":
        most = max(most, 1.0)
    out = [
        (
            f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#d0d7de"/>'
            f'<text x="{left - 6}" y="{top + 8}" text-anchor="end">{told(most, panel.unit)}</text>'
            f'<text x="{left - 6}" y="{bottom}" text-anchor="end">0</text>'
        )
    ]
    for part in range(5):
        along = left + (right - left) * part / 4
        at = minutes((span[1] - span[0]) * part / 4)
        out.append(
            f'<text x="{along:.0f}" y="{bottom + 15}" font-size="10" fill="#57606a" '
            f'text-anchor="middle">{at}</text>'
        )
    named = []
    for (name, points), colour in zip(found, LINES * 4, strict=False):
        named.append((name, colour))
        for piece in unbroken(points, span):
            path = " ".join(
                f"{left + (right - left) * (at - span[0]) / (span[1] - span[0]):.1f},"
                f"{bottom - (bottom - top) * value / most:.1f}"
                for at, value in piece
            )
            out.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            )
    return "".join(out) + legend(named, width, height)


def unbroken(
    points: list[tuple[float, float]], span: tuple[float, float]
) -> Iterator[list[tuple[float, float]]]:
    """The pieces of a line: where there was nothing to tell, nothing is drawn."""
    piece: list[tuple[float, float]] = []
    for point in points:
        if piece and point[0] - piece[-1][0] > 1.5 * (span[1] - span[0]) / STEPS:
            yield piece
            piece = []
        piece.append(point)
    yield piece


def legend(named: Sequence[tuple[str, str]], width: float, height: float) -> str:
    """Names in their colours, on two lines at the most."""
    out, along, down = [], 12.0, height - 24
    for name, colour in named:
        room = 6.0 * len(name) + 26
        if along + room > width and down < height - 10:
            along, down = 12.0, height - 8
        if along + room > width:
            break
        out.append(
            f'<rect x="{along:.0f}" y="{down - 9}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{along + 14:.0f}" y="{down}" font-size="11">{escape(name)}</text>'
        )
        along += room
    return "".join(out)


def minutes(seconds: float) -> str:
    """As a clock shows them."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"


def told(value: float, unit: str) -> str:
    """A value with its unit."""
    match unit:
        case "s" if value >= 60:
            return f"{minutes(value)} min"
        case "s":
            return f"{value:.3g} s"
        case "percentunit":
            return f"{value:.0%}"
        case "reqps":
            return f"{value:.3g}/s"
        case _:
            return f"{value:.3g}"


def captioned(length: float, count: int) -> list[str]:
    """What it is a picture of, in two lines."""
    since, until_at = (minutes(length * 60 * part) for part in OUTAGE)
    drawn_from = (
        "Drawn by a script from what a real Prometheus answered to the dashboard's own queries; "
        "this is no screenshot of Grafana."
    )
    played = (
        f"{length:g} minutes with a simulated USPS that was down from {since} to {until_at}, and "
        f"{count} workers. Tokens of {LIFE_SECONDS // 60} min: thresholds in time are for those "
        "of 8 h, so the shortest time left is red."
    )
    return [drawn_from, played]


def main() -> None:
    """Run, ask, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="default 10")
    parser.add_argument("--workers", type=int, default=8, help="default 8")
    parser.add_argument("--picture", type=Path, required=True, help="where to write it, as SVG")
    asked = parser.parse_args()
    caption = captioned(asked.minutes, asked.workers)
    asked.picture.write_text(picture(story(asked.minutes, asked.workers), caption), "utf-8")


if __name__ == "__main__":
    main()
