"""A shop that prints its labels in celery's prefork pool, over folders in place of a broker.

`python shop_celery.py` beside it sends the tasks: for each line it reads it writes one of JSON,
what every process of the pool said.
"""

import http.client
import json
import os
import select
import sys
from pathlib import Path
from urllib.parse import urlsplit

from celery import Celery
from kombu.transport import filesystem

from usps_token_client import BrokerError, TokenClient

URL = os.environ["LABEL_URL"]
BODY = os.environ["LABEL"].encode()
TYPE = {"Content-Type": "application/json", "Accept": "application/vnd.usps.labels+json"}
FOLDER = os.environ["QUEUE_FOLDER"]
PROCESSES = 4

QUEUE = Path(FOLDER, "queue")
OUT = Path(FOLDER, f"out-{os.getpid()}")
OUT.mkdir()

app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": str(QUEUE),
    "data_folder_out": str(OUT),
    "control_folder": f"{FOLDER}/control",
    "polling_interval": 0.02,
}
app.conf.worker_prefetch_multiplier = 1
put = filesystem.Channel._put


def put_whole(channel, *arguments, **options):
    """Send a message so that nobody finds half of it: kombu's readers lose what is not whole."""
    put(channel, *arguments, **options)
    for path in OUT.iterdir():
        path.replace(QUEUE / path.name)


filesystem.Channel._put = put_whole
tokens = TokenClient()
loaded_by = os.getpid()
if sys.argv[0].endswith("celery") and "REFUSED" not in os.environ:
    tokens.headers(payment=True)  # in the parent, before it forks its pool


def post(headers):
    """A label call by the standard library."""
    parts = urlsplit(URL)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("POST", parts.path, BODY, {**TYPE, **headers})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@app.task(name="shop.print_label", bind=True, ignore_result=True)
def print_label(self):
    """One label call, and who made it."""
    try:
        headers = tokens.headers(payment=True)
        status, answered, body = post(headers)
        if status == 401:
            verdict = tokens.report(status, answered, body, urlsplit(URL).path, used=headers)
            if verdict.retry:
                status, _, body = post(verdict.headers)
    except BrokerError as error:
        status, body = 0, str(error).encode()
    said = {"status": status, "what": body.decode(), "pid": os.getpid(), "loaded_by": loaded_by}
    if status == 200:
        said["what"] = json.loads(body)["labelMetadata"]["trackingNumber"]
    # Not by celery's own backend of files, whose readers may meet half a file.
    beside = Path(FOLDER, "results", f"{self.request.id}.new")
    beside.write_text(json.dumps(said))
    beside.replace(beside.with_suffix(""))


def result_of(task):
    """What a task left, once it has."""
    path = Path(FOLDER, "results", task.id)
    while not path.exists():
        select.select([], [], [], 0.02)
    return json.loads(path.read_text())


def round_of_calls():
    """Tasks until each process of the pool has made one."""
    said, pids = [], set()
    while len(pids) < PROCESSES:
        sent = [print_label.delay() for _ in range(PROCESSES)]
        said += [result_of(one) for one in sent]
        pids = {one["pid"] for one in said}
    return said


def main():
    """Answer each line with a line of JSON: a list of what was said."""
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(round_of_calls()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
