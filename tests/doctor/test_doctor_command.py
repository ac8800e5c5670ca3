"""`doctor` as a process, at brokers that run, hang, are dead or are none."""

import codecs
import contextlib
import json
import os
import pty
import re
import signal
import socket
import sys
import threading

import msgspec
import pytest
from identities import Identity, as_identity
from processes import Home, Usps, until

from usps_token_broker import version
from usps_token_broker.catalogue import CATALOGUE
from usps_token_broker.doctor import (
    Scene,
    Verdict,
    bundle,
    configuration,
    exit_code,
    proofs,
    sockets,
    units,
    walk,
)
from usps_token_broker.doctor.proofs import Fate, Proof

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
IDS = ("12345678", "900012345", "1000000001", "demo-client-id", "demo-client-secret")
EPS = "123456789"


@contextlib.contextmanager
def shop(*faults, **more):
    """A broker with both tokens, at a simulated USPS."""
    with Usps(*(word for fault in faults for word in ("--fault", fault))) as usps:
        home = Home(usps.base_url, **more)
        try:
            with home.broker() as process:
                yield usps, home, process
        finally:
            home.remove()


def is_ready(home):
    return home.slot()["ready"] and home.slot("payment")["ready"]


@pytest.fixture(scope="module")
def well():
    """One broker that is well; tests of this fixture change nothing about it."""
    with shop(bearer="users = [52001]") as (usps, home, _):
        until(lambda: is_ready(home))
        yield usps, home


def examined(home, *options, **more):
    """The exit code, and each finding by its check."""
    done = home.command("doctor", "--json", *options, **more)
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert told["exit_code"] == done.returncode
    by_check = {}
    for finding in told["findings"]:
        assert not finding["saw"].startswith("could not look"), finding
        assert (finding["verdict"] == "pass") == (not finding["code"]) or finding[
            "verdict"
        ] == "not looked at"
        assert not finding["code"] or (finding["code"] in CATALOGUE and finding["fix"])
        by_check.setdefault(finding["check"], []).append(finding)
    return done.returncode, by_check


def worst(findings):
    """The gravest of some findings: verdict and row."""
    order = ["fail", "warn", "not looked at", "pass"]
    finding = min(findings, key=lambda f: order.index(f["verdict"]))
    return finding["verdict"], finding["code"]


def seen_by_a_stranger(home):
    """The exit code and the gravest of each check, as a user sees it whom no rule names.

    In a child of ours: this Python may be closed to others, so it has all that it needs.
    """
    for codec in ("utf-8-sig", "idna"):
        codecs.lookup(codec)

    def look():
        findings = [*walk(Scene(config=home.config, sockets=(home.socket,), environ={}))]
        by_check = {}
        for finding in msgspec.to_builtins(findings):
            assert not finding["saw"].startswith("could not look"), finding
            by_check.setdefault(finding["check"], []).append(finding)
        seen = {name: worst(some) for name, some in by_check.items()}
        return json.dumps([exit_code(findings), seen]).encode()

    return json.loads(as_identity(Identity(54321, 54321), look))


# A broker that is well


def test_a_broker_that_is_well_fails_nothing_and_costs_no_call(well):
    """What USPS saw is what the broker itself asked for."""
    usps, home = well
    before = usps.ask("GET", "/sim/calls")
    code, found = examined(home)
    assert code == 0
    assert usps.ask("GET", "/sim/calls") == before
    for check in ("config", "socket", "state", "secret", "directories", "access", "dns", "tls"):
        assert worst(found[check]) == ("pass", ""), found[check]
    for check in ("token", "scopes", "roles", "budget", "quota"):
        assert worst(found[check]) == ("pass", ""), found[check]
    assert worst(found["old bearer"]) == ("not looked at", "")


