"""Answers held to the OpenAPI document: status, media type, headers and body."""

import functools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema_rs

from usps_token_broker.wire import openapi, operations
from usps_token_broker.wire.operations import Operation

VERSION = "1.2.3"
_ALWAYS_SENT = {"content-type", "content-length", "transfer-encoding", "connection"}

Validator = Any  # what jsonschema_rs makes is one of several classes


@functools.cache
def document(*, admin: bool) -> dict[str, Any]:
    """The document as a client reads it."""
    decoded: dict[str, Any] = json.loads(openapi.document(VERSION, admin=admin))
    return decoded


def operation_of(method: str, target: str) -> Operation | None:
    """What is asked for by this request line, if it is something."""
    local = target if target.startswith("/") else urlsplit(target).path  # RFC 9112 3.2.2
    found = operations.find(unquote(local.partition("?")[0]))
    return None if found is None else found.by_method.get(method)


def check(
    operation: Operation | None, status: int, headers: Mapping[str, str], body: bytes
) -> None:
    """Raises AssertionError for an answer that the document does not describe.

    Header names are in lower case. Without an operation, it must be a 404 or 405 of the form that
    all problems have.
    """
    if operation is None:
        assert status in {400, 403, 404, 405}, status
        assert headers["content-type"] == operations.PROBLEM
        _validator('{"$ref": "#/components/schemas/Problem"}').validate(json.loads(body))
        return
    described = document(admin=True)["paths"][operation.path][operation.method.lower()]
    where = f"{operation.name} {status}"
    response = described["responses"].get(str(status))
    assert response is not None, f"{where} is not in the document: {body[:300]!r}"
    _check_headers(response.get("headers", {}), headers, where)
    content = response.get("content", {})
    if not content:
        assert body == b"", f"{where} has no body in the document"
        return
    schema = content.get(_documented_type(content, headers["content-type"]))
    assert schema is not None, f"{where} is not in the document as {headers['content-type']}"
    for value in _values(headers["content-type"], body):
        _validator(json.dumps(schema["schema"])).validate(value)


def check_line(line: bytes) -> None:
    """Raises ValueError for a line of `/v1/events` that the document does not describe."""
    response = document(admin=True)["paths"]["/v1/events"]["get"]["responses"]["200"]
    schema = response["content"][operations.LINES]["schema"]
    _validator(json.dumps(schema)).validate(json.loads(line))


def _values(media_type: str, body: bytes) -> list[Any]:
    """What the schema of this media type is about: the body, or each of its lines."""
    if media_type == operations.LINES:
        return [json.loads(line) for line in body.splitlines()]
    return [json.loads(body) if "json" in media_type else body.decode()]


def _documented_type(content: Mapping[str, Any], sent: str) -> str | None:
    """The media type in the document that this one is: with all of its parameters."""
    parts = set(sent.split("; "))
    return next((known for known in content if set(known.split("; ")) <= parts), None)


def _check_headers(described: Mapping[str, Any], sent: Mapping[str, str], where: str) -> None:
    known = {name.lower(): header for name, header in described.items()}
    unknown = sent.keys() - known.keys() - _ALWAYS_SENT
    assert not unknown, f"{where} has headers that are not in the document: {unknown}"
    for name, reference in known.items():
        header = document(admin=True)["components"]["headers"][reference["$ref"].split("/")[-1]]
        value: Any = sent.get(name)
        if value is None:
            assert not header.get("required"), f"{where} lacks {name}"
            continue
        number = header["schema"].get("type") == "integer"
        _validator(json.dumps(header["schema"])).validate(int(value) if number else value)


@functools.cache
def _validator(schema: str) -> Validator:
    whole = {**json.loads(schema), "components": document(admin=True)["components"]}
    return jsonschema_rs.Draft202012Validator(whole)
