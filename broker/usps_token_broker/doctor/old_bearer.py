"""Whether a new bearer kills the one before it, which USPS has published nowhere.

It is tried on order only, with two calls: a renewal through the broker, which its budget counts,
and one look-up of an address with the old bearer, which costs one call of the quota of Addresses
(60 an hour by default; developers.usps.com, Getting Started).
"""

import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from usps_token_broker.config import AppSettings
from usps_token_broker.core.notes import span
from usps_token_broker.core.values import BEARER, Secret
from usps_token_broker.doctor import proofs
from usps_token_broker.doctor.fencing import HangsError, within
from usps_token_broker.doctor.findings import Finding, failed, passed, unseen, warned
from usps_token_broker.doctor.proofs import Fate, Proof
from usps_token_broker.doctor.scene import ASK_SECONDS, Scene
from usps_token_broker.drivers import clock, probing
from usps_token_broker.drivers.upstream import looking_up
from usps_token_broker.drivers.upstream.looking_up import Answered as Reply
from usps_token_broker.wire.messages import TokenMessage
from usps_token_broker.wire.orders import RenewalMessage
from usps_token_broker.wire.redaction import redact
from usps_token_broker.wire.usps import parse_error
from usps_token_broker.wire.verdict_rules import VerdictCode
from usps_token_broker.wire.verdicts import Answered, judge

PROOF_SECONDS: Final = 60.0
_CHECK: Final = "old bearer"
_ONLINE: Final = "online"
_WAIT_SECONDS: Final = 20.0
_ADDRESS: Final = urlencode(
    {"streetAddress": "475 LENFANT PLZ SW", "city": "WASHINGTON", "state": "DC"}
)
_LOOKED_UP: Final = frozenset({http.client.OK, http.client.BAD_REQUEST, http.client.NOT_FOUND})
PATH: Final = f"/addresses/v3/address?{_ADDRESS}"
"""USPS's own address: harmless, and sure to be found."""


def judge_fate(status: int, headers: dict[str, str], body: str, host: str) -> tuple[Fate, str]:
    """What the answer to a call with the old bearer says of it."""
    answered = Answered(status, headers, body, PATH, app_host=host)
    verdict = judge(answered)
    # A 401 without a word has other causes too, such as a host that the token is not for.
    if verdict.code is VerdictCode.TOKEN_DEAD and _is_object(body) and parse_error(body).message:
        return Fate.DIES, verdict.detail
    # Whoever looks into the address has let the token pass; a page is of something in between.
    if status in _LOOKED_UP and _is_object(body):
        return Fate.LIVES, f"USPS answered {status}"
    return Fate.UNKNOWN, verdict.detail


