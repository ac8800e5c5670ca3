"""Local keys of a real broker: made, used, revoked and kept by its commands."""

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
from asked_roles_cases import OWNER, PAYER
from free_port import free_port
from identities import Identity, as_identity
from processes import Home, Process, Usps, until
from stand_in_shop import StandInShop, stand_in_shop

from usps_token_broker import cli

TOKEN = "/oauth2/v3/token"
PAYMENT = "/payments/v3/payment-authorization"
FAKES = Path(__file__).parents[1] / "fakes"


@pytest.fixture(scope="module")
def shop():
    """One broker that serves token calls; tests use keys of their own."""
    with Usps() as usps, stand_in_shop(usps.base_url) as made:
        made.usps = usps
        yield made


def post(shop, path, said, headers=None):
    """Status, headers and body of one call over TCP."""
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=30)
    with contextlib.closing(connection):
        content = said if isinstance(said, bytes) else json.dumps(said)
        given = {"Content-Type": "application/json", **(headers or {})}
        connection.request("POST", path, content, given)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def take(shop, key, **more):
    """What the token call answers to this key."""
    said = {
        "grant_type": "client_credentials",
        "client_id": key["client_id"],
        "client_secret": key["client_secret"],
        **more,
    }
    status, _, body = post(shop, TOKEN, said)
    return status, json.loads(body)


def test_a_key_opens_both_tokens_at_once_and_usps_hears_nothing(shop):
    """No reload, no restart; the tokens are those that the workers have."""
    before = shop.usps.calls("token"), shop.usps.calls("payment-authorization")
    status, said = take(shop, shop.add("at-once"))
    assert (status, said["access_token"]) == (200, shop.home.token()["token"])
    assert 26_000 < said["expires_in"] <= 27_000
    assert said["issuer"].startswith("https://")
    assert "payments" in said["scope"].split()
    headers = {"Authorization": f"Bearer {said['access_token']}"}
    status, _, body = post(shop, PAYMENT, {"roles": [PAYER, OWNER]}, headers)
    assert status == 200, body
    given = json.loads(body)
    assert given["paymentAuthorizationToken"] == shop.home.token("payment")["token"]
    assert [role["roleName"] for role in given["roles"]] == ["PAYER", "LABEL_OWNER"]
    after = shop.usps.calls("token"), shop.usps.calls("payment-authorization")
    assert after == before
    said_so = "handed out: tokens=default/payment key=at-once"
    until(lambda: said_so in shop.process.errors(), shop.process.errors)


def test_a_revoked_key_opens_nothing_once_the_command_is_back(shop):
    """Nor does its id with another secret."""
    key, other = shop.add("leaked"), shop.add("stays")
    assert take(shop, key)[0] == 200
    done = shop.run("revoke", "leaked")
    assert (done.returncode, done.stdout.startswith("leaked revoked")) == (0, True)
    status, said = take(shop, key)
    assert (status, said["error"]) == (401, "invalid_client")
    assert take(shop, other)[0] == 200


def test_the_file_is_closed_and_holds_no_secret(shop):
    """Beside the configuration, where a reboot leaves it."""
    key = shop.add("closed")
    path = shop.home.folder / "keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key["client_secret"] not in path.read_text()
    assert key["client_secret"] not in shop.told


def test_the_list_shows_no_secret(shop):
    """Names, ids, apps and slots, for people and for programs."""
    key = shop.add("listed", "bearer")
    plain, by_json = shop.run("list"), shop.run("list", "--json")
    assert f"listed           {key['client_id']}  default: bearer  made " in plain.stdout
    [told] = [row for row in json.loads(by_json.stdout) if row["name"] == "listed"]
    assert (told["client_id"], told["slots"]) == (key["client_id"], ["bearer"])
    rows = json.loads((shop.home.folder / "keys.json").read_text())["keys"]
    digests = [row["digest"] for row in rows]
    for text in (plain.stdout, by_json.stdout, plain.stderr, by_json.stderr):
        assert not any(hidden in text for hidden in (key["client_secret"], *digests))


