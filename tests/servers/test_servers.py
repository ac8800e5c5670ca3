"""Six facts of the servers that shops run; tests/matrix makes a table of them.

They take a Python with tests/servers/requirements.txt, which UTB_SERVERS_PYTHON names and .ci/run
makes.
"""

import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import facts
import pytest
import serving
from facts import WORKERS, made
from processes import until


def gunicorn(worker, port):
    options = ("--worker-class", worker, "--workers", str(WORKERS), "--threads", "1")
    if worker == "gthread":
        options = (*options[:-1], "4")
    where = ("--bind", f"127.0.0.1:{port}", "--graceful-timeout", "20", "--no-control-socket")
    return [serving.python(), "-m", "gunicorn", *options, *where, "--preload", "shop_wsgi"]


def uvicorn(port):
    options = ("--workers", str(WORKERS), "--port", str(port), "--log-level", "warning")
    return [serving.python(), "-m", "uvicorn", *options, "shop_asgi:application"]


def uwsgi(port):
    program = str(Path(serving.python()).with_name("uwsgi"))
    options = ("--master", "--processes", str(WORKERS), "--need-app", "--die-on-term")
    return [program, *options, "--http-socket", f"127.0.0.1:{port}", "--module", "shop_wsgi"]


SERVERS = {
    "gunicorn-sync": partial(serving.http_server, partial(gunicorn, "sync"), preloads=True),
    "gunicorn-gthread": partial(serving.http_server, partial(gunicorn, "gthread"), preloads=True),
    "uvicorn": partial(serving.http_server, uvicorn, preloads=False),
    "uwsgi": partial(serving.http_server, uwsgi, preloads=True),
    "celery": serving.celery_pool,
}
CELLS = {server: list(facts.FACTS) for server in SERVERS}


@pytest.fixture(autouse=True)
def python():
    """Before a broker is started for nothing."""
    return serving.python()


@pytest.mark.parametrize(("client", "fact"), facts.cells(CELLS))
def test_servers(shop, client, fact):
    """Each says in its own words what it shows; see tests/fakes/facts.py."""
    facts.FACTS[fact](shop, SERVERS[client])


def descriptors(pid):
    """How many this process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def files(pids):
    """The most that one of these has open beside sockets, which come and go with its calls."""
    return max(sum(not one.startswith("socket:") for one in opened(pid)) for pid in pids)


def opened(pid):
    for one in list(Path(f"/proc/{pid}/fd").iterdir()):
        with suppress(FileNotFoundError):
            yield str(one.readlink())


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_graceful_reloads_of_gunicorn_leak_no_descriptor(shop, worker):
    """HUP three times while requests are made: none fails, and nothing is left open anywhere."""
    shop.open()
    broker = shop.broker.process.pid
    with SERVERS[f"gunicorn-{worker}"](shop) as running:
        master = running.server.process.pid
        made(running.round())
        before, files_before = descriptors(master), files(running.pids)
        open_at_broker = descriptors(broker)
        for _ in range(3):
            old = running.pids
            os.kill(master, signal.SIGHUP)

            def replaced(old=old):
                made(running.round())
                return not running.pids & old

            until(replaced, running.server.said)
        until(lambda: descriptors(master) <= before)
        assert files(running.pids) <= files_before
        until(lambda: shop.connections() == 0)
        until(lambda: descriptors(broker) <= open_at_broker)
