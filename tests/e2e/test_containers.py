"""systemd/containers: what can be tried of it without a container engine.

Not tried, since no engine runs here: building the image, `docker compose up`, and a kubelet.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import container
import pytest
import yaml
from free_port import free_port
from processes import Usps, until

FOLDER = Path(__file__).parents[2] / "systemd" / "containers"
BROKER, WORKER = 10001, 10002
RUN = "/run/usps-token-broker"


def documents(name):
    """What one file has."""
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


def pods():
    """Name and pod of every manifest."""
    for name in ("sidecar.yaml", "daemonset.yaml"):
        for document in documents(name):
            if document["kind"] != "ConfigMap":
                spec = document["spec"]
                yield name, spec.get("template", {"spec": spec})["spec"]


def containers(pod):
    """All of a pod."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def broker_of(name):
    """The container that is the broker, and its pod."""
    [found] = [
        (each, pod)
        for of, pod in pods()
        for each in containers(pod)
        if of == name and each.get("args", [""])[0] == "run"
    ]
    return found


def config_of(name):
    """The configuration in it."""
    if name == "compose.yaml":
        return (FOLDER / "broker.toml").read_text("utf-8")
    [text] = [d["data"]["broker.toml"] for d in documents(name) if d["kind"] == "ConfigMap"]
    return text


def test_workers_of_a_sidecar_are_told_where_the_socket_is():
    """It is not at the place where clients look."""
    socket = tomllib.loads(config_of("sidecar.yaml"))["socket"]
    for of, pod in pods():
        for each in pod["containers"]:
            told = {v["name"]: v["value"] for v in each.get("env", [])}
            assert told == ({"USPS_TOKEN_SOCKET": socket} if of == "sidecar.yaml" else {})


@pytest.mark.parametrize(("of", "pod"), list(pods()))
def test_no_container_has_more_rights_than_it_needs(of, pod):
    """A number that is not root, nothing to write to but volumes, no capability; one may chown."""
    for each in containers(pod):
        rights = each["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"]["drop"] == ["ALL"]
        if each["name"] == "directories":
            assert rights["capabilities"]["add"] == ["CHOWN"]
        else:
            assert rights["runAsNonRoot"] is True
            assert rights["runAsUser"] in {BROKER, WORKER}
            assert "add" not in rights["capabilities"]


@pytest.mark.parametrize(("of", "pod"), list(pods()))
def test_no_socket_is_mounted_but_its_directory(of, pod):
    """And a worker cannot write there, nor has it the broker's state."""
    for each in containers(pod):
        mounts = {mount["mountPath"]: mount for mount in each["volumeMounts"]}
        assert RUN in mounts
        assert not any(path.endswith(".sock") for path in mounts)
        if each["securityContext"]["runAsUser"] == WORKER:
            assert mounts[RUN]["readOnly"] is True
            assert set(mounts) == {RUN}


@pytest.mark.parametrize("name", ["sidecar.yaml", "daemonset.yaml"])
def test_the_secret_is_a_file_of_mode_0400(name):
    """Nothing of it is in the environment, and kubelet adds the group's right by fsGroup."""
    broker, pod = broker_of(name)
    assert "env" not in broker
    [secret] = [v["secret"] for v in pod["volumes"] if "secret" in v]
    assert secret["defaultMode"] == 0o400
    assert pod["securityContext"]["fsGroup"] == BROKER


