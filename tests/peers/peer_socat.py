#!/usr/bin/env python3
"""socat: as netcat; after the last request it waits for the answers up to `-t` seconds.

needs: socat
cannot: expect
"""

import sys

from by_hand import carry

carry(["socat", "-t", "30", "-", f"UNIX-CONNECT:{sys.argv[1]}"])
