"""One SDK through the six facts: speaks the protocol of tests/fakes/facts.py; `sdk_facts.py SDK`.

Runs in the Python that UTB_SDKS_PYTHON names.
"""

import logging
import os
import re
import sys
import tempfile

from sdk_worker import Apimatic, Karrio, UspsV3

from usps_token_client import BrokerError, TokenClient

UNSAID = 500
"""These SDKs raise, and not all of them say the status."""


def call(sdk):
    try:
        return f"200 {sdk.label()}"
    except Exception as error:  # noqa: BLE001 - an SDK may raise anything
        chain = [error]
        while chain[-1].__cause__ or chain[-1].__context__:
            chain.append(chain[-1].__cause__ or chain[-1].__context__)
        refused = any(isinstance(one, BrokerError) for one in chain) or _is_broker_s(str(error))
        # Its own words alone: what stands in an exception's causes is not what a log shows.
        return f"{0 if refused else UNSAID} {' '.join(str(error).split())}"


def _is_broker_s(text):
    """A BrokerError of which an SDK left only the text; that names its code before the fix."""
    return re.search(r"\[[a-z_]+(: [a-z_]+)?\]; ", text) is not None


def main():
    logging.disable()
    base_url = os.environ["LABEL_URL"].rsplit("/labels/", 1)[0]
    kind = {"usps-v3": UspsV3, "apimatic": Apimatic, "karrio": Karrio}[sys.argv[1]]
    with tempfile.TemporaryDirectory() as folder:
        sdk = kind(base_url, TokenClient(), folder)
        for _ in sys.stdin:
            print(call(sdk), flush=True)  # noqa: T201 - it answers on its output


if __name__ == "__main__":
    main()
