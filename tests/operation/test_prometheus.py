"""A real Prometheus scrapes a real broker, and asks what rules and dashboard ask."""

import contextlib
import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import dashboard_panels
import pytest
import yaml
from free_port import free_port
from processes import Home, Usps, until
from prometheus import RULES, Prometheus, listening
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.skipif(not Prometheus.is_there(), reason="this machine has no prometheus")

EMPTY_IN_A_BROKER_THAT_RUNS = {dashboard_panels.expressions()[-1]}
"""Whether it has just been started."""
NAME = re.compile(r"usps_token_broker_[a-z_]+")
SELECTED = re.compile(r'([a-z]+) *(?:=~|!~|!=|=)"([^"]*)"')


@pytest.fixture(scope="module")
def watched():
    """A broker that has a bearer, and no payment token since USPS wants no calls for it."""
    with Usps("--fault", "rate_limited=900@payment-authorization") as usps, free_port() as port:
        home = Home(usps.base_url)
        listening(home, f"127.0.0.1:{port}")
        try:
            with home.broker(), Prometheus(f"127.0.0.1:{port}") as prometheus:
                until(lambda: home.slot("payment")["trouble"])
                prometheus.figures = f"http://127.0.0.1:{port}/metrics"
                # A rise is seen between two scrapes.
                scrapes = "count_over_time(usps_token_broker_requests_total[1m]) > 2"
                until(lambda: prometheus.query(scrapes))
                yield prometheus
        finally:
            home.remove()


def exposed(watched):
    """The text that the broker serves over TCP."""
    with urllib.request.urlopen(watched.figures, timeout=30) as answer:
        return answer.read().decode()


def asked_in_rules():
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def test_prometheus_scrapes_it(watched):
    """With what it sends and accepts by itself."""

    def up():
        [target] = watched.ask("targets")["activeTargets"]
        return target["health"] == "up" and target["lastError"] == ""

    until(up, lambda: watched.ask("targets"))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="this machine has no promtool")
def test_names_and_units_are_by_prometheuss_own_rules(watched):
    """Its linter has nothing to say."""
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=exposed(watched),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("source", ["rules", "dashboard"])
def test_every_figure_that_is_asked_for_is_exported(watched, source):
    """By its name, with the labels and the values of labels that are chosen by."""
    expressions = asked_in_rules() if source == "rules" else dashboard_panels.expressions()
    families = list(text_string_to_metric_families(exposed(watched)))
    samples = [sample for family in families for sample in family.samples]
    there = {family.name for family in families} | {sample.name for sample in samples}
    labels = {}
    for sample in samples:
        for label, value in sample.labels.items():
            labels.setdefault(label, set()).add(value)
    for expression in expressions:
        for name in NAME.findall(expression):
            assert name in there, expression
        for label, value in SELECTED.findall(expression):
            if label not in {"job", "instance"}:  # those are Prometheus's own
                assert label in labels, expression
            if label == "freshness":
                assert set(value.split("|")) <= labels[label], expression


@pytest.mark.parametrize("expression", dashboard_panels.expressions())
def test_every_panel_shows_something(watched, expression):
    """A panel that is always empty asks for what is not there."""
    if expression in EMPTY_IN_A_BROKER_THAT_RUNS:
        assert watched.query(expression) == []
    else:
        until(lambda: watched.query(expression), expression)


def test_the_shortest_time_left_is_that_of_a_life(watched):
    """And no instant."""
    [panel] = [panel for panel in dashboard_panels.PANELS if panel.title == "Shortest time left"]
    asked = dashboard_panels.put_in(panel.asked[0][0])
    [found] = until(lambda: watched.query(asked), asked)
    assert 28_000 < float(found["value"][1]) <= 28_800


