"""Configuration files for tests: a whole one that is right, and ways to break it."""

from collections.abc import Mapping
from pathlib import Path

from usps_token_broker.config import ConfigError, Settings, load

CANARY = "Zx9canaryQ7"
APP = """
[apps.default]
client_id = "the-id"
client_secret = { file = "/etc/usps-token-broker/client-secret" }
"""
ROLES = (
    'roles = [{ roleName = "PAYER", CRID = "12345678", accountType = "EPS", '
    'accountNumber = "1000000001" }, { roleName = "LABEL_OWNER", CRID = "12345678", '
    'MID = "900012345", manifestMID = "900012345" }]'
)
"""Roles in which USPS would find nothing wrong."""
HOME = {"XDG_RUNTIME_DIR": "/run/user/1000"}


class Folder:
    """A directory with a configuration in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "broker.toml"

    def write(self, text: str | bytes, name: str = "broker.toml") -> Path:
        """A file there."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(0o644)
        return path

    def load(
        self, text: str | bytes = "", environ: Mapping[str, str] = HOME, *, uid: int = 1000
    ) -> Settings:
        """The settings that this text makes."""
        return load(self.write(text), environ, uid=uid)

    def refusal(self, text: str | bytes, environ: Mapping[str, str] = HOME) -> ConfigError:
        """The error that this text makes."""
        try:
            settings = self.load(text, environ)
        except ConfigError as error:
            return error
        raise AssertionError(f"accepted: {settings}")


def app_with(lines: str) -> str:
    """An app that is right but for these lines."""
    return f"{APP}{lines}\n"
