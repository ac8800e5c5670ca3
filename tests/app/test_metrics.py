"""The figures that Prometheus scrapes: names, types, and values after a story on virtual time."""

import errno
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import anyio
import pytest
from interface import ADMIN, ALICE, BOB, STRANGER, app, open_interface
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse
from virtual import DOWN, HOUR, INVALID_CLIENT, START_WALL

from usps_token_broker import catalogue
from usps_token_broker.app import (
    figures,  # noqa: F401 - else the first scrape imports it, in a thread
    metrics,
)
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.drivers.peers import Peer
from usps_token_broker.wire.status import PeerMessage

pytestmark = pytest.mark.anyio

P = "usps_token_broker"
SLOTS = {("default", "bearer"), ("default", "payment")}
TYPES = {
    f"{P}_info": "gauge",
    f"{P}_start_time_seconds": "gauge",
    f"{P}_state_trouble": "gauge",
    f"{P}_connections": "gauge",
    f"{P}_waiting_requests": "gauge",
    f"{P}_requests": "counter",
    f"{P}_reloads": "counter",
    f"{P}_slot_ready": "gauge",
    f"{P}_slot_required": "gauge",
    f"{P}_slot_degraded": "gauge",
    f"{P}_slot_dormant": "gauge",
    f"{P}_token_expiry_timestamp_seconds": "gauge",
    f"{P}_slot_next_attempt_timestamp_seconds": "gauge",
    f"{P}_slot_attempts_left": "gauge",
    f"{P}_slot_phase": "gauge",
    f"{P}_slot_freshness": "gauge",
    f"{P}_slot_trouble": "gauge",
    f"{P}_grants": "counter",
    f"{P}_failed_attempts": "counter",
    f"{P}_upstream_call_duration_seconds": "histogram",
    f"{P}_calls_in_last_hour": "gauge",
    f"{P}_calls_per_hour": "gauge",
    f"{P}_held_until_timestamp_seconds": "gauge",
    f"{P}_usps_clock_skew_seconds": "gauge",
    f"{P}_reports": "counter",
    "process_virtual_memory_bytes": "gauge",
    "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge",
    "process_cpu_seconds": "counter",
    "process_max_fds": "gauge",
    "process_open_fds": "gauge",
}


async def scrape(broker, who=ADMIN):
    """Every sample by its name and the values of its labels, in the order of their names."""
    answer = await broker.get("/metrics", who=who)
    assert answer.status == 200
    return {
        (sample.name.removeprefix(f"{P}_"), *(v for _, v in sorted(sample.labels.items()))): (
            sample.value
        )
        for family in parse(answer.body.decode())
        for sample in family.samples
    }


async def test_names_and_types():
    """Dashboards and alerts are written against them."""
    async with open_interface() as broker:
        await broker.token()
        text = (await broker.get("/metrics")).body.decode()
    assert {family.name: family.type for family in parse(text)} == TYPES


async def test_the_parsers_agree_on_both_formats():
    """OpenMetrics for who accepts it, which is stricter; the text format for anybody else."""
    async with open_interface() as broker:
        await broker.token()
        plain = await broker.get("/metrics", {"Accept": "*/*"})
        accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
        open_metrics = await broker.get("/metrics", {"Accept": accept})
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    ours = {family.name for family in parse(plain.body.decode())}
    theirs = {family.name for family in parse_open(open_metrics.body.decode())}
    assert {name.removesuffix("_info") for name in ours} == theirs


@pytest.mark.parametrize(
    "accept",
    ["", "application/openmetrics-text;version=\xe9", "APPLICATION/OPENMETRICS-TEXT;,;=", ";"],
)
async def test_an_accept_that_makes_no_sense_is_answered_all_the_same(accept):
    """And nothing of it comes back."""
    async with open_interface() as broker:
        answer = await broker.get("/metrics", {"Accept": accept})
    assert answer.status == 200
    assert answer.headers["content-type"] in {
        "text/plain; version=0.0.4; charset=utf-8",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    }


async def test_a_broker_that_has_just_started():
    """Counters begin at 0, so that the first count is seen as a rise; no token has no end."""
    async with open_interface(start=False) as broker:
        samples = await scrape(broker)
    assert samples["info", "1.2.3"] == 1
    assert samples["start_time_seconds",] == START_WALL
    for slot in SLOTS:
        assert samples["slot_ready", *slot] == 0
        assert samples["grants_total", *slot] == 0
    assert not [key for key in samples if key[0] == "token_expiry_timestamp_seconds"]
    assert samples["reloads_total", "applied"] == samples["reloads_total", "refused"] == 0
    assert samples["reports_total", "default", "renewed"] == 0


