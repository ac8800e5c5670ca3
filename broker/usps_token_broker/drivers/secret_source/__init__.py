"""Where a client secret lies, and reading it: `reading` reads, `trust` judges files and paths."""

from usps_token_broker.drivers.secret_source.reading import (
    MOST_BYTES,
    CredentialSource,
    Environment,
    EnvironmentSource,
    FileSource,
    SecretSource,
    read_secret,
)
from usps_token_broker.drivers.secret_source.trust import SecretError

__all__ = [
    "MOST_BYTES",
    "CredentialSource",
    "Environment",
    "EnvironmentSource",
    "FileSource",
    "SecretError",
    "SecretSource",
    "read_secret",
]