def test_people_get_plain_lines_that_fit_80_columns(well):
    """No colour where there is no terminal; what must be copied is not broken."""
    _, home = well
    done = home.command("doctor")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 80
    assert re.search(r"^\d+ pass, \d+ warn, 0 fail, \d+ not looked at$", done.stdout, re.MULTILINE)


@as_root
@pytest.mark.parametrize(
    ("user", "verdict"),
    [("52001", "pass"), ("0", "pass"), ("daemon", "fail"), ("nobody", "fail"), ("none", "fail")],
)
def test_as_says_what_a_user_would_get(well, user, verdict):
    """By name or number; one who is not there gets nothing."""
    _, home = well
    _, found = examined(home, "--as", user)
    assert worst(found["access"])[0] == verdict


@as_root
def test_an_ordinary_user_is_told_what_he_cannot_see(well):
    """And nothing that is well is said to fail."""
    _, home = well

    code, seen = seen_by_a_stranger(home)
    assert code == 0
    assert seen["socket"] == ["warn", "forbidden"]
    assert seen["secret"] == ["not looked at", ""]
    assert seen["token"] == ["not looked at", ""]
    assert seen["old bearer"] == ["not looked at", ""]


# A host that is half broken


def test_without_a_configuration_everything_else_is_looked_at(tmp_path):
    """What needs one says so."""
    home = Home("http://127.0.0.1:9")
    home.config.unlink()
    code, found = examined(home)
    home.remove()
    assert code == 78
    assert worst(found["config"]) == ("fail", "config_invalid")
    assert worst(found["socket"]) == ("not looked at", "")
    assert worst(found["roles"]) == ("not looked at", "")


@as_root
def test_a_configuration_of_somebody_else_is_not_looked_at():
    """An ordinary user's view is no failure of the broker's."""
    home = Home("http://127.0.0.1:9")
    home.config.chmod(0o600)

    try:
        code, seen = seen_by_a_stranger(home)
        assert code == 0
        assert seen["config"] == ["not looked at", ""]
    finally:
        home.remove()


def test_where_nothing_is_configured_that_comes_before_a_start(tmp_path):
    """Whatever starts the broker would end at once."""
    scene = Scene(sockets=(tmp_path / "s",), environ={}, default_path=tmp_path / "broker.toml")
    [*configuration.look(scene)]
    [finding] = sockets.look(scene)
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "not_installed")
    assert finding.fix.startswith("put the configuration right first; then `")


def test_a_socket_that_nobody_listens_on_is_not_running():
    """A broker that was killed leaves it."""
    home = Home("http://127.0.0.1:9")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(home.socket))
    code, found = examined(home)
    home.remove()
    assert code == 78
    assert worst(found["socket"]) == ("fail", "not_running")
    # `systemctl start` would fail where there is no unit.
    assert found["socket"][0]["fix"].startswith("`usps-token-broker run`") == (
        units.commands() is None
    )


@pytest.mark.parametrize(
    ("said", "row"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not_a_broker"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not_a_broker"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "bad_answer"),
        (b"", "not_a_broker"),
    ],
)
def test_a_socket_of_something_else_is_no_broker(said, row):
    """Whatever it says."""
    home = Home("http://127.0.0.1:9")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home.socket))
        listening.listen()

        def answer():
            connected, _ = listening.accept()
            with connected:
                connected.recv(4096)
                connected.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        _, found = examined(home)
        thread.join(10)
    home.remove()
    assert worst(found["socket"]) == ("fail", row)
    assert found["socket"][0]["fix"].startswith(f"`kill {os.getpid()}`") == (row == "not_a_broker")