async def test_a_broker_with_both_tokens():
    """How each stands, and what was called for it."""
    async with open_interface() as broker:
        token = await broker.token()
        await anyio.sleep(20)
        samples = await scrape(broker)
    for slot in SLOTS:
        assert samples["slot_ready", *slot] == 1
        assert samples["grants_total", *slot] == 1
        assert 3 < samples["slot_attempts_left", *slot] < 4
        assert samples["slot_next_attempt_timestamp_seconds", *slot] > START_WALL + 6 * HOUR
    assert samples["slot_required", "default", "bearer"] == 1
    assert samples["slot_required", "default", "payment"] == 0
    expiry = samples["token_expiry_timestamp_seconds", "default", "bearer"]
    assert expiry == pytest.approx(token["expires_at"], abs=0.01)
    for endpoint in ("token", "payment-authorization"):
        assert samples["calls_in_last_hour", "default", endpoint] == 1
        assert samples["calls_per_hour", "default", endpoint] == 30


async def test_a_slot_has_one_phase_and_one_freshness():
    """Each value there is has a sample, and one of them is 1."""
    async with open_interface() as broker:
        await broker.token()
        await anyio.sleep(20)
        samples = await scrape(broker)
    phases = {k[2]: v for k, v in samples.items() if k[0] == "slot_phase" and k[3] == "bearer"}
    assert phases == {"idle": 1, "fetching": 0, "waiting": 0, "halted": 0}
    stages = {k[2]: v for k, v in samples.items() if k[0] == "slot_freshness" and k[3] == "bearer"}
    assert stages == {"none": 0, "fresh": 1, "due": 0, "late": 0, "spent": 0}


async def test_attempts_that_fail():
    """By code and kind; those that follow the same failure add up."""
    async with open_interface() as broker:
        broker.usps.answers = lambda _command, _now: DOWN
        await anyio.sleep(60)
        samples = await scrape(broker)
        calls = len(broker.usps.calls)
    assert calls > 1
    key = ("failed_attempts_total", "default", "upstream_unavailable", "transient", "bearer")
    assert samples[key] == calls
    assert samples["grants_total", "default", "bearer"] == 0
    assert samples["slot_phase", "default", "waiting", "bearer"] == 1
    reason = code = "upstream_unavailable"
    assert samples["slot_trouble", "default", code, reason, "bearer"] == 1


async def test_trouble_has_the_name_that_explain_knows():
    """More exact than the code, so that an alert can say what to do."""
    refused = Failure(
        FailureKind.REFUSED,
        Code.PAYMENT_REFUSED,
        "USPS answered 400",
        "see USPS",
        400,
        "100003",
        reason="100003",
    )
    async with open_interface() as broker:
        broker.usps.answers = lambda command, _now: None if command.slot.is_bearer else refused
        await anyio.sleep(20)
        samples = await scrape(broker)
    [key] = [key for key in samples if key[0] == "slot_trouble"]
    assert key == ("slot_trouble", "default", "payment_refused", "100003", "payment")
    assert catalogue.row(key[3]).fix


async def test_a_slot_that_nobody_asks_for_is_told_from_one_that_cannot_be_renewed():
    """Its token ends for want of anybody who wants it: no alert."""
    unused = app()
    kept = tuple(replace(slot, keep_active=True) for slot in unused.payments)
    async with open_interface(replace(unused, payments=kept)) as broker:
        await broker.token("payment")
        used = await scrape(broker)
        await anyio.sleep(40 * HOUR)
        left = await scrape(broker)
    assert used["slot_dormant", "default", "payment"] == 0
    assert left["slot_dormant", "default", "payment"] == 1
    assert left["slot_freshness", "default", "spent", "payment"] == 1
    assert used["slot_dormant", "default", "bearer"] == left["slot_dormant", "default", "bearer"]


async def test_trouble_is_over_with_the_next_grant():
    """An alert on it ends by itself."""
    async with open_interface() as broker:
        broker.usps.answers = lambda _command, _now: DOWN
        await anyio.sleep(60)
        broker.usps.answers = lambda _command, _now: None
        await anyio.sleep(700)
        samples = await scrape(broker)
    assert not [key for key in samples if key[0] == "slot_trouble"]
    assert samples["slot_ready", "default", "bearer"] == 1


