"""`python tests/matrix`: write the table of clients and facts into the README.

With `--print` it is printed and nothing is written. With `--run` its tests are run, and the table
is printed as it came out; other words are for pytest (`--run -k gunicorn`). Ends as pytest does.
"""

import contextlib
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import clients_table
import pytest


def main(words: list[str]) -> int:
    """Do what these words say."""
    cells = clients_table.Cells()
    if words[:1] == ["--run"]:
        code = int(pytest.main([*clients_table.files(), *words[1:]], plugins=[cells]))
        print(cells.table(), end="")
        return code
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = int(pytest.main(["--collect-only", "-q", *clients_table.files()], plugins=[cells]))
    if code or cells.errors:
        print(said.getvalue(), *cells.errors, file=sys.stderr)
        return code or 1
    if words == ["--print"]:
        print(cells.table(), end="")
    else:
        clients_table.write(cells.table())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
