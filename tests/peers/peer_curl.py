#!/usr/bin/env python3
"""curl: one call with `--next` between requests; `--parallel` for all at once.

needs: curl
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path


def options(socket, folder, number, request, version):
    given = ["--silent", "--show-error", "--unix-socket", socket, f"--http{version}"]
    given += ["--dump-header", f"{folder}/{number}.head", "--output", f"{folder}/{number}.body"]
    given += ["--head"] if request["method"] == "HEAD" else ["--request", request["method"]]
    for name, value in request["headers"].items():
        given += ["--header", f"{name}: {value}"]
    if request["body"] is not None:
        sent = Path(folder, f"{number}.sent")
        sent.write_text(request["body"], "utf-8")
        given += ["--data-binary", f"@{sent}"]
        if request["chunked"]:
            given += ["--header", "Transfer-Encoding: chunked"]
    return [*given, f"http://localhost{request['target']}"]


def answer(folder, number):
    # What comes last is the answer; a `100 Continue` comes before it.
    head = (
        Path(folder, f"{number}.head").read_bytes().decode("latin-1").strip().split("\r\n\r\n")[-1]
    )
    first, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    body = Path(folder, f"{number}.body")
    return {
        "status": int(first.split(" ")[1]),
        "headers": {name.lower(): value for name, value in headers.items()},
        "body": body.read_text("utf-8") if body.exists() else "",
    }


def main(socket):
    plan = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        command = ["curl", "--no-progress-meter"]
        if plan["how"] == "together":
            command += ["--parallel", "--parallel-immediate"]
        for number, request in enumerate(plan["requests"]):
            command += ["--next"] if number else []
            command += options(socket, folder, number, request, plan["version"])
        subprocess.run(command, check=True)
        answers = [answer(folder, number) for number in range(len(plan["requests"]))]
    for request, got in zip(plan["requests"], answers, strict=True):
        if request["method"] == "HEAD":
            got["body"] = ""  # curl writes the head there instead
    json.dump(answers, sys.stdout)


main(sys.argv[1])
