"""What HTTP libraries and wget say of a call that failed: its status, or why there is no answer."""

import re
from typing import Final

from usps_token_broker.wire.curl_failures import AGAIN, Failure

_STATUSES: Final = re.compile(
    r"error '([1-5]\d\d) [^'\n]{0,100}' for url"  # httpx
    r"|\b([1-5]\d\d) (?:Client|Server) Error: "  # requests
    r"|\b([1-5]\d\d), message='"  # aiohttp
    r"|HTTP Error ([1-5]\d\d): "  # urllib
    r"|too many ([1-5]\d\d) error responses"  # urllib3
    r"|status code:? ([1-5]\d\d)\b"  # axios, Laravel
    r"|resulted in a `([1-5]\d\d) "  # Guzzle
    r"|HTTP request failed! HTTP/\d(?:\.\d)? ([1-5]\d\d)\b"  # PHP
    r"|does not indicate success: ([1-5]\d\d)\b"  # .NET, PowerShell
    r"|returned an error: \(([1-5]\d\d)\)"  # Windows PowerShell
    r"|http: warning: HTTP ([1-5]\d\d)\b"  # HTTPie
    r"|\bERROR ([1-5]\d\d): ",  # wget
    re.IGNORECASE,
)
_LIBRARY: Final = re.compile(
    r"\b(?:requests|httpx|httpcore|aiohttp|urllib3?)(?:\.[a-z_]+)*\.[A-Z]\w+|HTTPS?ConnectionPool\("
    r"|<urlopen error|\bfetch failed|\bAxiosError\b|\bgetaddrinfo E[A-Z_]+|\bconnect E[A-Z]+ "
    r"|^--\d{4}-\d\d-\d\d \d\d:\d\d:\d\d--  http|\bwget: |^http: error: "
    r"|\bsocket hang up|\bConnect call failed \('",
    re.MULTILINE,
)
"""Without one of these the words below may be about a database as well."""
_MOST_CHARS: Final = 8192
"""At the end of a text, where a traceback has what it is about. These words cost time to look for,
and a worker of the broker can ask for it as often as it likes."""
_MOST_BEFORE: Final = 200
_OUT_OF_TIME: Final = re.compile(r"expired|not yet valid", re.IGNORECASE)


_REASONS: Final = {
    "proxy_refused": r"tunnel connection failed|\b407 proxy auth",
    "certificate_refused": r"certificate[ _]verify[ _]failed|self[- ]signed certificate"
    r"|certificate has expired|CERT_HAS_EXPIRED|unable to (?:get|verify) [^\n]{1,40}certificate"
    r"|the certificate of [^\n]{1,80} is not trusted|ERR_TLS_CERT_ALTNAME_INVALID",
    "tls_failed": r"\[ssl: |wrong[ _]version[ _]number|\bEPROTO\b",
    "dns_failed": r"name or service not known|name resolution|unable to resolve host"
    r"|\bENOTFOUND\b|\bEAI_AGAIN\b|nodename nor servname|no address associated with",
    "not_connected": r"connection refused|\bECONNREFUSED\b|connect call failed"
    r"|network is unreachable|\bENETUNREACH\b|no route to host|\bEHOSTUNREACH\b"
    r"|connect ?timeout|connection timeout to|connect ETIMEDOUT",
    "call_timed_out": r"timed out|read ?timeout|timeout of \d+ ?ms exceeded|\bETIMEDOUT\b",
    "answer_broken": r"remote end closed connection|server disconnected|\bECONNRESET\b"
    r"|connection reset by peer|socket hang up|incomplete ?read|incomplete chunked read",
}
"""Rows by the words of the system, of OpenSSL and of the libraries; the more telling first."""
_PATTERNS: Final = {code: re.compile(words, re.IGNORECASE) for code, words in _REASONS.items()}


def read_status(text: str) -> int | None:
    """The status that the message of a library in this text names."""
    found = _STATUSES.search(text[-_MOST_CHARS:])
    return None if found is None else int(next(filter(None, found.groups())))


def read_library_failure(text: str) -> Failure | None:
    """Why a library got no answer, where it says so."""
    text = text[-_MOST_CHARS:]
    if not _LIBRARY.search(text):
        return None
    for code, pattern in _PATTERNS.items():
        found = pattern.search(text)
        if found is not None:
            said = _line_around(text, found)
            is_late = code == "certificate_refused" and _OUT_OF_TIME.search(said)
            fix = AGAIN if code in {"answer_broken", "call_timed_out"} else ""
            return Failure(None, "certificate_out_of_time" if is_late else code, said, fix)
    return None


def _line_around(text: str, found: re.Match[str]) -> str:
    begin = text.rfind("\n", 0, found.start()) + 1
    line = text[max(begin, found.start() - _MOST_BEFORE) :]
    return line.partition("\n")[0].strip()