def test_a_person_is_shown_the_secret_on_standard_output_alone(shop):
    """With the address to use beside it, on the other stream."""
    done = shop.run("add", "by-hand")
    first, second = done.stdout.splitlines()
    assert first.startswith("client id      utb")
    secret = second.removeprefix("client secret  ")
    assert len(secret) == 64
    assert secret not in done.stderr
    assert f"http://127.0.0.1:{shop.port}" in done.stderr
    key = {"client_id": first.split()[-1], "client_secret": secret}
    assert take(shop, key)[0] == 200


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add",), 64, "say which: add KEY"),
        (("list", "x"), 64, "list takes no KEY"),
        (("add", "../x"), 64, "KEY is a name of letters"),
        (("add", "a b"), 64, "KEY is a name of letters"),
        (("add", "x", "--slots", "payment"), 78, "--slots bearer,payment"),
        (("add", "x", "--slots", "bearer,payment-nope"), 78, "it has bearer, payment"),
        (("add", "x", "--slots", ","), 78, "names no token"),
        (("add", "x", "--app", "nope"), 78, "--app takes one of default"),
        (("revoke", "never-made"), 69, "no key 'never-made'; there are: "),
        (("rotate", "x"), 64, "invalid choice"),
    ],
)
def test_what_cannot_be_done_says_why(shop, words, code, said):
    """And changes nothing."""
    if not (shop.home.folder / "keys.json").exists():
        shop.add("there")
    before = (shop.home.folder / "keys.json").read_bytes()
    done = shop.run(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert not done.stdout
    assert (shop.home.folder / "keys.json").read_bytes() == before


def test_a_name_is_given_once(shop):
    """Else nobody would know what is revoked."""
    key = shop.add("twice")
    done = shop.run("add", "twice")
    assert (done.returncode, done.stdout) == (73, "")
    assert "revoke it first" in done.stderr
    assert take(shop, key)[0] == 200


def test_a_key_for_the_bearer_opens_no_payment_token(home, usps):
    """Nor does another program's word of its roles."""
    with stand_in_shop(usps.base_url) as shop:
        bearer = take(shop, shop.add("small", "bearer"))[1]["access_token"]
        headers = {"Authorization": f"Bearer {bearer}"}
        status, _, body = post(shop, PAYMENT, {"roles": [PAYER, OWNER]}, headers)
        assert status == 403
        assert shop.home.token("payment")["token"].encode() not in body
        other = [{**PAYER, "accountNumber": "1000000002"}, OWNER]
        shop.add("large")
        assert post(shop, PAYMENT, {"roles": other}, headers)[0] == 400


def test_without_a_key_nothing_that_is_tried_opens_anything(shop):
    """USPS's own id and secret, the digest of a key, its name, every other path: no token."""
    key = shop.add("target")
    [row] = [
        row
        for row in json.loads((shop.home.folder / "keys.json").read_text())["keys"]
        if row["name"] == "target"
    ]
    secrets = [shop.home.token(slot)["token"].encode() for slot in ("bearer", "payment")]
    tried = [
        ("demo-client-id", "demo-client-secret"),
        (key["client_id"], row["digest"]),
        (key["client_id"], ""),
        (key["client_id"], key["client_secret"][:-1]),
        (key["client_id"], key["client_secret"] + "0"),
        ("target", key["client_secret"]),
        ("", ""),
    ]
    for client_id, secret in tried:
        said = {"client_id": client_id, "client_secret": secret, "grant_type": "client_credentials"}
        status, _, body = post(shop, TOKEN, said)
        assert status in {401, 429}
        assert not any(token in body for token in secrets)
    for path in (TOKEN, PAYMENT, "/v1/tokens/bearer", "/v1/headers", "/oauth2/v3/revoke", "/"):
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
            status, _, body = post(shop, path, b"", headers)
            assert status in {400, 401, 404, 429}
            assert not any(token in body for token in secrets)


def test_who_tries_keys_shuts_out_nobody(shop):
    """All programs come from one address; what is right is served whatever else is tried."""
    key = shop.add("honest")
    wrong = {**key, "client_secret": "0" * 64}
    statuses = {take(shop, wrong)[0] for _ in range(100)}
    assert statuses == {401, 429}
    assert take(shop, key)[0] == 200
    lines = [line for line in shop.process.errors().splitlines() if "wrong_key" in line]
    assert len(lines) == 1


def test_keys_that_cannot_be_read_open_nothing_until_they_can(usps):
    """Said once in the log, with what to do; no restart is needed after."""
    with stand_in_shop(usps.base_url) as shop:
        key = shop.add("shop")
        path = shop.home.folder / "keys.json"
        good = path.read_bytes()
        path.write_bytes(b"{")
        for _ in range(3):
            status, said = take(shop, key)
            assert (status, "Its log says why" in said["error_description"]) == (503, True)
        path.write_bytes(good)
        assert take(shop, key)[0] == 200
        path.chmod(0o666)
        assert take(shop, key)[0] == 503
        lines = [line for line in shop.process.errors().splitlines() if "local keys open" in line]
    assert len(lines) == 2
    assert "take it away, and make keys anew" in lines[0]
    assert "chmod 600" in lines[1]


def test_keys_outlive_the_broker_and_what_it_keeps_in_memory(usps):
    """The state directory is gone after a reboot; the keys lie elsewhere."""
    home = Home(usps.base_url)
    try:
        with stand_in_home(home) as shop:
            key = shop.add("shop")
            with home.broker() as broker:
                home.first_token()
                assert take(shop, key)[0] == 200
                broker.kill(signal.SIGKILL)
            for path in (home.folder / "state").iterdir():
                path.unlink()
            with home.broker():
                home.first_token()
                assert take(shop, key)[0] == 200
    finally:
        home.remove()


@contextlib.contextmanager
def stand_in_home(home):
    with free_port() as port:
        yield StandInShop(home, port)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_root_makes_keys_for_the_brokers_own_user(home):
    """Whoever has the state directory is whom the broker runs as."""
    state = home.folder / "state"
    state.mkdir(mode=0o700)
    os.chown(state, 51001, 51001)
    assert home.command("key", "add", "one").returncode == 0
    assert home.command("key", "add", "two").returncode == 0
    assert (home.folder / "keys.json").stat().st_uid == 51001


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
def test_another_user_can_neither_see_nor_make_keys(shop):
    """It is told so by 77."""
    shop.add("private")
    cli.make_parser("key")  # that user may not be able to read our modules,
    b"x".decode("utf-8-sig")  # nor Python's own
    for words in (("list",), ("add", "mine"), ("revoke", "private")):

        def act(words=words):
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
                code = cli.main(["key", *words, "--config", str(shop.home.config)])
            return str(code).encode()

        assert as_identity(Identity(51004, 51004), act) == b"77"
    assert "private" in shop.run("list").stdout


def test_before_it_is_switched_on_it_says_how(home):
    """A key can be made first."""
    done = home.command("key", "add", "early")
    assert done.returncode == 0
    assert "It opens nothing yet: write [http]" in done.stderr


def test_without_a_file_of_configuration_there_are_no_keys(tmp_path):
    """The environment alone has no place for them."""
    environ = {"USPS_CLIENT_ID": "x", "USPS_CLIENT_SECRET": "y", "XDG_RUNTIME_DIR": str(tmp_path)}
    with Process("usps_token_broker", "key", "list", environ=environ) as process:
        assert process.process.wait(30) == 78
        assert "keys lie beside a configuration file" in process.errors()


def test_check_says_that_tokens_are_served(shop):
    """And to whom."""
    done = shop.home.command("check")
    assert f"tokens for the keys of {shop.home.folder}/keys.json" in done.stdout


def test_check_warns_of_keys_that_open_nothing(home):
    """None at all, one for a slot that is gone, and a file that nobody should believe."""
    with stand_in_home(home) as shop:
        assert "there is no key: usps-token-broker key add NAME" in home.command("check").stderr
        shop.add("old")
        assert "key" not in home.command("check").stderr
        path = home.folder / "keys.json"
        good = path.read_text()
        path.write_text(good.replace('"payment"', '"payment-gone"'))
        assert "the key old is for default/payment-gone, which" in home.command("check").stderr
        path.chmod(0o602)
        done = home.command("check")
    assert "local keys open nothing: " in done.stderr
    assert done.returncode == 0


def test_many_workers_that_come_at_once_are_all_served(shop):
    """Each on a connection of its own, as PHP makes one for each request."""
    key = shop.add("php")
    statuses = []

    def work():
        statuses.extend(take(shop, key)[0] for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 300


def test_who_waits_when_the_broker_ends_is_told_so_in_usps_shape(usps):
    """Not cut off: 503, and when to come again."""
    usps.ask("POST", "/sim/faults", {"name": "hold", "endpoint": "token"})
    home = Home(usps.base_url)
    try:
        with stand_in_home(home) as shop:
            key = shop.add("shop")
            with home.broker() as broker, ThreadPoolExecutor() as pool:
                answer = pool.submit(take, shop, key)
                until(lambda: home.status()["waiting"] == 1, home.status)
                broker.kill(signal.SIGTERM)
                status, said = answer.result(30)
    finally:
        home.remove()
    assert (status, said["error"]) == (503, "invalid_request")
    assert said["error_description"].startswith("restarting: ")


def test_who_takes_all_connections_keeps_no_worker_waiting(usps):
    """Programs with keys do wait: they cannot be told from who takes them all."""
    with stand_in_shop(usps.base_url) as shop:
        key = shop.add("shop")
        with contextlib.ExitStack() as taken:
            for _ in range(600):
                where = ("127.0.0.1", shop.port)
                taken.enter_context(socket.create_connection(where, 30))
            assert shop.home.token()["token"]
        until(lambda: take_or_none(shop, key), shop.process.errors)


def take_or_none(shop, key):
    """Whether the key opens something by now."""
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        return take(shop, key)[0] == 200
    return False


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
KNOWN_LENGTH = b"Content-Length: %d\r\n\r\n%b"
TOO_LONG = b"Content-Length: 99999\r\nX-Length: %d\r\n\r\n%b"


@pytest.fixture(scope="module")
def form(shop):
    """A body with a key that opens something."""
    key = shop.add("odd-ways")
    said = {"client_id": key["client_id"], "client_secret": key["client_secret"]}
    return urlencode({"grant_type": "client_credentials", **said}).encode()


@pytest.mark.parametrize(
    ("line", "rest", "status"),
    [
        (b"POST /oauth2/v3/token HTTP/1.0", KNOWN_LENGTH, b"200"),
        (b"POST /oauth2/v3/token HTTP/1.1", CHUNKED, b"200"),
        (b"POST http://127.0.0.1/oauth2/v3/token HTTP/1.1", KNOWN_LENGTH, b"200"),
        (b"POST /oauth2/v3/token?a=1 HTTP/1.1", KNOWN_LENGTH, b"200"),
        (b"POST //oauth2/v3/token HTTP/1.1", KNOWN_LENGTH, b"404"),
        (b"POST /oauth2/v3/token/ HTTP/1.1", KNOWN_LENGTH, b"404"),
        (b"POST /oauth2/v3/token HTTP/1.1", TOO_LONG, b"400"),
    ],
)
def test_other_ways_to_send_it(shop, form, line, rest, status):
    """As old, odd and hostile programs do."""
    with socket.create_connection(("127.0.0.1", shop.port), 30) as made:
        made.sendall(line + b"\r\n" + rest % (len(form), form))
        assert made.recv(65536).split(b" ")[1] == status


def test_no_secret_of_a_key_and_no_token_is_said_anywhere(usps):
    """With every log turned up: logs, figures, status, argv and refusals."""
    loud = {"PYTHONPATH": str(FAKES), "PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1"}
    home = Home(usps.base_url)
    try:
        with stand_in_home(home) as shop:
            key = shop.add("canary")
            command = ("loud_broker", "run", "--config", str(home.config))
            with Process(*command, environ=loud) as broker:
                home.wait_for_socket(broker)
                home.first_token("payment")
                bearer = take(shop, key)[1]["access_token"]
                headers = {"Authorization": f"Bearer {bearer}"}
                assert post(shop, PAYMENT, {"roles": [PAYER, OWNER]}, headers)[0] == 200
                said = [
                    post(shop, PAYMENT, {"roles": [OWNER]}, headers)[2],
                    post(shop, TOKEN, {"client_id": key["client_secret"]})[2],
                    post(shop, f"/{key['client_secret']}", b"")[2].split(b" is not served")[1],
                    json.dumps(take(shop, {**key, "client_id": "x"})[1]).encode(),
                    json.dumps(take(shop, key, grant_type="x")[1]).encode(),
                    home.get("/metrics")[2],
                    home.get("/v1/status")[2],
                    Path(f"/proc/{broker.process.pid}/cmdline").read_bytes(),
                ]
                (home.folder / "keys.json").write_text(f'{{"{key["client_secret"]}": ')
                said.append(json.dumps(take(shop, key)[1]).encode())
                tokens = [bearer, home.token("payment")["token"]]
                broker.kill(signal.SIGTERM)
                said.append(broker.errors().encode())
        said.append(shop.told.encode())
        everything = b"\n".join(said)
        assert b"key=canary" in everything
        assert b"wrong_key" in everything
        for hidden in (key["client_secret"], *tokens):
            assert hidden.encode() not in everything
    finally:
        home.remove()
