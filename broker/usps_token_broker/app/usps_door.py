"""USPS's own two token calls over TCP, answered from the broker's tokens, for local keys.

For programs that cannot be changed: such a one gets the broker's address for its token host, and a
local key for its client id and secret. It is told what the broker has, and that it is good for as
long as anybody should use it; nothing that it sends goes to USPS.

The token call takes a key. The payment call comes without one: USPS's takes the bearer, so that is
all that such a program sends. What opens it is a bearer of an app that has a key with a payment
slot, together with the CRID and account of the slot's roles, which is what USPS itself asks for.

What such a program cannot be told: USPS names no life of a payment token, and its tokens are new.
So a program may take one of ours for good for eight hours when it has two left. The answer says
`expires_in` all the same, which some look at; the others must ask anew when a label is refused.

Keys are read from their file at each call, in a thread, and once more after a wait: a key that was
revoked opens nothing from then on, whether the broker was told or not.
"""

import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from usps_token_broker.app import asked_roles, usps_refusals
from usps_token_broker.app.calls import Handled
from usps_token_broker.app.front import Door
from usps_token_broker.app.key_audit import KeyAudit
from usps_token_broker.app.loop import Loop
from usps_token_broker.config import AppSettings, SlotSettings
from usps_token_broker.core.rates import Rate
from usps_token_broker.core.snapshot import Serving
from usps_token_broker.core.values import BEARER, Now, Secret, SlotId
from usps_token_broker.drivers.tcp_listener import Visitor
from usps_token_broker.wire import stand_in
from usps_token_broker.wire.keys import WAIT_SECONDS
from usps_token_broker.wire.local_keys import LocalKey, find
from usps_token_broker.wire.replies import Reply
from usps_token_broker.wire.requests import Request
from usps_token_broker.wire.stand_in import Credentials, Granted, UnreadableError

CALLS: Final[Mapping[str, str]] = {
    stand_in.TOKEN_PATH: "issueBearer",
    stand_in.PAYMENT_PATH: "issuePayment",
}
"""What is served, by path, and what it is counted as."""
PER_MINUTE: Final = 6000
"""Calls of one key. A PHP worker keeps nothing between two requests and may ask for each."""
WRONG_PER_MINUTE: Final = 60
"""Calls of one address that open nothing. What is right is served all the same: else anybody on the
host could shut out the others, and 256 bits are not guessed at any rate."""
REMEMBERED: Final = 1024
"""Bearers that were handed out and may still come back with a payment call."""
_SHORTEST_USE_SECONDS: Final = 60.0
"""For how long a token in its buffer is said to be good: then the program asks again."""

Keys = Callable[[], Awaitable[tuple[LocalKey, ...]]]
"""The keys as they are now. Raises KeysUnusableError."""


class KeysUnusableError(Exception):
    """The keys cannot be read. The text says why, and is for the log alone."""