async def test_a_grant_of_the_same_token_is_a_failed_attempt():
    """USPS granted, but nothing was gained: the core's word counts, not USPS's."""
    async with open_interface() as broker:
        await broker.token()
        broker.usps.life_seconds = 10.0
        await anyio.sleep(7 * HOUR)
        samples = await scrape(broker)
    key = ("failed_attempts_total", "default", "upstream_unavailable", "unchanged", "bearer")
    assert samples[key] >= 1
    assert samples["grants_total", "default", "bearer"] == 1


async def test_a_retry_after_is_shown_until_it_is_over():
    """As an instant, which needs no other scrape to be understood."""
    failure = Failure(
        FailureKind.RATE_LIMITED,
        Code.UPSTREAM_RATE_LIMITED,
        "USPS answered 429",
        "wait",
        429,
        retry_after_seconds=900.0,
    )
    async with open_interface() as broker:
        broker.usps.answers = lambda command, _now: failure if command.slot.is_bearer else None
        await anyio.sleep(20)
        broker.usps.answers = lambda _command, _now: None
        held = await scrape(broker)
        await anyio.sleep(1000)
        over = await scrape(broker)
    until_at = held["held_until_timestamp_seconds", "default", "token"]
    assert until_at == pytest.approx(START_WALL + 900, abs=1)
    assert not [key for key in over if key[0] == "held_until_timestamp_seconds"]
    assert over["slot_ready", "default", "bearer"] == 1


async def test_what_came_of_reports():
    """A dead token, the same reported late, and what was no matter of tokens."""
    async with open_interface() as broker:
        serial = (await broker.token())["serial"]
        dead = json.dumps({"error": {"code": "401", "message": "token expired"}})
        for _ in range(2):
            await broker.report(401, dead, serials={"bearer": serial})
        await broker.report(404)
        samples = await scrape(broker)
    outcomes = {key[2]: v for key, v in samples.items() if key[0] == "reports_total" and v}
    assert outcomes == {"renewed": 1, "superseded": 1, "not_the_token": 1}


async def test_requests_by_operation_and_status():
    """Those answered at once, those that waited, those refused, and those for nothing."""
    async with open_interface() as broker:
        await broker.token()
        await broker.get("/v1/tokens/bearer?wait=0")
        for _ in range(3):
            await broker.get("/v1/tokens/bearer?wait=0")
        await broker.get("/v1/headers?nope=1")
        await broker.get("/v1/tokens/payment", who=ALICE)
        await broker.get("/nope")
        await broker.ask("DELETE", "/v1/status")
        samples = await scrape(broker)
    requests = {key[1:]: value for key, value in samples.items() if key[0] == "requests_total"}
    assert requests == {
        ("readToken", "200"): 5,
        ("readHeaders", "400"): 1,
        ("readToken", "403"): 1,
        ("none", "404"): 1,
        ("none", "405"): 1,
    }


async def test_who_is_refused_at_the_gate_is_counted():
    """A wave of them is a mistake in somebody's configuration."""
    async with open_interface() as broker:
        uid, (gid,) = STRANGER
        assert broker.door.judge(Peer(uid, gid, 1, frozenset())) is not None
        assert broker.door.judge(Peer(0, 0, 1, frozenset())) is None
        samples = await scrape(broker)
    assert samples["requests_total", "none", "403"] == 1


async def test_a_caller_who_waits_over_a_reload_is_counted_once():
    """It is answered by the configuration that came meanwhile."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 5.0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(broker.token)
            await anyio.sleep(1)
            broker.reload(app())
        samples = await scrape(broker)
    assert samples["requests_total", "readToken", "200"] == 1


async def test_how_long_calls_took():
    """A histogram by endpoint; attempts that failed took their time, too."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 3.0
        broker.usps.answers = lambda command, _now: None if command.slot.is_bearer else DOWN
        await broker.token()
        await anyio.sleep(5)
        samples = await scrape(broker)
    name = "upstream_call_duration_seconds"
    for endpoint in ("token", "payment-authorization"):
        assert samples[f"{name}_count", "default", endpoint] == 1
        assert samples[f"{name}_sum", "default", endpoint] == pytest.approx(3.0)
        assert samples[f"{name}_bucket", "default", endpoint, "2.0"] == 0
        assert samples[f"{name}_bucket", "default", endpoint, "4.0"] == 1
        assert samples[f"{name}_bucket", "default", endpoint, "+Inf"] == 1


