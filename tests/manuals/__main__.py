"""`python tests/manuals` writes the manual pages and completions that the wheels carry.

They are made from what parses the command lines, from the README's reference, which a test holds to
the code, and from the configuration that `install-units` begins. A test compares them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shipped_files import files

for path, text in files().items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(path)
