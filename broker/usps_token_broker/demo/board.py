"""What a person sees of the demo: a live picture on a terminal, lines elsewhere."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from usps_token_broker.demo import verdict
from usps_token_broker.demo.verdict import Figures

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

LINE_EVERY_SECONDS: Final = 2.0
EVENTS_SHOWN: Final = 9
BAR: Final = 40


class Board:
    """Shows figures and events. A context manager: leaving it gives the terminal back."""

    def __init__(self, figures: Figures, *, plain: bool, silent: bool) -> None:
        self._figures = figures
        self._silent = silent
        self._lively = not plain and not silent and sys.stdout.isatty()
        self._live: Live | None = None
        self._events: list[str] = []
        self._line_due_at = 0.0

    def __enter__(self) -> Self:
        if self._lively:
            from rich.live import Live  # noqa: PLC0415 - only where a person looks

            self._live = Live(refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, event: str) -> None:
        """Something happened."""
        line = f"{self._figures.seconds:5.1f} s  {event}"
        self._events.append(line)
        if self._live is not None:
            self.show()
        else:
            self._print(line)

    def show(self) -> None:
        """The figures as they are now."""
        if self._live is not None:
            self._live.update(self._picture())
        elif self._figures.seconds >= self._line_due_at:
            self._line_due_at = self._figures.seconds + LINE_EVERY_SECONDS
            self._print(_line(self._figures))

    def finish(self) -> None:
        """The figures and the promises, for good."""
        self._print(_line(self._figures))
        saved = self._figures.calls_with_a_cache_each
        seen = self._figures.bearer_calls + self._figures.payment_calls
        self._print(
            f"\nUSPS saw {seen} token calls; with a cache in each process it would have seen "
            f"{saved}, and its quota of 60 an hour would be gone."
            if saved > 60  # noqa: PLR2004 - the quota of the default product
            else f"\nUSPS saw {seen} token calls; with a cache in each process: {saved}."
        )
        for text, kept in verdict.promises(self._figures):
            self._print(f"  {'held  ' if kept else 'BROKEN'}  {text}")
        if self._figures.last_failure:
            self._print(f"  the last failure of a worker: {self._figures.last_failure}")

    def _print(self, text: str) -> None:
        if not self._silent:
            print(text, flush=True)  # noqa: T201

    def _picture(self) -> "RenderableType":
        from rich.console import Group  # noqa: PLC0415 - only where a person looks
        from rich.panel import Panel  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        figures = self._figures
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", style="bold")
        table.add_column()
        seen = figures.bearer_calls + figures.payment_calls
        each = max(1, figures.calls_with_a_cache_each)
        table.add_row(str(figures.worker_calls), f"calls made by {figures.workers} workers")
        style = "green" if figures.failed_calls == 0 else "red"
        table.add_row(Text(str(figures.failed_calls), style=style), "of them failed")
        table.add_row(str(figures.refused_calls), "refused at first, then cured by one retry")
        table.add_row(str(figures.bearer_calls), "bearer calls seen by USPS")
        table.add_row(str(figures.payment_calls), "payment calls seen by USPS")
        table.add_row(str(seen), Text(_bar(seen, each), style="green"))
        table.add_row(str(each), Text(f"{'█' * BAR} with a cache in each process", style="red"))
        events = Text("\n".join(self._events[-EVENTS_SHOWN:]), style="dim")
        title = f"usps-token-broker demo   {figures.seconds:4.0f} s"
        return Panel(Group(table, Text(), events), title=title, expand=False)


def _bar(part: int, whole: int) -> str:
    return "█" * max(1, round(BAR * part / whole)) + " with the broker"


def _line(figures: Figures) -> str:
    return (
        f"{figures.seconds:5.1f} s  worker calls {figures.worker_calls}"
        f"  failed {figures.failed_calls}  USPS saw: bearer {figures.bearer_calls}"
        f"  payment {figures.payment_calls}"
        f"  (with a cache in each process: {figures.calls_with_a_cache_each})"
    )