async def test_a_state_that_cannot_be_saved():
    """An alert on it comes before the restart that hurts."""
    async with open_interface() as broker:
        broker.saver.trouble = "no space left on device"
        await broker.token()
        await anyio.sleep(5)
        samples = await scrape(broker)
    assert samples["state_trouble",] == 1


async def test_who_is_connected():
    """The sum over all peers; who they are is for administrators."""
    async with open_interface() as broker:
        peers = [PeerMessage(1001, 3, 1), PeerMessage(1002, 2, 0)]
        process = replace(broker.inside.process, peers=lambda: peers)
        broker.inside = replace(broker.inside, process=process)
        broker.reload(app())
        samples = await scrape(broker)
    assert samples["connections",] == 5
    assert samples["waiting_requests",] == 1


# -- who sees what --------------------------------------------------------------------------------


async def test_a_peer_sees_the_figures_of_its_own_slots():
    """Not even the names of others, whatever has happened to them."""
    apps = [app(), app("other", open_to={"bearer": (2002,)})]
    async with open_interface(*apps) as broker:
        broker.usps.answers = lambda command, _now: None if command.slot.is_bearer else DOWN
        await anyio.sleep(30)
        serials = {"bearer": 1}
        await broker.report(401, query="?app=other", serials=serials)
        texts = {
            who: (await broker.get("/metrics", who=who)).body.decode()
            for who in (ADMIN, ALICE, BOB)
        }
    named = {
        who: set(re.findall(r'app="([^"]+)".*slot="([^"]+)"', text)) for who, text in texts.items()
    }
    assert named[ALICE] == {("default", "bearer")}
    assert "other" not in texts[ALICE]
    assert 'payment"' not in texts[ALICE]
    assert named[BOB] == {*SLOTS, ("other", "bearer")}
    assert named[ADMIN] == {*SLOTS, ("other", "bearer"), ("other", "payment")}


async def test_no_token_and_no_secret_is_among_them():
    """After grants, a failure that quotes one, and a report of one."""
    async with open_interface() as broker:
        token = (await broker.token())["token"]
        broker.usps.answers = lambda _command, _now: Failure(
            FailureKind.TRANSIENT, Code.UPSTREAM_UNAVAILABLE, f"said {token}", token, 503, token
        )
        await broker.report(401, token, serials={"bearer": 1}, headers={"x": token})
        await anyio.sleep(8 * HOUR)
        texts = [
            (await broker.get("/metrics", {"Accept": accept})).body.decode()
            for accept in ("*/*", "application/openmetrics-text")
        ]
    for text in texts:
        assert "token-default" not in text
        assert "secret of" not in text
        assert "client of" not in text


async def test_a_reload_takes_slots_away():
    """What is not configured any more has no figures, and what was counted elsewhere stays."""
    async with open_interface() as broker:
        await broker.token("payment")
        broker.reload(app(payments=()))
        samples = await scrape(broker)
    assert ("grants_total", "default", "payment") not in samples
    assert samples["grants_total", "default", "bearer"] == 1


def test_nobody_pays_for_figures_who_does_not_ask():
    """A start does not wait for prometheus_client, nor keep it in memory."""
    script = (
        "import sys, usps_token_broker.cli.run, usps_token_broker.app.daemon\n"
        "assert 'prometheus_client' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with Debian's prometheus")
async def test_promtool_finds_nothing_to_mend():
    """The linter of Prometheus itself."""
    async with open_interface() as broker:
        broker.usps.answers = lambda _command, _now: INVALID_CLIENT
        await anyio.sleep(60)
        text = (await broker.get("/metrics")).body
    lint = ["promtool", "check", "metrics"]
    checked = subprocess.run(lint, input=text, capture_output=True, check=False)  # noqa: ASYNC221 - nothing else runs
    assert (checked.returncode, checked.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EMFILE, "no"), True),
        (OSError(errno.ENFILE, "no"), True),
        (ImportError("x.so: cannot open shared object file: Too many open files"), True),
        (OSError(errno.ENOENT, "no"), False),
        (ImportError("No module named 'prometheus_client'"), False),
    ],
)
async def test_only_a_lack_of_descriptors_is_called_that(monkeypatch, error, expected):
    """A broken installation is a bug, to be seen in the log."""

    def fail(_name):
        raise error

    monkeypatch.delitem(sys.modules, "usps_token_broker.app.figures")
    monkeypatch.setattr(metrics.importlib, "import_module", fail)
    async with open_interface() as broker:
        if expected:
            assert (await broker.get("/metrics")).json["reason"] == "out_of_descriptors"
        else:
            with pytest.raises(type(error)):
                await broker.get("/metrics")
