"""`ca_file`: certificates to trust in place of the system's, looked at before they are needed."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usps_token_broker.config.files import NO_SUCH_FILE, read_bytes
from usps_token_broker.config.kinds import FullPath, Unfit, unfit
from usps_token_broker.config.problems import Problem

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_OR_NONE: Final = "or take ca_file out to trust the system's certificates"


@dataclass(frozen=True, slots=True)
class CertificatesKind:
    """The path of a file that can be read and used, so that no call finds out by night."""

    example: str = '"/etc/ssl/certs/proxy-ca.pem"'

    def read(self, value: object) -> Path | Unfit:
        """The path. Blocks."""
        path = FullPath(self.example).read(value)
        if isinstance(path, Unfit):
            return path
        found, fix = _look_at(path)
        if not found:
            return path
        return unfit("a file of CA certificates in PEM form", f"{path}: {found}", fix)


def _look_at(path: Path) -> tuple[str, str]:
    """What is wrong with the file, if anything, and what to do."""
    content = read_bytes(path)
    if isinstance(content, Problem):
        # Whoever can write it can have the client secret sent anywhere, as with the configuration.
        missing = content.found == NO_SUCH_FILE
        return content.found, f"{content.fix}, {_OR_NONE}" if missing else content.fix
    if not content.strip():
        return "it is empty", f"put the CA's certificate there, {_OR_NONE}"
    if _BEGIN not in content:
        to_pem = f"openssl x509 -in {shlex.quote(str(path))} -out CA.pem"
        return "no certificate in it", f"if it is one in DER form: {to_pem}, {_OR_NONE}"
    if not _is_usable(path):
        return "a damaged certificate in it", f"copy the CA's certificate anew, {_OR_NONE}"
    return "", ""


def _is_usable(path: Path) -> bool:
    import ssl  # noqa: PLC0415 - few have such a file, and it takes a while

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError:  # ssl.SSLError is one
        return False
    return True