@pytest.mark.parametrize(
    ("expression", "legend"),
    [
        asked
        for panel in dashboard_panels.PANELS
        if panel.kind in {"timeseries", "state-timeline"}
        for asked in panel.asked
    ],
)
def test_lines_of_several_brokers_are_told_apart(watched, expression, legend):
    """Where there is one for each, its name says of which."""
    found = until(lambda: watched.query(dashboard_panels.put_in(expression)), expression)
    for label in {"instance", "app", "slot"} & found[0]["metric"].keys():
        assert f"{{{{{label}}}}}" in legend


def test_every_rule_is_evaluated_without_an_error(watched):
    """On real series, whose labels may meet where those of a story do not."""
    rules = until(
        lambda: [
            rule
            for group in watched.ask("rules")["groups"]
            for rule in group["rules"]
            if rule["health"] != "unknown"
        ]
    )
    assert {rule["name"]: rule["health"] for rule in rules} == {
        rule["name"]: "ok" for rule in rules
    }


def test_a_payment_token_that_usps_does_not_grant_is_about_to_alert(watched):
    """That calls fail, and that USPS wants none; of the bearer nothing is said."""

    def pending():
        return {
            a["labels"]["alertname"]: a["labels"].get("slot", "")
            for a in watched.ask("alerts")["alerts"]
        }

    until(lambda: len(pending()) >= 2, pending)
    assert pending() == {"UspsRenewalsFailing": "payment", "UspsWantsNoCalls": ""}


def test_alerts_of_several_hosts_say_which_what_and_how_to_mend_it():
    """Two brokers, each with a refusal of its own, and one that is well."""
    refusals = {
        "client_secret_wrong": "invalid_client=wrong_secret@token",
        "100003": "account_state=100003@payment-authorization",
    }
    with contextlib.ExitStack() as running:

        def target(*options):
            usps = running.enter_context(Usps(*options))
            home = Home(usps.base_url)
            running.callback(home.remove)
            address = f"127.0.0.1:{running.enter_context(free_port())}"
            listening(home, address)
            running.enter_context(home.broker())
            return address

        hosts = {target("--fault", fault): reason for reason, fault in refusals.items()}
        watching = running.enter_context(Prometheus(*hosts, target()))

        def refused():
            return {
                alert["labels"]["instance"]: alert
                for alert in watching.ask("alerts")["alerts"]
                if "reason" in alert["labels"]
            }

        until(lambda: len(refused()) >= len(hosts), refused)
        said = refused()
    assert {host: alert["labels"]["reason"] for host, alert in said.items()} == hosts
    for host, reason in hosts.items():
        told = said[host]["annotations"]
        assert host in told["description"]
        assert told["fix"].startswith(f"usps-token-broker explain {reason}; ")


def test_the_file_is_what_the_script_makes():
    """Written anew by `python tests/fakes/dashboard_panels.py`."""
    assert dashboard_panels.FILE.read_text("utf-8") == dashboard_panels.text()


def test_the_dashboard_asks_for_any_data_source():
    """And names none of ours."""
    made = json.loads(Path(dashboard_panels.FILE).read_text("utf-8"))
    sources = {json.dumps(panel["datasource"]) for panel in made["panels"]}
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}
    assert [v["name"] for v in made["templating"]["list"]] == ["datasource", "instance", "app"]


def test_panels_fill_the_grid_and_do_not_overlap():
    """24 columns, as Grafana has them."""
    taken = [
        (x, y)
        for left, top, width, height in (panel.place for panel in dashboard_panels.PANELS)
        for x in range(left, left + width)
        for y in range(top, top + height)
    ]
    assert len(taken) == len(set(taken))
    assert {x for x, _ in taken} == set(range(24))
    assert len(taken) == 24 * (max(y for _, y in taken) + 1)


def test_the_picture_says_what_it_is():
    """It is drawn of the panels that the dashboard has, and does not pass for a Grafana."""
    drawn = Path(__file__).with_name("dashboard.svg").read_text("utf-8")
    assert "this is no screenshot of Grafana" in drawn
    titles = set(re.findall(r'font-weight="bold">([^<]+)</text>', drawn))
    assert titles == {panel.title for panel in dashboard_panels.PANELS}
