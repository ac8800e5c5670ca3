"""`python -m usps_token_broker` is the command `usps-token-broker`."""

import sys

from usps_token_broker.cli import main

if __name__ == "__main__":
    sys.exit(main())
