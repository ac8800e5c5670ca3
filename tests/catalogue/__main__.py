"""`python tests/catalogue`: write the table of errors into the README."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import errors_table

errors_table.write()
