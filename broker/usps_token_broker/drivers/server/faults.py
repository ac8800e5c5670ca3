"""Reports of our own mistakes that give away nothing a client sent or was sent."""

import logging
import traceback

_log = logging.getLogger(__name__)


def report(doing: str, error: BaseException) -> None:
    """Logs the kind of an exception and where it arose.

    Its text is left out: it may quote a request, and so a token.
    """
    where = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    fields = {"fields": {"event": "failed_inside", "reason": "internal_error"}}
    _log.error("%s failed: %s\n%s", doing, type(error).__qualname__, where, extra=fields)
