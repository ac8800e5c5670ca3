import tempfile
from pathlib import Path

from hypothesis import configuration

# What hypothesis remembers is no part of the tree.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "utb-hypothesis")
