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
from usps_token_broker.drivers.secret_source.trust import (
    UNUSABLE,
    Judge,
    SecretError,
    forbidden,
    owner,
    user,
)

__all__ = [
    "MOST_BYTES",
    "UNUSABLE",
    "CredentialSource",
    "Environment",
    "EnvironmentSource",
    "FileSource",
    "Judge",
    "SecretError",
    "SecretSource",
    "forbidden",
    "owner",
    "read_secret",
    "user",
]
