"""What a body of USPS tells without its head: its status, and where in a text it stands."""

import re
from http import HTTPStatus
from typing import Final

from usps_token_broker.wire.pasted import bodies_in
from usps_token_broker.wire.usps import USPS_SHAPES, Shape, UspsError, parse_error

_STATUS_BY_CODE: Final = {
    "invalid_client": 401,
    "invalid_token": 401,
    "insufficient_scope": 401,
    "unauthorized_client": 401,
}
_CODE_OF_LIST: Final = re.compile(r"\d{6}")
_STATUS: Final = re.compile(r"[1-5]\d\d")
_TOO_MANY: Final = re.compile(r"spikearrestviolation|quotaviolation")
_OWN: Final = re.compile(r'\{"type": ?"about:blank"')


def status_in(error: UspsError) -> int | None:
    """The status that an answer with this error had, where an error of USPS's shapes tells."""
    codes = (error.code, *error.sub_codes)
    named = next((_STATUS_BY_CODE[code] for code in codes if code in _STATUS_BY_CODE), None)
    if error.shape is Shape.JSON:  # of somebody else: also 401 would say nothing of USPS
        return None
    if _TOO_MANY.search(error.text):
        return HTTPStatus.TOO_MANY_REQUESTS
    if _STATUS.fullmatch(error.code):
        return int(error.code)
    if named is not None:
        return named
    if error.shape is Shape.ENROLMENT or any(map(_CODE_OF_LIST.fullmatch, codes)):
        return HTTPStatus.BAD_REQUEST
    is_of_gateway = error.shape is Shape.FAULT and "oauth" in error.code.lower()
    return HTTPStatus.UNAUTHORIZED if is_of_gateway else None


def body_in(text: str) -> str:
    """The body of USPS, or the refusal of the broker, amid other text; empty where there is none.

    The last one whose status can be told, else the last one of a shape that only USPS has.
    """
    like_usps = ""
    for body in bodies_in(text):
        error = parse_error(body)
        if status_in(error) is not None or _OWN.match(body):
            return body
        if error.shape in USPS_SHAPES and not like_usps:
            like_usps = body
    return like_usps
