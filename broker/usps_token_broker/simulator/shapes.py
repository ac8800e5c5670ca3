"""The bodies USPS answers with, in their real shapes.

Bodies of resource APIs are laid out as recorded ones are, down to the blanks: a line break first,
then JSON in a column of its own. Where the wording of a refusal was never seen in public, the
function that makes it says so.
"""

import math
from typing import Final

import msgspec

from usps_token_broker.simulator.messages import Answer
from usps_token_broker.simulator.names import Api

VERSIONS: Final = {
    Api.TOKEN: "/oauth2/v3",
    Api.PAYMENT: "/payments/v3",
    Api.ADDRESSES: "/addresses/v3",
    Api.LABELS: "/labels/v3",
}

_RFC: Final = "https://datatracker.ietf.org/doc/html/"
CLIENT_AUTHENTICATION: Final = _RFC + "rfc6749#page-45"
ERROR_RESPONSE: Final = _RFC + "rfc6749#section-5.2"
TOO_MANY_REQUESTS: Final = _RFC + "rfc6585#section-4"
SERVER_ERROR: Final = _RFC + "rfc7231#section-6.6"


class ErrorItem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One entry of `errors`: `source` is a text from the gateway and an object from an API."""

    status: str = ""
    code: str = ""
    title: str
    detail: str
    source: str | dict[str, str] | None = None


def as_json(status: int, value: object, code: str = "granted") -> Answer:
    """An answer that holds this value."""
    return Answer(status, msgspec.json.encode(value), code=code)


def api_error(
    version: str,
    status: int,
    message: str,
    errors: tuple[ErrorItem, ...] = (),
    code: str = "",
) -> Answer:
    """The ErrorMessage of every v3 API but OAuth, laid out as the gateway does.

    `version` is what stands in apiVersion: with a slash at the end where the gateway answers.
    """
    pad = " " * 12
    text = msgspec.json.encode
    body = (
        b'\n%(p)s{\n%(p)s    "apiVersion": %(version)s,\n%(p)s    "error": {\n'
        b'%(p)s        "code": "%(status)d",\n%(p)s        "message": %(message)s,\n'
        b'%(p)s        "errors": %(errors)s\n%(p)s    }\n%(p)s}\n        '
    ) % {
        b"p": pad.encode(),
        b"version": text(version),
        b"status": status,
        b"message": text(message),
        b"errors": text(errors),
    }
    return Answer(status, body, code=code or f"error_{status}")


def bad_request(api: Api, *errors: ErrorItem) -> Answer:
    """A 400 of the API itself, as the examples of Labels 3.9.13 show it."""
    first = errors[0].code if errors else ""
    return api_error(VERSIONS[api], 400, "Bad Request", errors, first or "bad_request")


def problem(detail: str, parameter: str, code: str = "") -> ErrorItem:
    """One thing that is wrong with a request."""
    return ErrorItem(code=code, title="Bad Request", detail=detail, source={"parameter": parameter})


def oauth_error(status: int, error: str, description: str, uri: str = ERROR_RESPONSE) -> Answer:
    """The error body of the token endpoint (RFC 6749 section 5.2 and USPS OAuth 3.1.4)."""
    fields = {"error": error, "error_description": description, "error_uri": uri}
    body = b"\n" + msgspec.json.format(msgspec.json.encode(fields), indent=4) + b"\n"
    return Answer(status, body, code=error)


def too_many_requests(api: Api, retry_after: str | None) -> Answer:
    """A 429. The token endpoint says `invalid_request` in it, as OAuth 3.1.4 does."""
    if api is Api.TOKEN:
        answer = oauth_error(
            429,
            "invalid_request",
            "SpikeArrestViolation: Too many requests received from client in a short time.",
            TOO_MANY_REQUESTS,
        )
    else:
        answer = gateway_error(api, 429, "Too many requests received from client in a short time.")
    return with_retry_after(answer, retry_after)


def unavailable(api: Api, retry_after: str | None) -> Answer:
    """A 503."""
    return with_retry_after(gateway_error(api, 503, "Service is unavailable."), retry_after)


def gateway_error(api: Api, status: int, detail: str) -> Answer:
    """A failure that says no more than its status does."""
    if api is Api.TOKEN:
        return oauth_error(status, "invalid_request", detail, SERVER_ERROR)
    titles = {429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}
    title = titles.get(status, "Error")
    item = ErrorItem(title=title, detail=detail, source="API")
    return api_error(VERSIONS[api] + "/", status, title, (item,))


def apigee_fault(status: int) -> Answer:
    """The raw body of USPS's gateway product, which leaks now and then."""
    fault = {
        "fault": {
            "faultstring": "Raising fault. Fault name : RF-AccessControl",
            "detail": {"errorcode": "steps.raisefault.RaiseFault"},
        }
    }
    return as_json(status, fault, "gateway_fault")


def page(status: int, title: str, text: str) -> Answer:
    """An HTML page."""
    body = (
        f"<HTML><HEAD>\n<TITLE>{title}</TITLE>\n</HEAD><BODY>\n<H1>{title}</H1>\n \n"
        f"{text}<P>\n</BODY>\n</HTML>\n"
    )
    return Answer(status, body.encode(), code="html", content_type="text/html")


def with_retry_after(answer: Answer, retry_after: str | None) -> Answer:
    """The same answer with this Retry-After; None adds none."""
    if retry_after is None:
        return answer
    return answer.with_headers(("Retry-After", retry_after))


def whole_seconds(seconds: float) -> str:
    """Seconds as Retry-After carries them: whole, and never too few."""
    return str(math.ceil(seconds))
