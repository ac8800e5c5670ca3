"""For programs that only carry bytes: the requests written out, and the answers taken apart."""

import contextlib
import http.client
import io
import json
import subprocess
import sys


def request_bytes(request, version, *, last):
    lines = [f"{request['method']} {request['target']} HTTP/{version}"]
    headers = dict(request["headers"])
    if version == "1.1":
        headers.setdefault("Host", "localhost")
    if last:
        headers["Connection"] = "close"
    body = b"" if request["body"] is None else request["body"].encode()
    if request["chunked"]:
        headers["Transfer-Encoding"] = "chunked"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    elif request["body"] is not None:
        headers["Content-Length"] = str(len(body))
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Received:
    """Looks like a socket to http.client."""

    def __init__(self, stream):
        self.stream = stream

    def makefile(self, *_):
        return self.stream


def take_answers(data, requests):
    class Stream(io.BytesIO):
        def close(self):
            """Each response closes it, and the next one reads on."""

    stream = Stream(data)
    for request in requests:
        response = http.client.HTTPResponse(Received(stream), method=request["method"])
        response.begin()
        yield {
            "status": response.status,
            "headers": {name.lower(): value for name, value in response.getheaders()},
            "body": response.read().decode(),
        }


def carry(command):
    """Have a program carry the plan on standard input, and write the answers out."""
    plan = json.load(sys.stdin)
    requests = plan["requests"]
    alone = plan["how"] == "together" or plan["version"] == "1.0"
    groups = [[request] for request in requests] if alone else [requests]
    running = []
    for group in groups:
        sent = b"".join(
            request_bytes(request, plan["version"], last=request is group[-1]) for request in group
        )
        program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with contextlib.suppress(BrokenPipeError):
            program.stdin.write(sent)
            program.stdin.flush()
        running.append((program, group))
    answers = []
    for program, group in running:
        data, _ = program.communicate(timeout=30)
        answers += take_answers(data, group)
    json.dump(answers, sys.stdout)
