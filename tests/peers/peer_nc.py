#!/usr/bin/env python3
"""netcat: the requests one behind the other, its own half closed after the last (`-N`).

needs: nc
cannot: expect
"""

import subprocess
import sys

from by_hand import carry

said = subprocess.run(["nc", "-h"], capture_output=True, check=False).stderr
if b"OpenBSD" not in said:
    sys.stderr.write("netcat-openbsd is not installed: this nc is another\n")
    raise SystemExit(69)

carry(["nc", "-N", "-U", sys.argv[1]])