@pytest.mark.parametrize("name", ["sidecar.yaml", "daemonset.yaml"])
def test_probes_ask_where_the_configuration_listens(name):
    """Restarted for what only a restart mends; not ready for what a person must."""
    broker, _ = broker_of(name)
    [port] = broker["ports"]
    assert tomllib.loads(config_of(name))["http"]["listen"] == f"0.0.0.0:{port['containerPort']}"
    paths = {
        kind: broker[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")
    }
    assert {kind: get["path"] for kind, get in paths.items()} == {
        "startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz",
    }  # fmt: skip
    assert {get["port"] for get in paths.values()} == {port["name"]}


def test_compose_gives_no_more_rights_either():
    """The same of compose.yaml."""
    [compose] = documents("compose.yaml")
    for name, uid in (("broker", BROKER), ("worker", WORKER)):
        service = compose["services"][name]
        assert service["user"] == f"{uid}:{uid}"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert any(re.match(rf"socket:{RUN}(:ro)?$", each) for each in service["volumes"])
        assert not any(".sock" in each for each in service["volumes"])
    assert compose["services"]["worker"]["volumes"] == [f"socket:{RUN}:ro"]


def test_the_image_ends_as_a_user_that_is_not_root():
    """With what the manifests say; nothing is taken from a place that is named by its host."""
    text = (FOLDER / "Dockerfile").read_text("utf-8")
    assert re.findall(r"(?m)^USER (.*)$", text) == [f"{BROKER}:{BROKER}"]
    assert all("." not in name for name in re.findall(r"(?m)^FROM ([^ :]+)", text))
    copied = {
        word for line in re.findall(r"(?m)^COPY (?!--)(.*) /source", text) for word in line.split()
    }
    for word in copied:
        assert (FOLDER.parents[1] / word).exists()


class Pod:
    """The broker of a manifest and its volumes, as kubelet would lay them out."""

    def __init__(self, folder, name, base_url, port):
        self.folder = folder
        folder.chmod(0o755)
        text = config_of(name).replace("https://apis.usps.com", base_url)
        text = text.replace("0.0.0.0:9842", f"127.0.0.1:{port}")
        self.socket = tomllib.loads(text)["socket"]
        self.secret = re.search(r'file = "(.*)"', text)[1]
        for each in ("config", "secret", "socket", "state", "root"):
            (folder / each).mkdir()
        (folder / "config" / "broker.toml").write_text(
            text.replace("the Consumer Key", "demo-client-id")
        )
        for volume in ("socket", "state"):
            # An emptyDir: everybody's, and by fsGroup the group's.
            os.chown(folder / volume, 0, BROKER)
            (folder / volume).chmod(0o2777)
        self._lay_secret("demo-client-secret\n")
        self.http = f"http://127.0.0.1:{port}"
        self.mounts = [
            f"ro:{folder}/config=/etc/usps-token-broker/config",
            f"ro:{folder}/secret={Path(self.secret).parent}",
            f"rw:{folder}/socket={RUN}",
            f"rw:{folder}/state=/run/usps-token-broker-state",
        ]

    def _lay_secret(self, text):
        # As kubelet does: a link to a link to a folder that is replaced as a whole.
        place, name = self.folder / "secret", Path(self.secret).name
        os.chown(place, 0, BROKER)
        place.chmod(0o3777)
        version = place / "..2026_01_01"
        version.mkdir()
        (version / name).write_text(text)
        os.chown(version / name, 0, BROKER)
        (version / name).chmod(0o440)
        (place / "..data").symlink_to(version.name)
        (place / name).symlink_to(f"..data/{name}")

    def words(self, *more):
        config = "/etc/usps-token-broker/config/broker.toml"
        return [sys.executable, "-m", "usps_token_broker", *more, "--config", config]

    @contextlib.contextmanager
    def broker(self):
        """Runs it until the block ends; its log is in `log`."""
        words = self.words("run", "--log-format", "json")
        command = container.command(self.folder / "root", BROKER, self.mounts, words)
        with (self.folder / "log").open("a+") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                until(lambda: self.healthy() or process.poll() is not None, self.log)
                assert process.poll() is None, self.log()
                yield process
            finally:
                container.end(process)

    def healthy(self):
        """What the startup probe sees."""
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{self.http}/healthz", timeout=5) as a,
        ):
            return a.status == 200
        return False

    def log(self):
        """What the broker said."""
        return (self.folder / "log").read_text()

    def worker(self, uid, *words, mount=None):
        """`usps-token` in the worker's container."""
        mounts = [mount or f"ro:{self.folder}/socket={RUN}"]
        command = [sys.executable, "-m", "usps_token_client", *words]
        return container.run(self.folder / "root", uid, mounts, command, self.environ())

    def environ(self):
        """What the manifest tells a worker."""
        [worker] = [
            each
            for of, pod in pods()
            for each in pod["containers"]
            if of == "sidecar.yaml" and each["securityContext"]["runAsUser"] == WORKER
        ]
        return {each["name"]: each["value"] for each in worker["env"]}


