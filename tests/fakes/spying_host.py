"""A web host that remembers what it was sent, on a loopback port."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class Call:
    """What came, and to which path."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Says:
    """What it answers."""

    status: int = 200
    body: bytes = b"done"
    headers: dict[str, str] = field(default_factory=dict)


class SpyingHost:
    """Answers 200, or what lies in `answers`, in order; `calls` is what it was sent."""

    def __init__(self) -> None:
        self.answers: list[Says] = []
        self.calls: list[Call] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            """One request of any method."""

            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                self.close_connection = True
                host._answer(self)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = self._body(handler)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.calls.append(Call(handler.command, handler.path, headers, body))
        says = self.answers.pop(0) if self.answers else Says()
        handler.send_response(says.status)
        for name, value in {"Connection": "close", **says.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(says.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(says.body)

    def _body(self, handler: BaseHTTPRequestHandler) -> bytes:
        if "chunked" not in handler.headers.get("Transfer-Encoding", ""):
            return handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        body = b""
        while length := int(handler.rfile.readline(), 16):
            body += handler.rfile.read(length)
            handler.rfile.readline()
        handler.rfile.readline()
        return body

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
