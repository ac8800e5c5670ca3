"""What is different between two configurations, in words for who had one replaced by the other."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Final

from usps_token_broker.config.problems import Problem, key_path
from usps_token_broker.config.settings import AppSettings, BrokenSlot, Settings, SlotSettings

_SHOWN: Final = (
    "base_url",
    "client_id",
    "buffer_seconds",
    "lead_seconds",
    "calls_per_hour",
    "timeout_seconds",
    "proxy",
    "ca_file",
)
"""Keys of an app whose values may be told."""


def differences(before: Settings, after: Settings) -> list[str]:
    """One line for each thing that is different; no secret in any."""
    old = {app.name: app for app in before.apps}
    new = {app.name: app for app in after.apps}
    out = [f"app {name} removed" for name in old if name not in new]
    out += [f"app {name} added" for name in new if name not in old]
    for name, app in new.items():
        if name in old:
            out += _of_app(old[name], app)
    return out


def _of_app(before: AppSettings, after: AppSettings) -> Iterator[str]:
    for key in _SHOWN:
        old, new = getattr(before, key), getattr(after, key)
        if old != new:
            yield f"{key_path('apps', after.name, key)}: {_told(old)} -> {_told(new)}"
    if before.secret != after.secret:
        yield f"{key_path('apps', after.name, 'client_secret')}: is read from elsewhere"
    yield from _of_slots(after.name, _slots(before), _slots(after))


def _of_slots(
    app: str, before: Mapping[str, SlotSettings], after: Mapping[str, SlotSettings]
) -> Iterator[str]:
    for name in before:
        if name not in after:
            yield f"{app}/{name} removed"
    for name, slot in after.items():
        old = before.get(name)
        if old is None:
            yield f"{app}/{name} added"
            continue
        if (old.users, old.groups) != (slot.users, slot.groups):
            yield f"{app}/{name}: open to others than before"
        if old.roles_fingerprint != slot.roles_fingerprint:
            yield f"{app}/{name}: other roles, so its token is fetched anew"
        if old.required != slot.required:
            yield f"{app}/{name}: {'required' if slot.required else 'no longer required'}"
        if old.keep_active != slot.keep_active:
            yield f'{app}/{name}: keep = "{"active" if slot.keep_active else "always"}"'


def _slots(app: AppSettings) -> dict[str, SlotSettings]:
    return {slot.name: slot for slot in (app.bearer, *app.payments)}


def _told(value: object) -> str:
    return "none" if value is None else str(value)


def _flag(value: bool) -> str:  # noqa: FBT001 - it is what is said
    return str(value).lower()


def fixed(before: Settings, after: Settings) -> Iterator[Problem]:
    """What only another process can have: where it is found and saves, and what a user may take."""
    places = (
        ("socket", before.socket_path, after.socket_path),
        ("state_dir", before.state_dir, after.state_dir),
        (after.http.key if after.http else "http.listen", before.http, after.http),
        ("http.tokens", _flag(before.http_tokens), _flag(after.http_tokens)),
        ("http.keys_file", before.keys_file, after.keys_file),
    )
    for key, old, new in places:
        if old != new:
            yield Problem(
                after.source.removeprefix("file "),
                key,
                f"{_told(old)}, as when the broker was started",
                _told(new),
                "restart the broker to move it, which loses no token where state_dir stays",
            )
    for limit in fields(before.limits):
        old_limit, new_limit = getattr(before.limits, limit.name), getattr(after.limits, limit.name)
        if old_limit != new_limit:
            yield Problem(
                after.source.removeprefix("file "),
                key_path("limits", limit.name),
                f"{old_limit}, as when the broker was started",
                str(new_limit),
                "restart the broker to change it, which loses no token",
            )


def keep_broken(before: Settings, after: Settings) -> Settings:
    """The settings after, with what was read before from files that cannot be used now."""
    apps = {app.name: app for app in after.apps}
    for app, slot in _read_from(before, after.broken):
        known = apps.get(app)
        if known is not None and slot.name not in _slots(known):
            apps[app] = replace(known, payments=(*known.payments, slot))
    return replace(after, apps=tuple(apps.values()))


def _read_from(
    settings: Settings, broken: Iterable[BrokenSlot]
) -> Iterator[tuple[str, SlotSettings]]:
    paths = {slot.path for slot in broken}
    for app in settings.apps:
        for slot in app.payments:
            if slot.file in paths:
                yield app.name, slot