@pytest.fixture
def pod(tmp_path, request):
    """A pod of the sidecar's manifest."""
    container.skip_without()
    with Usps() as usps, free_port() as port:
        made = Pod(tmp_path, "sidecar.yaml", usps.base_url, port)
        made.usps = usps
        yield made


def test_the_configurations_are_good(tmp_path):
    """By our own `check`, where their secret lies as kubelet and compose lay it."""
    container.skip_without()
    for name in ("sidecar.yaml", "daemonset.yaml", "compose.yaml"):
        folder = tmp_path / name
        folder.mkdir()
        made = Pod(folder, name, "https://apis.usps.com", 9842)
        done = container.run(folder / "root", BROKER, made.mounts, made.words("check"), {})
        assert done.returncode == 0, done.stdout + done.stderr


def test_worker_and_broker_meet_in_a_read_only_root(pod):
    """Neither is root nor has a capability; the worker's mount is read-only; others get 77."""
    with pod.broker() as broker:
        done = pod.worker(WORKER, "bearer")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip() not in pod.log()
        assert pod.worker(10003, "bearer").returncode == 77
        with urllib.request.urlopen(f"{pod.http}/readyz", timeout=5) as answer:
            assert json.load(answer)["ready"] is True
        status = Path(f"/proc/{container.first_process(broker)}/status").read_text()
        assert re.search(r"(?m)^Uid:\t10001\t10001\t10001\t10001$", status)
        assert re.search(r"(?m)^CapEff:\t0+$", status)
        assert re.search(r"(?m)^NoNewPrivs:\t1$", status)
        events = [json.loads(line)["event"] for line in pod.log().splitlines()]
        assert {"serving", "granted", "handed_out", "refused"} <= set(events)


def test_a_directory_outlives_a_new_broker_and_a_socket_does_not(pod):
    """So the directory is what is mounted: the same worker, before and after a restart."""
    words = ["sh", "-c", 'while read -r _; do "$@"; echo "exit $?"; done', "sh",
             sys.executable, "-m", "usps_token_client", "bearer", "--timeout", "1"]  # fmt: skip
    with contextlib.ExitStack() as things:
        first = things.enter_context(pod.broker())
        workers = {}
        for what, mount in (
            ("directory", f"ro:{pod.folder}/socket={RUN}"),
            ("socket", f"ro:{pod.folder}/socket{pod.socket.removeprefix(RUN)}={pod.socket}"),
        ):
            root = pod.folder / f"root-{what}"
            root.mkdir()
            workers[what] = things.enter_context(
                subprocess.Popen(
                    container.command(root, WORKER, [mount], words),
                    env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **pod.environ()},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )

        def ask(what):
            workers[what].stdin.write("\n")
            workers[what].stdin.flush()
            return workers[what].stdout.readline()

        token = ask("directory")
        assert workers["directory"].stdout.readline() == "exit 0\n"
        assert ask("socket") == token
        assert workers["socket"].stdout.readline() == "exit 0\n"
        container.end(first)
        assert not pod.healthy()
        with pod.broker():
            assert ask("directory") == token
            assert workers["directory"].stdout.readline() == "exit 0\n"
            assert ask("socket") == "exit 69\n"
        assert pod.usps.calls("token") == 1
        for worker in workers.values():
            worker.stdin.close()
