"""Answers ready to send, made once per change and at most once a second.

`expires_in` counts from the moment of the answer, in whole seconds, so an answer is kept until that
number falls; and never past the instant at which its token must not be served, which is checked on
the boot clock at each serve, whatever the loop is doing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from usps_token_broker.app.ports import Clock
from usps_token_broker.core.broker import Broker
from usps_token_broker.core.snapshot import Serving
from usps_token_broker.core.values import BEARER, SlotId
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.messages import HeadersMessage, TokenMessage
from usps_token_broker.wire.replies import Reply, json_reply, not_modified_reply, text_reply

AUTHORIZATION: Final = "Authorization"
PAYMENT_HEADER: Final = "X-Payment-Authorization-Token"
"""The header label calls want (USPS Labels 3.9.13)."""


@dataclass(frozen=True, slots=True)
class AppInfo:
    """What an answer says of an app."""

    name: str
    host: str
    base_url: str


@dataclass(frozen=True, slots=True)
class Ready:
    """Replies that may be sent until `limit_boot_at`."""

    limit_boot_at: float
    ends_boot_at: float
    json: Reply
    text: Reply
    unchanged: Reply
    etag: bytes
    scopes: tuple[str, ...] | None


class Shelf:
    """The ready answers for tokens and for header sets.

    `used` is told, at most once a second, of each slot that somebody took a token of.
    """

    def __init__(
        self,
        broker: Broker,
        apps: Mapping[str, AppInfo],
        clock: Clock,
        used: Callable[[SlotId], None] = lambda _slot: None,
    ) -> None:
        self._broker = broker
        self.apps = apps
        self.clock = clock
        self._used = used
        self._ready: dict[tuple[SlotId, ...], Ready] = {}

    def drop(self, slot: SlotId) -> None:
        """Forget what was made of this slot."""
        for key in [key for key in self._ready if slot in key]:
            del self._ready[key]

    def token(self, slot: SlotId, now_boot: float) -> Ready | None:
        """The answer for one token, or None while there is none to serve."""
        key = (slot,)
        ready = self._ready.get(key)
        if ready is not None and now_boot < ready.limit_boot_at:
            return ready
        return self._make(key, lambda servings, left: self._token_answer(slot, servings[0], left))

    def headers(self, slots: tuple[SlotId, ...], now_boot: float) -> Ready | None:
        """The answer for a set of headers, bearer first, or None while one is missing."""
        # A bearer alone as headers must not share a key with the bearer as a token.
        key = (*slots, _HEADERS)
        ready = self._ready.get(key)
        if ready is not None and now_boot < ready.limit_boot_at:
            return ready
        return self._make(key, lambda servings, left: self._headers_answer(slots, servings, left))

    def header_set(self, slots: tuple[SlotId, ...]) -> tuple[dict[str, str], dict[str, int]] | None:
        """Headers to use now and their serials, or None while a token is missing."""
        servings = self._servings(slots)
        return None if servings is None else _header_set(servings)

    def _servings(self, slots: tuple[SlotId, ...]) -> list[Serving] | None:
        now = self.clock()
        servings = [self._broker.serving(slot, now) for slot in slots if slot is not _HEADERS]
        found = [serving for serving in servings if serving is not None]
        return found if len(found) == len(servings) else None

    def _make(
        self, key: tuple[SlotId, ...], make: Callable[[list[Serving], int], "Answered"]
    ) -> Ready | None:
        servings = self._servings(key)
        if servings is None:
            self._ready.pop(key, None)
            return None
        ends_at = min(s.expires_boot_at for s in servings)
        spent_at = min(s.spent_boot_at for s in servings)
        expires_in = math.floor(ends_at - self.clock().boot)
        answered = make(servings, expires_in)
        etag = '"' + ".".join(str(s.token.serial) for s in servings) + '"'
        headers = {"ETag": etag}
        tokens = tuple(str(slot) for slot in key if slot is not _HEADERS)
        ready = self._ready[key] = Ready(
            limit_boot_at=min(ends_at - expires_in, spent_at),
            ends_boot_at=ends_at,
            json=json_reply(200, answered.json, headers, tokens),
            text=text_reply(200, answered.text, headers, tokens),
            unchanged=not_modified_reply(headers),
            etag=etag.encode(),
            scopes=servings[0].token.scopes,
        )
        for slot in key:
            self._used(slot)
        return ready

    def _token_answer(self, slot: SlotId, serving: Serving, expires_in: int) -> "Answered":
        token = serving.token
        app = self.apps[slot.app]
        message = TokenMessage(
            token=token.value.reveal(),
            token_type=token.token_type,
            slot=slot.name,
            app=app.name,
            host=app.host,
            serial=token.serial,
            issued_at=round(serving.expires_at - token.life_seconds, 3),
            expires_at=round(serving.expires_at, 3),
            expires_in=expires_in,
            use_until=round(serving.expires_at - serving.buffer_seconds, 3),
            check_after=serving.check_after_seconds,
            scopes=token.scopes,
            degraded=serving.degraded,
        )
        return Answered(to_json(message), token.value.reveal())

    def _headers_answer(
        self, slots: tuple[SlotId, ...], servings: list[Serving], expires_in: int
    ) -> "Answered":
        app = self.apps[slots[0].app]
        headers, serials = _header_set(servings)
        message = HeadersMessage(
            app=app.name,
            host=app.host,
            base_url=app.base_url,
            headers=headers,
            serials=serials,
            expires_in=expires_in,
            use_until=round(min(s.expires_at - s.buffer_seconds for s in servings), 3),
            check_after=min(s.check_after_seconds for s in servings),
            degraded=any(s.degraded for s in servings),
        )
        text = "".join(f"{name}: {value}\n" for name, value in headers.items())
        return Answered(to_json(message), text)


@dataclass(frozen=True, slots=True)
class Answered:
    """The two forms of one answer. Not shown: there are tokens in both."""

    json: bytes = field(repr=False)
    text: str = field(repr=False)


_HEADERS: Final = SlotId("", "headers")


def _header_set(servings: list[Serving]) -> tuple[dict[str, str], dict[str, int]]:
    bearer = servings[0].token
    headers = {AUTHORIZATION: f"Bearer {bearer.value.reveal()}"}
    serials = {BEARER: bearer.serial}
    if len(servings) > 1:
        payment = servings[1].token
        headers[PAYMENT_HEADER] = payment.value.reveal()
        serials["payment"] = payment.serial
    return headers, serials
