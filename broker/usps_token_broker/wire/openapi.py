"""The local interface as an OpenAPI 3.1 document, made of the table of operations.

Nothing is said here that the table, the messages, the query keys or the codes do not say: what a
call takes and how it can be answered is changed there.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import msgspec

from usps_token_broker.core.outcomes import Code
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.keys import Key
from usps_token_broker.wire.operations import OPERATIONS, PROBLEM, Answer, Operation
from usps_token_broker.wire.problems import STATUS, Problem

_Node = dict[str, Any]

_ABOUT: Final = """\
The interface of usps-token-broker, spoken as HTTP/1.1 over a Unix socket. Who may do what is \
decided by the user and groups of the calling process, so no call carries credentials.

Instants are Unix seconds and spans are seconds, both numbers. Unknown fields are ignored both \
ways; an unknown query key is refused. A GET serves HEAD as well; any other method is answered 405 \
with `Allow`, an unknown path 404. No answer is ever 401, which a client would take for USPS's \
own."""

MEANINGS: Final[Mapping[Code, str]] = MappingProxyType(
    {
        Code.BAD_REQUEST: "the request cannot be understood",
        Code.TOO_LARGE: "its head or body is longer than the broker takes",
        Code.FORBIDDEN: "the configuration does not let this peer have that",
        Code.SCOPE_MISSING: "the token lacks a scope, so USPS would refuse what it is wanted for",
        Code.UNKNOWN_APP: "no such app, or none that this peer may use",
        Code.UNKNOWN_SLOT: "no such token, or none that this peer may use",
        Code.PAYMENT_NOT_CONFIGURED: "the app has no payment roles",
        Code.NOT_FOUND: "nothing is served at this path, or not to this peer",
        Code.METHOD_NOT_ALLOWED: "the path takes another method",
        Code.CONFIG_INVALID: "the configuration on disk cannot be used; nothing was changed",
        Code.TOO_MANY_REQUESTS: "this user has too much open at once, or asks too often",
        Code.CREDENTIALS_REFUSED: "USPS refuses the client id or secret, or the secret "
        "cannot be read (`reason`: secret_unusable): a person must act",
        Code.PAYMENT_REFUSED: "USPS refuses the roles or the account: a person must act",
        Code.NOT_READY: "there is no token yet, or something failed inside the broker",
        Code.UPSTREAM_UNAVAILABLE: "USPS cannot be reached or fails, and no good token is left",
        Code.UPSTREAM_RATE_LIMITED: "USPS wants no calls for now, and no good token is left",
        Code.BUDGET_EXHAUSTED: "the broker's own budget of calls is used up",
        Code.RESTARTING: "the broker is about to end: ask again in a second",
    }
)

_MAY_COME_BACK: Final = frozenset(
    {
        HTTPStatus.FORBIDDEN,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
_NAME: Final[_Node] = {"type": "string", "pattern": r"^[^\u0000-\u001f\u007f]*$"}
"""A control character in a request target is refused."""
_SLOT: Final[_Node] = {
    "name": "slot",
    "in": "path",
    "required": True,
    "description": "`bearer`, `payment`, or `payment-NAME` for a further set of roles",
    "schema": {"type": "string", "pattern": r"^[^\u0000-\u001f\u007f/]+$", "examples": ["bearer"]},
}
_IF_NONE_MATCH: Final[_Node] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags of what the client has: if it is still the one, the answer is 304",
    "schema": {"type": "string", "examples": ['"1790000000123"']},
}
_HEADERS: Final[_Node] = {
    "CacheControl": {
        "description": "There may be a token in it",
        "required": True,
        "schema": {"const": "no-store"},
    },
    "ETag": {
        "description": "The serials of what is answered",
        "required": True,
        "schema": {"type": "string", "pattern": r'^"[0-9]+(\.[0-9]+)?"$'},
    },
    "RetryAfter": {
        "description": "Seconds after which to ask again, where the problem has `retry_after`",
        "schema": {"type": "integer", "minimum": 0},
    },
}


@functools.cache
def document(version: str, *, admin: bool) -> bytes:
    """The document of a broker of this version, with or without the calls for administrators."""
    served = [operation for operation in OPERATIONS if admin or not operation.admin]
    messages = list(dict.fromkeys(_messages(served)))
    refs, schemas = msgspec.json.schema_components(messages, ref_template=_at("schemas", "{name}"))
    schema_of = dict(zip(messages, refs, strict=True))
    paths: dict[str, _Node] = {}
    for operation in served:
        described = _operation(operation, schema_of)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return to_json(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "usps-token-broker",
                "version": version,
                "description": _ABOUT,
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": "http://localhost", "description": "Over the Unix socket"}],
            "security": [],
            "paths": paths,
            "components": {"schemas": schemas, "headers": _HEADERS},
        }
    )


