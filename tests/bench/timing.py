"""Medians over interleaved rounds."""

import statistics
import time
from collections.abc import Callable

ROUNDS = 15


def per_call_ns(function: Callable[[], object], calls: int) -> float:
    """Nanoseconds a call, over a loop that is unrolled tenfold to hide its own cost."""
    start = time.perf_counter_ns()
    for _ in range(calls // 10):
        function()
        function()
        function()
        function()
        function()
        function()
        function()
        function()
        function()
        function()
    return (time.perf_counter_ns() - start) / (calls // 10 * 10)


def side_by_side(
    functions: dict[str, Callable[[], object]], calls: int, rounds: int = ROUNDS
) -> dict[str, float]:
    """The median nanoseconds a call of each, measured in turns."""
    results: dict[str, list[float]] = {name: [] for name in functions}
    names = list(functions)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            results[name].append(per_call_ns(functions[name], calls))
    return {name: statistics.median(values) for name, values in results.items()}


def table(rows: dict[str, float], unit: str, against: str) -> None:
    """Print each with its ratio to one of them."""
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value:10.3f} {unit}  {value / rows[against]:6.2f}x")