def _is_object(body: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def prove(scene: Scene) -> Iterator[Finding]:
    """Make the two calls, and record what came of them. Blocks."""
    if scene.settings is None or scene.socket is None:
        yield unseen(_ONLINE, "it takes a broker that answers, and its configuration")
        return
    app = _app(scene)
    if app is None:
        names = ", ".join(app.name for app in scene.settings.apps)
        yield unseen(_ONLINE, "which app is meant is not clear", f"--app NAME, one of {names}")
        return
    admin = next((path for path in admin_sockets(scene) if os.access(path, os.W_OK)), None)
    if admin is None:
        yield unseen(_ONLINE, "the admin socket is not open to this user", "use sudo")
        return
    old = _bearer(scene.socket, app.name)
    if old is None:
        saw = f"app {app.name}: there is no good bearer to begin with, so no call was made"
        yield unseen(_ONLINE, saw, "put right what the other checks say, then do it again")
        return
    renewed = _renewal(admin, app.name)
    if isinstance(renewed, Finding):
        yield renewed
        return
    yield passed(_ONLINE, f"app {app.name}: USPS granted another bearer")
    new = _bearer(scene.socket, app.name)
    if new is None or new.token == old.token:
        yield unseen(_ONLINE, f"app {app.name}: it is the same bearer, so there is no old one")
        return
    yield from _tried(scene, app, Secret(old.token))


def _tried(scene: Scene, app: AppSettings, old: Secret) -> Iterator[Finding]:
    """The second call, with the bearer that another was granted after."""
    try:
        answer = _look_up(app, old)
    except (HangsError, OSError, http.client.HTTPException) as error:
        told = redact(str(error), [old])
        saw = f"app {app.name}: the look-up with the old bearer came to nothing: {told}"
        yield unseen(_ONLINE, saw, "see what is said of tls and token, and do it again later")
        return
    fate, detail = judge_fate(answer.status, dict(answer.headers), answer.body, app.host)
    proof = Proof(app.host, fate, clock.now().wall, redact(detail, [old]))
    yield from _recorded(scene, proof)


def _app(scene: Scene) -> AppSettings | None:
    apps = scene.settings.apps if scene.settings else ()
    wanted = scene.app or ("default" if len(apps) > 1 else None)
    return next((app for app in apps if wanted in {None, app.name}), None)


def _bearer(socket: Path, app: str) -> TokenMessage | None:
    target = f"/v1/tokens/{BEARER}?{urlencode({'app': app, 'wait': '0', 'min_valid': '120'})}"
    heard = probing.ask(socket, "GET", target, ASK_SECONDS)
    if heard.status != http.client.OK:
        return None
    token = msgspec.json.decode(heard.body, type=TokenMessage)
    return None if token.degraded else token


def _renewal(admin: Path, app: str) -> RenewalMessage | Finding:
    """Another bearer by order, or why there is none."""
    query = urlencode({"app": app, "wait": f"{_WAIT_SECONDS:g}"})
    target = f"/v1/tokens/{quote(BEARER)}/renewals?{query}"
    heard = probing.ask(admin, "POST", target, _WAIT_SECONDS + ASK_SECONDS)
    if heard.status == http.client.OK:
        return msgspec.json.decode(heard.body, type=RenewalMessage)
    told = msgspec.json.decode(heard.body)
    code = told.get("reason") or told.get("code")
    saw = f"app {app}: no other bearer: {redact(str(told.get('detail')))}"
    if code == "budget_exhausted":  # nothing is wrong: the rest is for planned renewals
        return unseen(_ONLINE, saw, _again(told.get("retry_after")))
    try:
        return failed(_ONLINE, str(code), saw, str(told.get("fix") or ""))
    except KeyError:
        return failed(_ONLINE, "not_recognised", saw)


def _again(seconds: object) -> str:
    when = f"in {span(seconds)}" if isinstance(seconds, int | float) else "later"
    return f"`usps-token-broker doctor --online` {when}"


def admin_sockets(scene: Scene) -> Iterator[Path]:
    """Where the admin socket may be, the likeliest first."""
    yield from scene.admin_sockets
    if scene.settings is not None and not scene.admin_sockets:
        yield scene.settings.state_dir / "admin.sock"


def _look_up(app: AppSettings, bearer: Secret) -> Reply:
    ca_file = str(app.ca_file) if app.ca_file else None
    wait = app.timeout_seconds

    def look_up() -> Reply:
        return looking_up.get(app.base_url, PATH, bearer, wait, proxy=app.proxy, ca_file=ca_file)

    # Its own timeout is that of a silence: an answer may come byte by byte.
    return within(wait + 1, look_up)


def _recorded(scene: Scene, proof: Proof) -> Iterator[Finding]:
    """The next check tells what is on record; what cannot be recorded is told here."""
    assert scene.settings is not None  # noqa: S101 - there is an app
    if proof.fate is Fate.UNKNOWN:  # what was found out before stands
        yield judge_proof(proof, proof.at)
        return
    try:
        proofs.write(scene.settings.state_dir, proof)
    except OSError as error:
        yield judge_proof(proof, proof.at)
        saw = f"the answer is not kept for later: {error.strerror}"
        yield warned(_ONLINE, "state_not_saved", saw)


def look(scene: Scene) -> Iterator[Finding]:
    """What was found out before."""
    if scene.settings is None:
        yield unseen(_CHECK, "there is no configuration that says where it would be recorded")
        return
    try:
        known = proofs.read(scene.settings.state_dir)
    except PermissionError:
        yield unseen(_CHECK, "what was found out is not open to this user", "use sudo")
        return
    for host in dict.fromkeys(app.host for app in scene.settings.apps):
        proof = next((proof for proof in known if proof.host == host), None)
        if proof is None:
            yield unseen(
                _CHECK,
                f"{host}: nobody has tried whether a new bearer kills the one before",
                "`usps-token-broker doctor --online` does, with two calls",
            )
        else:
            yield judge_proof(proof, clock.now().wall)


def judge_proof(proof: Proof, now: float) -> Finding:
    """What it means for workers."""
    ago = f"tried {span(max(0.0, now - proof.at))} ago"
    match proof.fate:
        case Fate.LIVES:
            return passed(_CHECK, f"{proof.host}: it lives on beside a new one, at first ({ago})")
        case Fate.DIES:
            saw = f"{proof.host}: it dies with a new one ({ago}: {proof.detail})"
            return warned(_CHECK, "old_bearer_dies", saw)
        case Fate.UNKNOWN:
            return unseen(_CHECK, f"{proof.host}: USPS's answer did not tell ({proof.detail})")
