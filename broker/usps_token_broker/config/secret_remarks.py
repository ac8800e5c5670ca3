"""What is in the place of a client secret and is hardly one: USPS would refuse it.

Warnings and no errors: USPS publishes no pattern. Nothing of the secret is ever shown.
"""

import re
from collections.abc import Callable
from typing import Final

from usps_token_broker.core.values import Secret

_QUOTES: Final = frozenset({'""', "''", "\u201c\u201d"})
_ASSIGNED: Final = re.compile(r"[\"']?(?:export )?[A-Za-z_]*secret[\"']?\s*[=:].*", re.IGNORECASE)
_TOKEN: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_STAND_IN: Final = re.compile(
    r"<.*>|\[.*\]|\$\{?\w+\}?|\{\{.*\}\}|x{4,}|\*+|\.{3}|\u2026"
    r"|change[-_ ]?me|todo|replace[-_ ]?me|(?:your|my)(?:[-_ ][a-z]{1,12}){1,5}"
    r"|(?:client|consumer)[-_ ]?(?:id|key|secret)",
    re.IGNORECASE,
)
_VALUE: Final = "write the value of the secret alone"
_OF_APP: Final = "write the Consumer Secret of your app, as the USPS portal shows it"
_ODD: Final[tuple[tuple[Callable[[str], object], str], ...]] = (
    (lambda text: text[0] + text[-1] in _QUOTES, "it stands in quotes; take them off"),
    (_STAND_IN.fullmatch, f"it is an example; {_OF_APP}"),
    (lambda text: text.startswith("{"), f"it is JSON; {_VALUE}"),
    (_ASSIGNED.fullmatch, f"it has a name before it; {_VALUE}"),
    (_TOKEN.fullmatch, f"it is a token; {_OF_APP}"),
)


def stand_in(text: str) -> bool:
    """Whether this is what documentation writes in the place of a key or a secret."""
    return _STAND_IN.fullmatch(text) is not None


def remark(secret: Secret, client_id: str) -> str | None:
    """What is odd about a secret; None when it looks like one."""
    text = secret.reveal()
    if text == client_id:
        return (
            "it is the client id; write the Consumer Secret, which stands beside the Consumer Key"
        )
    return next((told for is_odd, told in _ODD if is_odd(text)), None)