def test_a_status_of_another_release_is_told_with_both_versions(tmp_path):
    """It is alive, and what it says of its tokens cannot be read here."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer():
            for body in (b'{"alive": true, "version": "99.1.2"}', b'{"strange": 1}'):
                connected, _ = listening.accept()
                with connected:
                    connected.recv(4096)
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                    connected.sendall(head.encode() + body)

        thread = threading.Thread(target=answer)
        thread.start()
        _, finding = sockets.look(Scene(sockets=(path,), socket_is_named=True))
        thread.join(10)
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "bad_answer")
    assert "99.1.2" in finding.saw
    assert version() in finding.saw


def test_a_broker_that_is_stopped_is_told_by_its_process():
    """It takes connections and says nothing, as one that hangs."""
    with shop() as (_, home, process):
        until(lambda: is_ready(home))
        process.process.send_signal(signal.SIGSTOP)
        try:
            _, found = examined(home)
        finally:
            process.process.send_signal(signal.SIGCONT)
    assert worst(found["socket"]) == ("fail", "timed_out")
    assert found["socket"][0]["fix"].startswith(f"`kill -CONT {process.process.pid}`")
    assert worst(found["unit"])[0] == "not looked at"


def test_what_usps_refuses_is_told_with_its_row():
    """As the broker's own status has it, and a person must act."""
    with shop("invalid_client=wrong_secret@token") as (_, home, _):
        until(lambda: home.slot()["trouble"])
        code, found = examined(home)
    assert code == 78
    assert worst(found["token"]) == ("fail", "client_secret_wrong")


# With two calls


@pytest.mark.parametrize(
    ("faults", "expected"),
    [((), ("pass", "")), (("revoke_on_renewal",), ("warn", "old_bearer_dies"))],
)
def test_online_finds_out_whether_a_new_bearer_kills_the_old_one(faults, expected):
    """With one renewal, which the broker's budget counts, and one look-up; and keeps the answer."""
    with shop(*faults) as (usps, home, _):
        until(lambda: is_ready(home))
        before = home.token()["serial"]
        _, found = examined(home, "--online")
        assert worst(found["online"]) == ("pass", "")
        assert worst(found["old bearer"]) == expected
        assert (usps.calls("token"), usps.calls("addresses")) == (2, 1)
        assert usps.calls("payment-authorization") == 1
        budget = {b["endpoint"]: b["used_last_hour"] for b in home.status()["apps"][0]["budget"]}
        assert budget["token"] == 2
        assert home.token()["serial"] != before
        _, later = examined(home)
        assert worst(later["old bearer"]) == expected
        assert (usps.calls("token"), usps.calls("addresses")) == (2, 1)
        assert (home.folder / "state" / "doctor").stat().st_mode & 0o777 == 0o600


def test_online_makes_no_look_up_when_the_renewal_is_refused():
    """There is no old bearer then, and the reason is USPS's."""
    with shop() as (usps, home, _):
        until(lambda: is_ready(home))
        usps.ask("POST", "/sim/faults", {"name": "unavailable"})
        _, found = examined(home, "--online")
        assert worst(found["online"])[0] == "fail"
        assert usps.calls("addresses") == 0


@pytest.mark.parametrize("fault", ["reset@addresses", "drip@addresses", "html=200@addresses"])
def test_a_look_up_that_tells_nothing_is_said_so_and_recorded_nowhere(fault):
    """An answer that was found out before is not lost for it."""
    with shop(fault, app="timeout_seconds = 1") as (usps, home, _):
        until(lambda: is_ready(home))
        known = Proof(usps.base_url.removeprefix("http://"), Fate.DIES, 1.0, "before")
        proofs.write(home.folder / "state", known)
        _, found = examined(home, "--online")
        assert usps.calls("addresses") == 1
        assert proofs.read(home.folder / "state") == [known]
    told = [*found["online"], *found["old bearer"]]
    assert ("not looked at", "") in [(finding["verdict"], finding["code"]) for finding in told]


def test_online_without_a_broker_makes_no_call():
    """Nobody else is asked for a token."""
    with Usps() as usps:
        home = Home(usps.base_url)
        _, found = examined(home, "--online")
        home.remove()
        assert worst(found["online"])[0] == "not looked at"
        assert (usps.calls("token"), usps.calls("addresses")) == (0, 0)


