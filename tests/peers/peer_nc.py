#!/usr/bin/env python3
"""netcat: the requests one behind the other, its own half closed after the last (`-N`).

needs: nc
cannot: expect
"""

import sys

from by_hand import carry

carry(["nc", "-N", "-U", sys.argv[1]])
