"""Which key was handed which token, and that somebody came with a wrong one: bounded lines.

The first time is told at once, the rest is counted and told with the other summaries.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from usps_token_broker.app.audit import line

_MOST: Final = 1024
"""Pairs of a key and a token that are told apart; keys are made by hand."""


class KeyAudit:
    """`say` logs a line that tells of a token, `warn` one that tells of a wrong key."""

    def __init__(self, say: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self._say = say
        self._warn = warn
        self._known: set[tuple[str, str]] = set()
        self._more: Counter[tuple[str, str]] = Counter()
        self._refused: Counter[str] = Counter()

    def took(self, key: str, token: str) -> None:
        """A program that has this key was handed this token (`app/slot`)."""
        pair = (key, token)
        if pair in self._known:
            self._more[pair] += 1
        elif len(self._known) < _MOST:
            self._known.add(pair)
            self._say(line("handed out", [("tokens", token), ("key", key)]))

    def refused(self, what: str) -> None:
        """Somebody came with what opens nothing. What that was is nobody's business."""
        self._refused[what] += 1
        if self._refused[what] == 1:
            self._warn(line("refused", [("over", "tcp"), ("why", what)]))

    def sum_up(self) -> None:
        """The interval is over: say how many more there were, and begin the next."""
        for (key, token), times in self._more.most_common():
            fields = [("tokens", token), ("key", key), ("more_times", times)]
            self._say(line("handed out", fields))
        for what, times in self._refused.items():
            if times > 1:
                fields = [("over", "tcp"), ("why", what), ("more_times", times - 1)]
                self._warn(line("refused", fields))
        self._more.clear()
        self._refused.clear()