def test_a_renewal_is_within_the_budget():
    """The last two attempts of a token are left to its planned renewal."""
    with shop() as (usps, home, _):
        until(lambda: is_ready(home))
        for _ in range(4):
            code, found = examined(home, "--online")
        assert code == 0  # there is nothing to mend
        assert worst(found["online"])[0] == "not looked at"
        assert found["online"][0]["fix"].startswith("`usps-token-broker doctor --online` in ")
        assert usps.calls("token") <= 3


# What is recorded


def test_one_answer_a_host_is_kept(tmp_path):
    """The latest; what is damaged counts for nothing."""
    assert proofs.read(tmp_path) == []
    for proof in (
        Proof("a", Fate.DIES, 1.0, "x"),
        Proof("b", Fate.LIVES, 2.0, "y"),
        Proof("a", Fate.LIVES, 3.0, "z"),
    ):
        proofs.write(tmp_path, proof)
    assert {p.host: p.at for p in proofs.read(tmp_path)} == {"a": 3.0, "b": 2.0}
    (tmp_path / proofs.FILE).write_bytes(b"[" * 100_000)
    assert proofs.read(tmp_path) == []


def test_a_link_in_its_place_is_neither_read_nor_written_through(tmp_path):
    """The directory may be another user's, and we root."""
    victim = tmp_path / "victim"
    victim.write_text("x")
    state = tmp_path / "state"
    state.mkdir()
    for name in (proofs.FILE, f"{proofs.FILE}.new"):
        (state / name).symlink_to(victim)
    assert proofs.read(state) == []
    proofs.write(state, Proof("a", Fate.LIVES, 1.0, "x"))
    assert victim.read_text() == "x"
    assert not (state / proofs.FILE).is_symlink()


@as_root
def test_what_root_records_is_the_brokers_own(tmp_path):
    """It may close its directory to others, and must be able to remove what lies there."""
    os.chown(tmp_path, 52001, 52001)
    proofs.write(tmp_path, Proof("a", Fate.LIVES, 1.0, "x"))
    assert (tmp_path / proofs.FILE).stat().st_uid == 52001


# The bundle


def test_a_bundle_holds_all_of_it_and_no_secret_or_id(well):
    """By their values in every spelling that the bundle could have of them."""
    _, home = well
    tokens = [home.token(slot)["token"] for slot in ("bearer", "payment")]
    report = {
        "status": 418,
        "body": f"account {EPS} of demo-client-id, token {tokens[0]}",
        "path": "/labels/v3/label/9400100000000000000000",
        "serials": {"bearer": home.token()["serial"]},
    }
    assert home.ask("POST", "/v1/answers", report)[0] == 200
    path = home.folder / "bundle.json"
    person = {"SUDO_USER": "ann.lee", "USPS_SOMETHING": "900012345"}
    done = home.command("doctor", "--as", "ann.lee", "--bundle", str(path), environ=person)
    assert done.returncode == 78, done.stderr  # there is no such user
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    for canary in (
        *IDS,
        EPS,
        "ann.lee",
        *tokens,
        *(token.split(".")[1] for token in tokens),
        "94001000",
    ):
        assert canary not in text, canary
    told = json.loads(text)
    assert {"usps-token-broker", "openssl", "packages", "platform", "systemd"} <= told[
        "versions"
    ].keys()
    assert told["status"]["apps"][0]["slots"][0]["ready"]
    assert any("usps_token_broker_info" in line for line in told["metrics"])
    assert told["unrecognised"]["answers"][0]["status"] == 418
    assert told["variables"] == ["USPS_SOMETHING"]
    [written] = told["configuration"].values()
    roles = written["apps"]["default"]["payments"]["default"]["roles"]
    assert roles[0]["roleName"] == "PAYER"
    assert roles[0]["CRID"] == "[8 characters]"
    assert {finding["check"] for finding in told["findings"]} >= {"config", "socket", "token"}


