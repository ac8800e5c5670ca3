"""The tokens USPS has granted, and what it thinks of one that is shown to it."""

import enum
import hashlib
import math
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from usps_token_broker.simulator import jwt

REMEMBERED: Final = 10_000
"""Tokens kept in mind; of older ones only what they say of themselves counts."""


class TokenKind(enum.StrEnum):
    """The two tokens of USPS."""

    BEARER = "bearer"
    PAYMENT = "payment"


class Refusal(enum.StrEnum):
    """Why a token that was shown is not good."""

    MISSING = "missing"
    MALFORMED = "malformed"
    EXPIRED = "expired"
    REVOKED = "revoked"
    OTHER_HOST = "other_host"


@dataclass(slots=True)
class Granted:
    """One token that was granted; times are on the simulator's clock, whatever the token says."""

    token: str
    kind: TokenKind
    client_id: str
    about: str
    """What it was asked for: two grants alike in this can be one token (fault `same_token`)."""
    scopes: frozenset[str]
    issued_at: float
    ends_at: float
    revoked_at: float = math.inf


class Grants:
    """Tokens as a host of USPS knows them.

    Like USPS's they carry everything themselves: a simulator that is started again on the same
    address knows its tokens, though not which of them were revoked.
    """

    def __init__(self, identity: str = "") -> None:
        self._granted: dict[str, Granted] = {}
        self.count: dict[TokenKind, int] = dict.fromkeys(TokenKind, 0)
        """Distinct tokens granted so far."""
        self.identify(identity)

    def identify(self, identity: str) -> None:
        """Be this host from now on: it knows its own signature and no other."""
        self._key = hashlib.sha256(f"usps-token-broker simulator {identity}".encode()).digest()
        self.public_key = jwt.public_key(self._key)
        """The key that is handed out with every bearer."""

    def sign(self, claims: jwt.Claims) -> str:
        """A token of this host that says so."""
        return jwt.encode(claims, self._key)

    def opaque(self) -> str:
        """A token that says nothing."""
        return secrets.token_urlsafe(48)

    def add(self, granted: Granted) -> None:
        """Know this token from now on."""
        if len(self._granted) >= REMEMBERED:
            del self._granted[next(iter(self._granted))]
        self.count[granted.kind] += granted.token not in self._granted
        self._granted[granted.token] = granted

    def latest(self, kind: TokenKind, client_id: str, about: str) -> Granted | None:
        """The token granted last to this app for the same."""
        alike = (kind, client_id, about)
        for granted in reversed(self._granted.values()):
            if (granted.kind, granted.client_id, granted.about) == alike:
                return granted
        return None

    def revoke(self, kinds: Iterable[TokenKind], now: float, client_id: str | None = None) -> int:
        """Let the live tokens of these kinds die, of one app or of all, and say how many did."""
        wanted = frozenset(kinds)
        return self._revoke_where(
            lambda one: one.kind in wanted and client_id in (None, one.client_id), now
        )

    def owner(self, token: str) -> str:
        """The client id that a token was granted to, empty when it does not say."""
        known = self._granted.get(token)
        if known is not None:
            return known.client_id
        claims = jwt.decode(token)
        named = None if claims is None else claims.get("azp")
        return named if isinstance(named, str) else ""

    def judge(self, token: str, kind: TokenKind, now: float) -> Granted | Refusal:
        """The grant behind a token shown where one of this kind belongs, or what is wrong."""
        if not token:
            return Refusal.MISSING
        known = self._granted.get(token)
        if known is not None:
            return self._judge_known(known, kind, now)
        claims = jwt.decode(token)
        if claims is None:
            return Refusal.MALFORMED
        if not jwt.is_signed_with(token, self._key):
            return Refusal.OTHER_HOST
        return _judge_claims(token, claims, kind, now)

    def _revoke_where(self, dies: Callable[[Granted], bool], now: float) -> int:
        dead = [
            one
            for one in self._granted.values()
            if one.ends_at > now and one.revoked_at > now and dies(one)
        ]
        for one in dead:
            one.revoked_at = now
        return len(dead)

    @staticmethod
    def _judge_known(known: Granted, kind: TokenKind, now: float) -> Granted | Refusal:
        if known.kind is not kind:
            return Refusal.MALFORMED
        if now >= known.ends_at:
            return Refusal.EXPIRED
        return Refusal.REVOKED if now >= known.revoked_at else known


def _judge_claims(token: str, claims: jwt.Claims, kind: TokenKind, now: float) -> Granted | Refusal:
    """Judge a token of this host that an earlier run of it granted."""
    scope, client_id = claims.get("scope"), claims.get("azp")
    issued_at, ends_at = claims.get("iat"), claims.get("exp")
    is_of_kind = isinstance(scope, str) == (kind is TokenKind.BEARER)
    if not (is_of_kind and isinstance(issued_at, int) and isinstance(ends_at, int)):
        return Refusal.MALFORMED
    if now >= ends_at:
        return Refusal.EXPIRED
    scopes = frozenset(scope.split()) if isinstance(scope, str) else frozenset[str]()
    return Granted(token, kind, str(client_id), "", scopes, float(issued_at), float(ends_at))
