"""The way to USPS: its name, a connection, TLS. No call is made, and no quota is used."""

import ssl
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from usps_token_broker.catalogue import row
from usps_token_broker.config import AppSettings
from usps_token_broker.core.notes import span
from usps_token_broker.doctor.fencing import HangsError, within
from usps_token_broker.doctor.findings import Finding, failed, passed, unseen, warned
from usps_token_broker.doctor.scene import Scene
from usps_token_broker.drivers import clock, probing
from usps_token_broker.drivers.upstream.faults import OUT_OF_TIME
from usps_token_broker.drivers.upstream.handshake import (
    Handshake,
    ProxyRefusedError,
    SilentError,
    shake_hands,
)

_DNS: Final = "dns"
_TLS: Final = "tls"
_SOON_SECONDS: Final = 7 * 86_400.0
"""A certificate that ends within a week is overdue: they are renewed weeks before."""
_CALL_SECONDS: Final = 8.0
"""As long as a whole call to USPS may take by default: a slower name is as good as none."""
_SSL_WORDS: Final = {
    "WRONG_VERSION_NUMBER": "it speaks no TLS",
    "UNEXPECTED_EOF_WHILE_READING": "it hung up during the handshake",
}
_SEE_PROXY: Final = "check proxy in the configuration, and the network of this host"
_PROXIES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def _routes(scene: Scene) -> list[AppSettings]:
    """One app for each different way."""
    apps = scene.settings.apps if scene.settings else ()
    return list({(app.base_url, app.proxy, app.ca_file): app for app in apps}.values())


def look_at_names(scene: Scene) -> Iterator[Finding]:
    """Whether the name service knows whom a call would go to. Blocks."""
    if scene.settings is None:
        yield unseen(_DNS, "there is no configuration that names a host")
        return
    for app in _routes(scene):
        yield from _look_at_name(scene, app)


def _look_at_name(scene: Scene, app: AppSettings) -> Iterator[Finding]:
    host, port = _next_end(app)
    try:
        found = within(_CALL_SECONDS, lambda: probing.addresses(host, port))
    except (HangsError, OSError, UnicodeError) as error:
        scene.nameless.add(host)
        yield judge_nameless(app, error, _proxy_hint(scene.environ, app))
    else:
        more = f" and {len(found) - 2} more" if len(found) > 2 else ""  # noqa: PLR2004
        told = "an address itself" if found == [host] else f"{', '.join(found[:2])}{more}"
        yield passed(_DNS, f"{_whose(app)}: {told}")


def _next_end(app: AppSettings) -> tuple[str, int]:
    """Whom a call connects to: the proxy, where there is one."""
    url = urlsplit(app.proxy or app.base_url)
    return url.hostname or "", url.port or 443


def _whose(app: AppSettings) -> str:
    host, _ = _next_end(app)
    return f"{host} (the proxy)" if app.proxy else host


def judge_nameless(app: AppSettings, error: Exception, hint: str = "") -> Finding:
    """Why there is no address, in the words of the name service."""
    match error:
        case HangsError():
            why = f"the name service gives {error}"
        case OSError():
            why = error.strerror or type(error).__name__
        case _:
            why = "it is no name at all"
    host, _ = _next_end(app)
    fix = f"`getent hosts {host}` and /etc/resolv.conf say more{hint}"
    return failed(_DNS, "dns_failed", f"{_whose(app)} has no address: {why}", fix)


def _proxy_hint(environ: Mapping[str, str], app: AppSettings) -> str:
    """Proxies of the environment are not used, which whoever set one does not expect."""
    named = next((name for name in _PROXIES if environ.get(name)), None)
    if app.proxy is not None or named is None:
        return ""
    return (
        f"; {named} is set here, which the broker does not use: write proxy = … below "
        f"[apps.{app.name}]"
    )


def look_at_tls(scene: Scene) -> Iterator[Finding]:
    """Connect as a call would, through the proxy if one is configured. Blocks."""
    if scene.settings is None:
        yield unseen(_TLS, "there is no configuration that names a host")
        return
    for app in _routes(scene):
        host, _ = _next_end(app)
        if host in scene.nameless:
            yield unseen(_TLS, f"{app.base_url}: there is no address of {host} to connect to")
            continue
        try:
            hands = _hands(app)
        except (OSError, ProxyRefusedError, UnicodeError) as error:
            yield judge_failure(app, error, _proxy_hint(scene.environ, app))
        else:
            yield judge_handshake(app, hands, clock.now().wall)


def _hands(app: AppSettings) -> Handshake:
    """All of it within the time of a call: each address of a host takes its own, each byte too."""
    ca_file = str(app.ca_file) if app.ca_file else None
    most = connect_seconds(app)

    def shake() -> Handshake:
        return shake_hands(app.base_url, most, proxy=app.proxy, ca_file=ca_file)

    try:
        # A little more, so that whoever is silent is named.
        return within(most + 0.5, shake)
    except HangsError:
        raise TimeoutError from None


def connect_seconds(app: AppSettings) -> float:
    """As long as the broker would wait, and no longer than a check may take."""
    return min(app.timeout_seconds, _CALL_SECONDS)


def judge_failure(app: AppSettings, error: Exception, hint: str = "") -> Finding:
    """Why there was no connection, in the words of the catalogue."""
    by = f" by the proxy {app.proxy}" if app.proxy else ""
    to = f"{app.base_url}{by}"
    match error:
        case ssl.SSLCertVerificationError():
            late = error.verify_code in OUT_OF_TIME
            code = "certificate_out_of_time" if late else "certificate_refused"
            return failed(_TLS, code, f"{to}: {error.verify_message}")
        case ssl.SSLError():
            reason = getattr(error, "reason", None) or "it broke off"
            return failed(_TLS, "tls_failed", f"{to}: {_SSL_WORDS.get(reason, reason)}")
        case ProxyRefusedError():
            return failed(_TLS, "proxy_refused", f"{to}: {error}")
        case OSError() if app.ca_file and error.filename == str(app.ca_file):
            return failed(_TLS, "ca_file_unusable", f"{app.ca_file}: {error.strerror}")
        case SilentError():
            saw = f"{to}: {error} within {connect_seconds(app):g} s"
        case TimeoutError():
            saw = f"{to}: no connection within {connect_seconds(app):g} s"
        case OSError():
            saw = f"{to}: {error.strerror or type(error).__name__}"
        case _:
            saw = f"{to}: {type(error).__name__}"
    fix = _SEE_PROXY if app.proxy else row("not_connected").fix
    return failed(_TLS, "not_connected", saw, f"{fix}{hint}")


def judge_handshake(app: AppSettings, hands: Handshake, now: float) -> Finding:
    """A connection that was made: how, and until when its certificate is good."""
    by = f" by the proxy {app.proxy}" if app.proxy else ""
    if not hands.version and app.base_url.startswith("https:"):
        return unseen(_TLS, f"{app.base_url}{by}: the proxy lets us through; TLS within its own")
    if not hands.version:
        return passed(_TLS, f"{app.base_url}{by} takes connections; without TLS of its own")
    if hands.ends_at is None:
        return passed(_TLS, f"{app.base_url}{by}: {hands.version}")
    left = hands.ends_at - now
    saw = f"{app.base_url}{by}: {hands.version}, its certificate is good for {span(left)}"
    if left < _SOON_SECONDS:
        fix = "nothing to do yet: if it is that of a proxy of yours, have it renewed"
        return warned(_TLS, "certificate_out_of_time", saw, fix)
    return passed(_TLS, saw)