def _at(kind: str, name: str) -> str:
    return f"#/components/{kind}/{name}"


def _messages(operations: Iterable[Operation]) -> Iterator[Any]:
    yield Problem
    for operation in operations:
        if operation.body is not None:
            yield operation.body
        for answer in operation.answers:
            yield from filter(None, answer.bodies.values())


def _operation(operation: Operation, schema_of: Mapping[Any, _Node]) -> _Node:
    described: _Node = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": dict(sorted(_responses(operation, schema_of).items())),
    }
    if operation.admin:
        described["tags"] = ["administration"]
    if operation.body is not None:
        content = {"application/json": {"schema": schema_of[operation.body]}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.takes_text:
        # Whatever is in it is taken, of any media type; this one says what to send.
        described["requestBody"] = {"required": False, "content": {"text/plain": {"schema": {}}}}
    return described


def _parameters(operation: Operation) -> Iterator[_Node]:
    if operation.names_slot:
        yield _SLOT
    for key in operation.query:
        yield {
            "name": key.name,
            "in": "query",
            "description": f"{key.meaning}. In seconds" if key.is_span else key.meaning,
            "schema": _span(key) if key.is_span else _NAME,
        }
    if operation.is_conditional:
        yield _IF_NONE_MATCH


def _span(key: Key) -> _Node:
    schema: _Node = {"type": "number", "minimum": 0}
    if key.most is not None:
        schema["maximum"] = key.most
    if key.default is not None:
        schema["default"] = key.default
    return schema


def _responses(operation: Operation, schema_of: Mapping[Any, _Node]) -> dict[str, _Node]:
    responses: dict[str, _Node] = {}
    for answer in operation.answers:
        responses[str(answer.status)] = {
            "description": answer.meaning,
            "headers": _headers(answer.status, etag=operation.is_conditional),
            **_content(answer, schema_of),
        }
    codes = sorted(operation.all_codes)
    for status in sorted({STATUS[code] for code in codes}):
        these = [code for code in codes if STATUS[code] == status]
        fresh = {"description": "", "headers": _headers(status, etag=False), "content": {}}
        response = responses.setdefault(str(status), fresh)
        meanings = "; ".join(f"`{code}`: {MEANINGS[code]}" for code in these)
        before = response["description"]
        response["description"] = f"{before}; or a problem. {meanings}" if before else meanings
        response["content"][PROBLEM] = {"schema": _problem(status, these, schema_of[Problem])}
    return responses


def _headers(status: int, *, etag: bool) -> _Node:
    headers = {"Cache-Control": {"$ref": _at("headers", "CacheControl")}}
    if etag:
        headers["ETag"] = {"$ref": _at("headers", "ETag")}
    if status in _MAY_COME_BACK:
        headers["Retry-After"] = {"$ref": _at("headers", "RetryAfter")}
    return headers


def _content(answer: Answer, schema_of: Mapping[Any, _Node]) -> _Node:
    content = {
        media_type: {"schema": {"type": "string"} if message is None else schema_of[message]}
        for media_type, message in answer.bodies.items()
    }
    return {"content": content} if content else {}


def _problem(status: int, codes: list[Code], any_problem: _Node) -> _Node:
    these = {"status": {"const": status}, "code": {"enum": [code.value for code in codes]}}
    return {"allOf": [any_problem, {"properties": these}]}
