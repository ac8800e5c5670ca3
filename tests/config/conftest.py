import pytest
from configs import Folder


@pytest.fixture
def folder(tmp_path):
    """Where a test's configuration lies."""
    return Folder(tmp_path)