def test_a_bundle_is_never_written_over_a_file(well):
    """Nor through a link; and nothing is looked at in vain."""
    _, home = well
    (home.folder / "taken").write_text("x")
    (home.folder / "dangling").symlink_to(home.folder / "nowhere")
    for name in ("taken", "dangling"):
        done = home.command("doctor", "--bundle", str(home.folder / name))
        assert (done.returncode, done.stdout) == (73, "")
        assert "there already" in done.stderr
    assert (home.folder / "taken").read_text() == "x"
    assert not (home.folder / "nowhere").exists()


def test_a_bundle_that_cannot_be_written_says_so(well):
    """After all was looked at."""
    _, home = well
    done = home.command("doctor", "--bundle", str(home.folder / "none" / "bundle"))
    assert done.returncode == 73
    assert "cannot write" in done.stderr


def test_a_secret_in_the_wrong_place_of_the_configuration_stays_here(tmp_path):
    """As a bare string, under a wrong key, as a number, in a URL."""
    home = Home("http://127.0.0.1:9")
    home.config.write_text(
        '[apps.default]\nbase_url = "https://me:Hidden0pass@usps.example"\n'
        'client_id = "Zx9canaryQ7"\nclient_secret = "Zx9canaryQ8"\nclientsecret = "Zx9canaryQ9"\n'
        "CRID = 7700112233\n[apps.default.payments.default]\n"
        'roles = [{ roleName = "Zx9canaryQA", CRID = 7700112234, x = { y = ["Zx9canaryQB"] } }]\n'
    )
    path = home.folder / "bundle.json"
    home.command("doctor", "--bundle", str(path))
    text = path.read_text()
    home.remove()
    assert "Zx9canary" not in text
    assert "Hidden0pass" not in text
    assert "77001122" not in text


def test_what_cannot_be_had_does_not_end_a_bundle(scene):
    """It says that it is missing."""
    told = json.loads(bundle.make(scene, []))
    assert told["status"] is None
    assert told["old_bearer"] == []


@as_root
def test_a_broker_that_is_configured_elsewhere_is_no_failure():
    """Its environment has it all, as in a container; what is here has nothing to say."""
    with shop() as (_, home, _):
        until(lambda: is_ready(home))
        scene = Scene(
            sockets=(home.socket,), environ={}, default_path=home.folder / "nowhere" / "broker.toml"
        )
        findings = [*walk(scene)]
    seen = {finding.check: finding.verdict for finding in findings}
    assert exit_code(findings) == 0
    assert (seen["config"], seen["token"]) == (Verdict.UNSEEN, Verdict.PASS)


def on_a_terminal(home):
    """The exit code, and what a person would see."""
    words = [sys.executable, "-m", "usps_token_broker", "doctor", "--config", str(home.config)]
    pid, master = pty.fork()
    if pid == 0:
        os.execve(sys.executable, words, {**os.environ, "TERM": "xterm"})
    shown = b""
    with contextlib.suppress(OSError):  # EIO is how the end of a terminal reads
        while piece := os.read(master, 65536):
            shown += piece
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_on_a_terminal_it_is_in_colour(well):
    """One line of a failure is not missed among many."""
    _, home = well
    code, shown = on_a_terminal(home)
    assert code == 0
    assert "\x1b[32mpass config" in shown


def test_on_a_terminal_it_says_what_it_waits_for():
    """And takes that away again before it says what was found."""
    home = Home("http://127.0.0.1:9")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home.socket))
        listening.listen()
        _, shown = on_a_terminal(home)
    home.remove()
    waiting = "...  socket       still looking"
    assert f"{waiting}\r{' ' * len(waiting)}\r" in shown


