"""What the broker itself refuses."""

from typing import Final

from usps_token_broker.catalogue.rows import OURS, Row, Who

_REPORT: Final = "look into the broker's log and report what it says to its makers"


def _refusal(code: str, symptom: str, cause: str, fix: str, who: Who) -> Row:
    return Row(code, symptom, cause, fix, who, OURS)


ROWS: Final = (
    _refusal(
        "bad_request",
        "400 of the broker",
        "the request to the broker cannot be understood",
        "mend the request; `fix` says how",
        Who.WORKER,
    ),
    _refusal(
        "too_large",
        "400 of the broker",
        "the head or body of the request is longer than the broker takes",
        "send less: a body of USPS's answer is told by its first 4 KB",
        Who.WORKER,
    ),
    _refusal(
        "forbidden",
        "403 of the broker",
        "the configuration names neither this user nor one of its groups for this token",
        "`fix` gives the line to add to the configuration; then `usps-token-broker reload`",
        Who.HOST,
    ),
    _refusal(
        "unknown_app",
        "404 of the broker",
        "the app that was named is none that this user may use, or none was named of several",
        "say app=NAME; `detail` says which apps there are for you",
        Who.WORKER,
    ),
    _refusal(
        "unknown_slot",
        "404 of the broker",
        "the token that was asked for is none that this user may use",
        "`detail` says which tokens there are for you; others stand in the configuration as "
        "[apps.NAME.payments.NAME]",
        Who.WORKER,
    ),
    _refusal(
        "payment_not_configured",
        "404 of the broker for a payment token",
        "the app has no payment roles",
        "add [apps.NAME.payments.default] with its roles to the configuration, or set "
        "USPS_PAYMENT_ROLES; then `usps-token-broker reload`",
        Who.HOST,
    ),
    _refusal(
        "not_found",
        "404",
        "nothing is served at this path, or the thing it names is not there",
        "check the path and the id in it; the tokens have nothing to do with it",
        Who.WORKER,
    ),
    _refusal(
        "method_not_allowed",
        "405 of the broker",
        "the path takes another method",
        "use the one that the header Allow names",
        Who.WORKER,
    ),
    _refusal(
        "config_invalid",
        "422 of `reload`; `run` and `check` end with exit code 78",
        "the configuration on disk cannot be used; nothing was changed",
        "put right what `usps-token-broker check` says: file, key, and how to write it",
        Who.HOST,
    ),
    _refusal(
        "too_many_requests",
        "429 of the broker",
        "this user has too many connections, waiting requests or streams, asks or reports too "
        "often, or reports one fresh token after another",
        "keep one connection a process, and look at what USPS says in the answers that are "
        "reported; the limits stand in the configuration under [limits]",
        Who.WORKER,
    ),
    _refusal(
        "not_ready",
        "503 of the broker",
        "there is no token yet",
        "ask again with a longer `wait`; `usps-token-broker status` says how every token stands",
        Who.NOBODY,
    ),
    _refusal(
        "internal_error",
        "503 of the broker with the words internal error",
        "a bug of ours",
        _REPORT,
        Who.MAKERS,
    ),
    _refusal(
        "budget_exhausted",
        "503 of the broker",
        "its own budget of calls to USPS is used up",
        "wait for the next attempt; if it comes back, `usps-token-broker check` says whether "
        "calls_per_hour is enough for the tokens",
        Who.HOST,
    ),
    _refusal(
        "restarting",
        "503 of the broker",
        "the broker is about to end",
        "ask again in a second; a restarted broker serves the tokens it had",
        Who.NOBODY,
    ),
)
