"""The alert rules: as Prometheus itself reads them, on figures that a running broker has."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from usps_token_broker import cli

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "systemd" / "prometheus" / "alerts.yml"
STORIES = Path(__file__).with_name("alerts_test.yml")
ALERTS = [
    rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]
]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="this machine has no promtool"
)


def promtool(*arguments):
    """What it says, and whether it is content."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_the_rules():
    """Every expression and every template."""
    code, said = promtool("check", "rules", str(RULES))
    assert (code, f"{len(ALERTS)} rules found" in said) == (0, True), said


@needs_promtool
def test_each_fires_when_it_should_and_not_before():
    """Stories as series, played by Prometheus; a broker in order sets off none."""
    code, said = promtool("test", "rules", str(STORIES))
    assert (code, "SUCCESS" in said) == (0, True), said


def test_each_alert_has_a_story():
    """By name, so that none is added untried."""
    played = set(re.findall(r"Usps[A-Za-z]+", STORIES.read_text("utf-8")))
    assert {alert["alert"] for alert in ALERTS} == played


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_says_what_happened_and_what_to_type(alert):
    """A person is woken by it."""
    assert set(alert["annotations"]) == {"summary", "description", "fix"}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    fix = alert["annotations"]["fix"]
    ours = re.findall(r"(?:^|; |: |run )usps-token-broker ([a-z-]+)", fix)
    assert ours or re.search(r"\b(systemctl|journalctl|timedatectl) ", fix)
    assert set(ours) <= set(cli._COMMANDS)
