"""What curl says of a call that got no answer of USPS, and which row of the catalogue that is."""

import re
from dataclasses import dataclass
from typing import Final

_SAID: Final = re.compile(r"\b(?:curl: \((\d{1,3})\)|cURL error (\d{1,3}):) ([^\n]{0,300})")
"""As curl says it, and PHP's libraries over it."""
_STATUS: Final = re.compile(r"returned error: (\d{3})")
_PROXY: Final = re.compile(r"connect tunnel failed|from proxy after connect", re.IGNORECASE)
_CONNECTING: Final = re.compile(r"connect|resolv", re.IGNORECASE)
_OUT_OF_TIME: Final = re.compile(r"expired|not yet valid", re.IGNORECASE)
AGAIN: Final = (
    "call once more; if it lasts, look at what stands between this host and USPS (proxy, firewall)"
)
_CODES: Final = {
    5: "dns_failed",
    6: "dns_failed",
    7: "not_connected",
    18: "answer_broken",
    28: "call_timed_out",
    35: "tls_failed",
    51: "certificate_refused",
    52: "answer_broken",
    55: "answer_broken",
    56: "answer_broken",
    60: "certificate_refused",
    77: "ca_file_unusable",
    92: "answer_broken",
    97: "proxy_refused",
}
"""Rows by exit status (curl(1), EXIT CODES)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why curl ended without an answer that can be read."""

    status: int | None
    """The HTTP status, which `curl -f` tells alone."""
    code: str
    """Of the row of the catalogue; empty where the status alone is told."""
    said: str
    """curl's own words, as they came."""
    fix: str
    """What the caller does, where the row speaks of the broker's own calls; else empty."""

    @property
    def is_of_proxy(self) -> bool:
        """Whether the answer that was printed, if any, is that of a proxy."""
        return self.code == "proxy_refused"


def read_failure(text: str) -> Failure | None:
    """The last thing that curl said, if it is one that tells something."""
    found = _SAID.findall(text)
    if not found:
        return None
    number, said = int(found[-1][0] or found[-1][1]), found[-1][2].strip()
    status = _STATUS.search(said)
    if status is not None:
        return Failure(int(status[1]), "", said, "")
    code = _CODES.get(number, "")
    if _PROXY.search(said):
        code = "proxy_refused"
    elif code == "call_timed_out" and _CONNECTING.search(said):
        code = "not_connected"
    elif code == "certificate_refused" and _OUT_OF_TIME.search(said):
        code = "certificate_out_of_time"
    fix = AGAIN if code in {"answer_broken", "call_timed_out"} else ""
    return Failure(None, code, said, fix) if code else None