class _RefusedError(Exception):
    """Why a program gets no token, as it is told."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


@dataclass(frozen=True, slots=True)
class _Handed:
    """A bearer that went out."""

    value: Secret
    app: str
    ends_at: float
    """Boot clock."""


class UspsDoor:
    """Answers both calls, under whatever configuration is in force."""

    def __init__(self, door: Door, loop: Loop, keys: Keys, audit: KeyAudit) -> None:
        self._door = door
        self._loop = loop
        self._keys = keys
        self._audit = audit
        self._rate = Rate(PER_MINUTE)
        self._wrong = Rate(WRONG_PER_MINUTE)
        self._handed: dict[str, _Handed] = {}

    def handle(self, request: Request, visitor: Visitor) -> Handled:
        """A promise of the reply to a POST of one of `CALLS`."""
        if request.path == stand_in.TOKEN_PATH:
            return self._token(request, visitor)
        return self._payment(request, visitor)

    # -- POST /oauth2/v3/token --------------------------------------------------------------------

    async def _token(self, request: Request, visitor: Visitor) -> Reply:
        try:
            sent = stand_in.read_credentials(request.headers, request.body)
        except UnreadableError as error:
            return usps_refusals.unreadable_token_call(error)
        if sent.grant_type != "client_credentials":
            return usps_refusals.other_grant(sent.grant_type)
        try:
            return await self._issue_bearer(sent, visitor)
        except _RefusedError as refused:
            return refused.reply
        except KeysUnusableError:
            return usps_refusals.keys_unusable_for_bearer()

    async def _issue_bearer(self, sent: Credentials, visitor: Visitor) -> Reply:
        key = await self._key_of(sent, visitor)
        self._count(key)
        serving = self._serving(SlotId(key.app, BEARER))
        if serving is None:
            denial = await self._loop.ask((SlotId(key.app, BEARER),), WAIT_SECONDS, None)
            if denial is not None:
                return usps_refusals.no_bearer(denial)
            key = await self._key_of(sent, visitor)  # as it is now
            serving = self._serving(SlotId(key.app, BEARER))
        if serving is None:
            return usps_refusals.bearer_moved()
        granted = self._granted(SlotId(key.app, BEARER), serving)
        self._remember(key.app, serving)
        self._audit.took(key.name, granted.slot)
        scopes = serving.token.scopes
        return stand_in.bearer_reply(granted, client_id=key.id, app=key.app, scopes=scopes)

    async def _key_of(self, sent: Credentials, visitor: Visitor) -> LocalKey:
        """The key that these credentials are, and that may have a bearer. Raises _RefusedError."""
        key = find(await self._keys(), sent.client_id, sent.secret)
        if key is None:
            raise _RefusedError(self._wrong_key(sent, visitor))
        if self._slot(key, BEARER) is None:
            raise _RefusedError(usps_refusals.not_for_slot(key, BEARER))
        return key

    def _count(self, key: LocalKey) -> None:
        """One call more of this key. Raises _RefusedError when they are too many."""
        held_back = self._held_back(key.id)
        if held_back is not None:
            raise _RefusedError(usps_refusals.key_too_often(key, PER_MINUTE, held_back))

    def _wrong_key(self, sent: Credentials, visitor: Visitor) -> Reply:
        held_back = self._count_wrong("wrong_key", visitor)
        if held_back is None:
            return stand_in.wrong_key(by_basic=sent.by_basic)
        return usps_refusals.wrong_key_too_often(held_back)

    # -- POST /payments/v3/payment-authorization --------------------------------------------------

    async def _payment(self, request: Request, visitor: Visitor) -> Reply:
        bearer = stand_in.read_bearer(request.headers)
        app = None if bearer is None else self._app_of(bearer)
        if bearer is None or app is None:
            return self._wrong_bearer(visitor)
        try:
            asked = stand_in.read_roles(request.body)
        except UnreadableError as error:
            return usps_refusals.unreadable_payment_call(error)
        held_back = self._held_back(f"payments of {app}")
        if held_back is not None:
            return usps_refusals.payments_too_often(app, PER_MINUTE, held_back)
        try:
            return await self._issue_payment(app, asked)
        except KeysUnusableError:
            return usps_refusals.keys_unusable_for_payment()

    async def _issue_payment(self, app: str, asked: asked_roles.Roles) -> Reply:
        keys = await self._keys()
        chosen = self._choose(app, asked, keys)
        if isinstance(chosen, Reply):
            return chosen
        slot = SlotId(app, chosen.name)
        serving = self._serving(slot)
        if serving is None:
            denial = await self._loop.ask((slot,), WAIT_SECONDS, None)
            if denial is not None:
                return usps_refusals.no_payment(denial)
            keys = await self._keys()  # as they are now
            again = self._choose(app, asked, keys)
            if isinstance(again, Reply):
                return again
            serving = self._serving(slot) if again == chosen else None
        if serving is None:
            return usps_refusals.payment_moved()
        granted = self._granted(slot, serving)
        names = [key.name for key in keys if key.app == app and slot.name in key.slots]
        self._audit.took(",".join(sorted(names)), granted.slot)
        return stand_in.payment_reply(granted, chosen.roles)

    def _choose(
        self, app: str, asked: asked_roles.Roles, keys: tuple[LocalKey, ...]
    ) -> SlotSettings | Reply:
        """The payment slot of the keys of this app whose roles are those that are asked for."""
        mine = [key for key in keys if key.app == app]
        names = dict.fromkeys(name for key in mine for name in key.slots if name != BEARER)
        slots = [s for s in self._payment_slots(app) if s.name in names]
        if not slots:
            return usps_refusals.no_key_for_payment(app)
        reasons = []
        for slot in slots:
            reason = asked_roles.mismatch(asked, slot.roles)
            if reason is None:
                return slot
            reasons.append(f"{slot.name}: {reason}")
        return usps_refusals.other_roles(reasons)

    def _payment_slots(self, app: str) -> tuple[SlotSettings, ...]:
        found = self._app(app)
        return found.payments if found is not None else ()

    def _wrong_bearer(self, visitor: Visitor) -> Reply:
        held_back = self._count_wrong("wrong_bearer", visitor)
        if held_back is None:
            return stand_in.wrong_bearer()
        return usps_refusals.wrong_bearer_too_often(held_back)

    # -- what both go by --------------------------------------------------------------------------

    def _app(self, name: str) -> AppSettings | None:
        apps = self._door.front.settings.apps
        return next((app for app in apps if app.name == name), None)

    def _slot(self, key: LocalKey, name: str) -> SlotSettings | None:
        """The slot, if the key may have it and the configuration has it."""
        app = self._app(key.app)
        if app is None or name not in key.slots:
            return None
        return next((s for s in (app.bearer, *app.payments) if s.name == name), None)

    def _now(self) -> Now:
        return self._door.front.clock()

    def _serving(self, slot: SlotId) -> Serving | None:
        return self._loop.broker.serving(slot, self._now())

    def _granted(self, slot: SlotId, serving: Serving) -> Granted:
        """For as long as it should be used; in its buffer for a minute, and never past its end."""
        now = self._now()
        self._door.front.used(slot)
        left = serving.expires_boot_at - serving.buffer_seconds - now.boot
        short = min(_SHORTEST_USE_SECONDS, serving.spent_boot_at - now.boot)
        return Granted(serving.token.value, now.wall, max(1, int(max(left, short))), str(slot))

    def _held_back(self, who: str) -> int | None:
        """Seconds until there is room for this one again, or None where there is."""
        return _taken(self._rate, zlib.crc32(who.encode("utf-8", "replace")), self._now())

    def _count_wrong(self, what: str, visitor: Visitor) -> int | None:
        self._audit.refused(what)
        return _taken(self._wrong, visitor.uid, self._now())

    def _remember(self, app: str, serving: Serving) -> None:
        value = serving.token.value
        name = value.fingerprint(app)
        if name in self._handed:
            return
        now = self._now().boot
        kept = {n: h for n, h in self._handed.items() if now < h.ends_at}
        while len(kept) >= REMEMBERED:
            kept.pop(next(iter(kept)))
        self._handed = {**kept, name: _Handed(value, app, serving.expires_boot_at)}

    def _app_of(self, bearer: Secret) -> str | None:
        """Whose bearer this is: one that went out here, or the one that is served now."""
        return next((app for value, app in self._bearers() if value == bearer), None)

    def _bearers(self) -> Iterator[tuple[Secret, str]]:
        now = self._now().boot
        names = {app.name for app in self._door.front.settings.apps}
        for handed in self._handed.values():
            if now < handed.ends_at and handed.app in names:
                yield handed.value, handed.app
        for name in names:
            serving = self._serving(SlotId(name, BEARER))
            if serving is not None:
                yield serving.token.value, name


def _taken(rate: Rate, who: int, now: Now) -> int | None:
    now_usec = int(now.boot * 1e6)
    return None if rate.take(who, now_usec) else rate.seconds(who, now_usec)
