"""How the simulated USPS is set up: given at the start, changed while it runs."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from usps_token_broker.core.values import Secret
from usps_token_broker.simulator.names import (
    DEFAULT_CLIENT_ID,
    DEFAULT_CLIENT_SECRET,
    DEFAULT_QUOTAS,
    DEFAULT_SCOPES,
    NOMINAL_LIFE_SECONDS,
    PRODUCTION_ISSUER,
    Api,
)

LEAST_LIFE_SECONDS: Final = 2
"""With less, expires_in, a whole number and the life less 1, would say 0."""

_LONGEST_SECONDS: Final = 1_000_000_000


class SettingsError(ValueError):
    """A setting that does not exist or does not fit; the text says what would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything about the simulated USPS that is not a fault."""

    client_id: str = DEFAULT_CLIENT_ID
    client_secret: Secret = field(default_factory=lambda: Secret(DEFAULT_CLIENT_SECRET))
    more_apps: Mapping[str, Secret] = field(default_factory=dict)
    """Further applications, client id to secret; each has quotas and tokens of its own."""
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    """What an app is granted when it asks for nothing in particular."""
    life_seconds: int = NOMINAL_LIFE_SECONDS
    payment_life_seconds: int | None = None
    """None: the same as `life_seconds`."""
    quotas: Mapping[Api, int | None] = field(default_factory=lambda: DEFAULT_QUOTAS)
    """Calls an hour, app and endpoint; None is no limit."""
    clock_offset_seconds: float = 0.0
    """How wrong USPS's clock is. Lives are unharmed: only what it writes is off."""
    issuer: str = PRODUCTION_ISSUER
    payment_refusal_status: int = 401
    """What a label call with a dead payment token gets: the real status is not known."""

    def __post_init__(self) -> None:
        for name, rule in RULES.items():
            object.__setattr__(self, name, rule.read(getattr(self, name)))
        object.__setattr__(self, "quotas", MappingProxyType({**DEFAULT_QUOTAS, **self.quotas}))

    def secret_of(self, client_id: str) -> Secret | None:
        """The secret of an app; None for an id that USPS does not know."""
        if client_id == self.client_id:
            return self.client_secret
        return self.more_apps.get(client_id)

    @property
    def payment_life(self) -> int:
        """The life of payment tokens in seconds."""
        return self.payment_life_seconds or self.life_seconds

    def changed(self, changes: Mapping[str, object]) -> "Settings":
        """These settings with some of them replaced; quotas are merged, all else is replaced.

        Raises:
            SettingsError: A name is unknown or a value does not fit; nothing is changed then.
        """
        unknown = sorted(set(changes) - set(RULES))
        if unknown:
            raise SettingsError(f"there is no setting {unknown[0]!r}; there are: {rules_text()}")
        values: dict[str, Any] = dict(changes)
        if "quotas" in values:
            values["quotas"] = {**self.quotas, **_quotas(values["quotas"])}
        # The rules run in __post_init__, so whatever stands in `values` is checked there.
        return dataclasses.replace(self, **values)

    def as_fields(self) -> dict[str, object]:
        """They as JSON can say it, without the secrets."""
        return {
            "client_id": self.client_id,
            "more_apps": sorted(self.more_apps),
            "scopes": list(self.scopes),
            "life_seconds": self.life_seconds,
            "payment_life_seconds": self.payment_life_seconds,
            "quotas": {str(api): limit for api, limit in self.quotas.items()},
            "clock_offset_seconds": self.clock_offset_seconds,
            "issuer": self.issuer,
            "payment_refusal_status": self.payment_refusal_status,
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """What one setting may be."""

    expected: str
    accept: Callable[[object], object]

    def read(self, raw: object) -> object:
        """The value, as the settings keep it.

        Raises:
            SettingsError: It does not fit.
        """
        try:
            return self.accept(raw)
        except (ValueError, TypeError) as error:
            # A value is not quoted: it may be a secret.
            raise SettingsError(f"expected {self.expected}") from error


def _text(raw: object) -> str:
    if not isinstance(raw, str) or not raw or not raw.isprintable():
        raise ValueError
    return raw


def _secret(raw: object) -> Secret:
    return raw if isinstance(raw, Secret) else Secret(_text(raw))


def _apps(raw: object) -> Mapping[str, Secret]:
    if not isinstance(raw, Mapping):
        raise TypeError
    return MappingProxyType({_text(name): _secret(secret) for name, secret in raw.items()})


def _scopes(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str) or not isinstance(raw, list | tuple):
        raise TypeError
    scopes = tuple(_text(scope) for scope in raw)
    if any(" " in scope for scope in scopes):
        raise ValueError
    return scopes


def _whole(raw: object, least: int, most: int) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or raw != int(raw):
        raise ValueError
    if not least <= raw <= most:
        raise ValueError
    return int(raw)


def _life(raw: object) -> int:
    return _whole(raw, LEAST_LIFE_SECONDS, _LONGEST_SECONDS)


def _quotas(raw: object) -> dict[Api, int | None]:
    if not isinstance(raw, Mapping):
        raise SettingsError(f"quotas: expected {RULES['quotas'].expected}")
    try:
        return {
            Api(name): None if limit is None else _whole(limit, 0, _LONGEST_SECONDS)
            for name, limit in raw.items()
        }
    except ValueError as error:
        raise SettingsError(f"quotas: expected {RULES['quotas'].expected}") from error


def _offset(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise TypeError
    if not math.isfinite(raw) or abs(raw) > _LONGEST_SECONDS:
        raise ValueError
    return float(raw)


def _named(name: str, expected: str, accept: Callable[[object], object]) -> tuple[str, Rule]:
    return name, Rule(f"{name} to be {expected}", accept)


RULES: Final = dict(
    (
        _named("client_id", "a text", _text),
        _named("client_secret", "a text", _secret),
        _named("more_apps", "an object, client id to secret", _apps),
        _named("scopes", "a list of scope names", _scopes),
        _named("life_seconds", f"a whole number from {LEAST_LIFE_SECONDS}", _life),
        _named(
            "payment_life_seconds",
            f"a whole number from {LEAST_LIFE_SECONDS}, or null for that of the bearer",
            lambda raw: None if raw is None else _life(raw),
        ),
        _named(
            "quotas",
            f"an object, {' | '.join(Api)} to calls an hour, or to null for no limit",
            _quotas,
        ),
        _named("clock_offset_seconds", "a number", _offset),
        _named("issuer", "a text", _text),
        _named("payment_refusal_status", "400, 401 or 403", lambda raw: _whole(raw, 400, 403)),
    )
)
"""What each setting may be; the keys are all there are."""


def rules_text() -> str:
    """The settings for people, a line each."""
    return "".join(f"\n  {rule.expected.replace(' to be', ':', 1)}" for rule in RULES.values())
