"""A USPS that tells everything it is told: its refusals quote the secret and the token."""

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import quote


def jwt(mark: str, number: int) -> str:
    """A token that can be recognised by its signature."""
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps({"n": number}).encode()).decode().rstrip("=")
    return f"{head}.{body}.{mark}{number}"


def spellings(text: str) -> dict[str, str]:
    """Ways in which a gateway may write what it was sent."""
    data = text.encode()
    return {
        "upper": text.upper(),
        "url": quote(text, safe=""),
        "urls": "".join(f"%{byte:02x}" for byte in data),
        "json": "".join(f"\\u{ord(char):04x}" for char in text),
        "html": "".join(f"&#{ord(char)};" for char in text),
        "base64": base64.b64encode(data).decode(),
        "base64url": base64.urlsafe_b64encode(data).decode(),
        "basic": base64.b64encode(b"demo-client-id:" + data).decode(),
        "hex": data.hex(),
    }


def _error(code: str, description: str) -> bytes:
    return json.dumps({"error": code, "error_description": description}).encode()


def _cut(told: str) -> bytes:
    whole = _error("x", f"no client has the secret {told}")
    return whole[: whole.index(told[-4:].encode())]


def _spelled(told: str) -> str:
    return " ".join(f"{name}={written}" for name, written in spellings(told).items())


def _grant(told: str) -> bytes:
    return json.dumps({"access_token": told, "expires_in": 28_799, "scope": f"a {told}"}).encode()


ECHOES: dict[str, Callable[[str], tuple[int, bytes]]] = {
    "spellings": lambda told: (401, _error("invalid_client", _spelled(told))),
    "code": lambda told: (401, _error(told[:64], "no")),
    "chunks": lambda told: (401, _error("invalid_client", f"no client has the secret {told}")),
    "cut": lambda told: (404, _cut(told)),
    "grant": lambda told: (200, _grant(told)),
}
"""Status and body, made of the secret alone."""


class TellingUsps:
    """Grants tokens marked with a word, and, told to `refuse`, quotes what it was asked with."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.refuse = ""
        """How: `api`, `oauth`, `html`, `header`, `broken`, in `spellings`, in a `code`, byte by
        byte in `chunks`, `cut` off in the middle, or as a `grant` of it; empty to grant."""
        self.refused_path = ""
        """Which calls it refuses: those with this in their path."""
        self.calls = 0
        self.refusals = 0
        usps = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                usps.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Grant, or refuse in its own way."""
        self.calls += 1
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        said = f"{body} {request.headers.get('Authorization', '')}"
        told = json.loads(body).get("client_secret") or request.headers["Authorization"]
        refused = bool(self.refuse) and self.refused_path in request.path
        if refused:
            self.refusals += 1
            status, kind, answer = self._refusal(said, told.removeprefix("Bearer "))
        else:
            status, kind, answer = 200, "application/json", self._grant(request.path)
        request.send_response(status)
        request.send_header("Content-Type", kind)
        if refused and self.refuse == "chunks":
            request.send_header("Transfer-Encoding", "chunked")
            answer = b"".join(b"1\r\n%c\r\n" % byte for byte in answer) + b"0\r\n\r\n"
        else:
            request.send_header("Content-Length", str(len(answer)))
        if refused and self.refuse == "header":
            request.send_header("X-You-Said", said.replace("\n", " "))
            request.send_header("Location", f"http://elsewhere/{said.replace(' ', '')}")
        request.end_headers()
        request.wfile.write(answer)

    def _grant(self, path: str) -> bytes:
        token = jwt(self.mark, self.calls)
        granted: dict[str, Any] = {"access_token": token, "expires_in": 28_799, "scope": "payments"}
        if "payment" in path:
            granted = {"paymentAuthorizationToken": token}
        return json.dumps(granted).encode()

    def _refusal(self, said: str, told: str) -> tuple[int, str, bytes]:
        if self.refuse in ECHOES:
            status, answer = ECHOES[self.refuse](told)
            return status, "application/json", answer
        match self.refuse:
            case "api":
                error = {"code": "400", "message": said, "errors": [{"code": "1", "detail": said}]}
                return 400, "application/json", json.dumps({"error": error}).encode()
            case "oauth":
                text = {"error": "invalid_client", "error_description": said, "error_uri": said}
                return 401, "application/json", json.dumps(text).encode()
            case "html":
                return 403, "text/html", f"<title>{said}</title><p>{said}".encode()
            case "header":
                return 302, "text/plain", said.encode()
            case _:
                return 200, "application/json", f'{{"access_token": "{said}\r\n'.encode()