def test_a_listener_that_says_a_byte_now_and_then_is_silent():
    """No deadline of one read ends that."""
    home = Home("http://127.0.0.1:9")
    over = threading.Event()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home.socket))
        listening.listen()

        def drip():
            connected, _ = listening.accept()
            with connected, contextlib.suppress(OSError):
                connected.recv(4096)
                connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not over.wait(0.5):
                    connected.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        _, found = examined(home)
        over.set()
        thread.join(10)
    home.remove()
    assert worst(found["socket"]) == ("fail", "timed_out")


def test_online_with_an_app_that_is_not_there_makes_no_call():
    """The names that there are, are told."""
    with shop() as (usps, home, _):
        until(lambda: is_ready(home))
        _, found = examined(home, "--online", "--app", "none")
        assert usps.calls("token") == 1
    assert worst(found["online"])[0] == "not looked at"
    assert found["online"][0]["fix"] == "--app NAME, one of default"


def test_online_begins_with_a_good_bearer_or_not_at_all():
    """Without one there is nothing to find out, and a renewal would be a retry."""
    with shop("invalid_client=wrong_secret@token") as (usps, home, _):
        until(lambda: home.slot()["trouble"])
        before = usps.calls("token")
        _, found = examined(home, "--online")
        assert (usps.calls("token"), usps.calls("addresses")) == (before, 0)
    assert worst(found["online"])[0] == "not looked at"


def test_a_renewal_that_gives_the_same_bearer_has_no_old_one():
    """The broker calls that a failure, with a row of its own."""
    with shop("same_token@token") as (usps, home, _):
        until(lambda: is_ready(home))
        _, found = examined(home, "--online")
        assert usps.calls("addresses") == 0
    assert worst(found["online"]) == ("fail", "token_unchanged")


def test_an_answer_that_cannot_be_kept_is_told_at_once():
    """It was paid for with two calls."""
    with shop() as (_, home, _):
        until(lambda: is_ready(home))
        (home.folder / "state" / "doctor").mkdir()
        _, found = examined(home, "--online")
    assert worst(found["online"]) == ("warn", "state_not_saved")
    assert worst(found["old bearer"])[0] == "not looked at"
    assert any("it lives on" in finding["saw"] for finding in found["old bearer"])


@as_root
def test_online_is_for_administrators(well):
    """A worker who may read the bearer may not have it renewed."""
    usps, home = well
    before = usps.ask("GET", "/sim/calls")
    codecs.lookup("utf-8-sig")  # as above

    def look():
        scene = Scene(config=home.config, sockets=(home.socket,), environ={})
        findings = msgspec.to_builtins([*walk(scene, online=True)])
        told = [f for f in findings if f["check"] in {"online", "old bearer"}]
        return json.dumps(told).encode()

    told = json.loads(as_identity(Identity(52001, 52001), look))
    assert [(f["verdict"], f["fix"]) for f in told] == [("not looked at", "use sudo")] * 2, told
    assert usps.ask("GET", "/sim/calls") == before


@pytest.mark.parametrize("make", [lambda p: p.write_text(""), os.mkfifo, os.mkdir])
def test_what_is_no_socket_is_no_broker(make):
    """It is not opened, which could wait for ever."""
    home = Home("http://127.0.0.1:9")
    make(home.socket)
    _, found = examined(home)
    home.remove()
    assert worst(found["socket"]) == ("fail", "not_a_broker")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_paths_of_any_bytes_and_terminals_of_any_encoding_do(options):
    """Nothing that can be said is lost for what cannot."""
    home = Home("http://127.0.0.1:9")
    odd = os.fsdecode(os.fsencode(home.folder) + b"/\xff\xc3.toml")
    bundled = home.folder / "bundle.json"
    done = home.command(
        "doctor",
        *("--config", odd, "--socket", odd, "--bundle", str(bundled), *options),
        environ={"PYTHONIOENCODING": "ascii:strict", "USPS_\udcff": "x"},
    )
    text = bundled.read_text()
    home.remove()
    assert done.returncode == 78, done.stderr
    assert "Traceback" not in done.stderr
    assert "no such file" in done.stdout
    assert "no such file" in text
