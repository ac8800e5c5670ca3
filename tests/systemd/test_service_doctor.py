"""`doctor` on a host with the service as shipped: as root, as workers, and when it has failed."""

import json

from installed import PROGRAM, SECRET, SERVICE, SOCKET


def examined(broker, *options, user=None):
    """The exit code, and the gravest verdict and row of each check."""
    done = broker.machine.run(PROGRAM, "doctor", "--json", *options, user=user, check=False)
    order = ["fail", "warn", "not looked at", "pass"]
    found = {}
    for finding in json.loads(done.stdout)["findings"]:
        assert not finding["saw"].startswith("could not look"), finding
        here = (order.index(finding["verdict"]), finding["code"])
        found[finding["check"]] = min(found.get(finding["check"], here), here)
    return done.returncode, {check: (order[n], code) for check, (n, code) in found.items()}


def test_a_service_that_is_well_fails_nothing(broker):
    """As root, who sees all but the credential; and it costs no call."""
    before = broker.calls()
    code, found = examined(broker)
    assert code == 0, found
    for check in ("config", "socket", "state", "directories", "token", "scopes", "roles", "quota"):
        assert found[check] == ("pass", ""), found
    assert found["unit"] == ("warn", "unit_inactive"), "it is active and not enabled"
    assert found["secret"] == ("not looked at", "")
    broker.systemctl("enable", SERVICE, SOCKET)
    assert examined(broker)[1]["unit"] == ("pass", "")
    broker.systemctl("disable", SERVICE, SOCKET)
    assert broker.calls() == before


def test_a_worker_and_a_stranger_are_told_what_they_may(broker):
    """By the groups that a login gives them; and by themselves."""
    assert examined(broker, "--as", "ann")[1]["access"] == ("pass", "")
    code, found = examined(broker, "--as", "eve")
    assert (code, found["access"]) == (78, ("fail", "forbidden"))
    code, found = examined(broker, user="ann")
    assert (code, found["socket"], found["token"]) == (0, ("pass", ""), ("pass", ""))
    assert found["old bearer"] == ("not looked at", "")
    assert examined(broker, user="eve")[1]["socket"] == ("warn", "forbidden")


def test_a_secret_that_the_services_user_cannot_read_fails(broker):
    """Root could; the unit runs as another."""
    broker.configure(secret=f'{{ file = "{SECRET}" }}')
    broker.machine.run("chown", "root", SECRET)
    assert examined(broker)[1]["secret"] == ("fail", "secret_unusable")
    broker.machine.run("chown", "usps-token-broker", SECRET)
    assert examined(broker)[1]["secret"] == ("pass", "")


def test_a_service_that_cannot_start_is_told_by_its_unit_and_its_cause(installed):
    """The configuration is what keeps it from starting."""
    installed.machine.write("/etc/usps-token-broker/broker.toml", "nothing = 5\n")
    installed.systemctl("start", SERVICE, check=False)
    code, found = examined(installed)
    assert code == 78
    assert found["config"] == ("fail", "config_invalid")
    assert found["unit"][0] == "fail"
    assert found["socket"][0] == "fail"


def test_what_is_found_out_online_is_the_services_own(broker):
    """Root writes it into a directory of another user, and the service starts with it there."""
    code, found = examined(broker, "--online")
    assert (code, found["online"], found["old bearer"]) == (0, ("pass", ""), ("pass", ""))
    state = "/run/usps-token-broker-state/doctor"
    assert broker.machine.run("stat", "-c", "%U %a", state).stdout == "usps-token-broker 600\n"
    broker.systemctl("restart", SERVICE)
    broker.tokens()
    assert examined(broker)[1]["old bearer"] == ("pass", "")


def test_a_bundle_has_the_journal_without_ids(broker):
    """Of whom root may read all."""
    broker.machine.run(PROGRAM, "doctor", "--bundle", "/root/help.json")
    text = broker.machine.path("/root/help.json").read_text()
    told = json.loads(text)
    assert any("usps-token-broker" in line for line in told["journal"])
    for canary in ("12345678", "900012345", "1000000001", "demo-client", *broker.tokens()):
        assert canary not in text
