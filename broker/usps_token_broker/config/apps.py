"""`[apps.NAME]` and the slots in it, from tables to settings."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from usps_token_broker.config.certificates import CertificatesKind
from usps_token_broker.config.hosts import PRODUCTION, BaseUrl, BaseUrlKind
from usps_token_broker.config.kinds import (
    CLIENT_ID,
    Choice,
    Flag,
    Kind,
    ListOf,
    Span,
    Text,
    Whole,
)
from usps_token_broker.config.people import GROUP, USER
from usps_token_broker.config.problems import quoted
from usps_token_broker.config.roles import RolesKind, fingerprint
from usps_token_broker.config.secrets import SecretKind
from usps_token_broker.config.settings import CALLS_PER_HOUR, AppSettings, SlotSettings
from usps_token_broker.config.tables import Table
from usps_token_broker.core.values import BEARER, PAYMENT
from usps_token_broker.drivers.secret_source import EnvironmentSource, SecretSource

_QUARTER: Final = "a quarter of the 8 hours that tokens live"
_BUFFER: Final = Span(0, 7200, "1800", _QUARTER)
_LEAD: Final = Span(0, 7200, "3600", _QUARTER)
_CALLS: Final = Whole(4, 3600, str(CALLS_PER_HOUR), "USPS allows 60 unless it granted you more")
_TIMEOUT: Final = Span(1, 60, "8")
_PROXY: Final = Text(
    re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?/?"),
    "scheme, host and port of a proxy, without user and password",
    '"http://proxy.example:3128"',
    private=True,
)
_CA_FILE: Final = CertificatesKind()
_ACTIVE: Final = "active"
_KEEP: Final = Choice(("always", _ACTIVE), f'"{_ACTIVE}"')
_USERS: Final = ListOf(USER)
_GROUPS: Final = ListOf(GROUP)
_STAND_IN: Final = EnvironmentSource("")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the top of the file says for all apps."""

    http_hosts: Collection[str] = ()
    allow_readable_secret: bool = False


def read_app(name: str, table: Table, rules: Rules) -> AppSettings:
    """One app. What is wrong is noted on the table."""
    base = table.take("base_url", BaseUrlKind(rules.http_hosts), PRODUCTION)
    secret: Kind[SecretSource] = SecretKind(rules.allow_readable_secret)
    app = AppSettings(
        name=name,
        base_url=base.url,
        host=base.host,
        client_id=table.need("client_id", CLIENT_ID, ""),
        secret=table.need("client_secret", secret, _STAND_IN),
        buffer_seconds=table.take("buffer_seconds", _BUFFER, 1800.0),
        lead_seconds=table.take("lead_seconds", _LEAD, 3600.0),
        calls_per_hour=table.take("calls_per_hour", _CALLS, CALLS_PER_HOUR),
        timeout_seconds=table.take("timeout_seconds", _TIMEOUT, 8.0),
        bearer=_read_bearer(table.table("bearer")),
        payments=tuple(read_payment(n, t) for n, t in table.named_tables("payments")),
        proxy=_read_proxy(table, base),
        ca_file=table.take("ca_file", _CA_FILE, None),
    )
    table.finish()
    return app


def _read_proxy(table: Table, base: BaseUrl) -> str | None:
    proxy = table.take("proxy", _PROXY, None)
    if proxy is not None and base.is_plain_and_local:
        table.note(
            "no proxy to a host of this machine",
            f"one, and base_url = {quoted(base.url)}",
            "remove proxy: over http it would read the client secret",
            "proxy",
        )
    return proxy


def read_payment(name: str, table: Table) -> SlotSettings:
    """One payment slot; the one named `default` is called `payment`, others `payment-NAME`."""
    roles = table.need("roles", RolesKind(), ())
    required = table.take("required", Flag(), default=False)
    keep_active = table.take("keep", _KEEP, "always") == _ACTIVE
    if required and keep_active:
        fix = "remove this line, or else required = true: a required token must always be there"
        table.note('"always" beside required = true', f'"{_ACTIVE}"', fix, "keep")
    slot = SlotSettings(
        name=slot_name(name),
        users=frozenset(table.take("users", _USERS, ())),
        groups=frozenset(table.take("groups", _GROUPS, ())),
        required=required,
        roles=roles,
        roles_fingerprint=fingerprint(roles),
        keep_active=keep_active,
    )
    table.finish()
    return slot


def slot_name(payment: str) -> str:
    """The slot of a payment table or file of this name."""
    return PAYMENT if payment == "default" else f"{PAYMENT}-{payment}"


def _read_bearer(table: Table) -> SlotSettings:
    slot = SlotSettings(
        name=BEARER,
        users=frozenset(table.take("users", _USERS, ())),
        groups=frozenset(table.take("groups", _GROUPS, ())),
        required=table.take("required", Flag(), default=True),
    )
    table.finish()
    return slot
