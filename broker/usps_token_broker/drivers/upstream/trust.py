"""Whom the broker believes to be USPS: certificates of the system, or of one file."""

import os
import re
import ssl
import sys
from pathlib import Path
from typing import Final

_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+")

_contexts: dict[str | None, ssl.SSLContext] = {}


def context_for(ca_file: str | None = None) -> ssl.SSLContext:
    """The context that verifies certificates by this file or by the system's store.

    Made once, for it takes 20 ms, and shared by all. Raises OSError when the file cannot be read
    or holds no certificate.
    """
    context = _contexts.get(ca_file)
    if context is None:
        context = _contexts[ca_file] = _make(ca_file)
    return context


def is_made(ca_file: str | None = None) -> bool:
    """Whether `context_for` would answer at once."""
    return ca_file in _contexts


def forget() -> None:
    """Read the certificates anew next time: they may have been updated."""
    _contexts.clear()


def plain() -> ssl.SSLContext:
    """A context that verifies name and certificate, and trusts nobody yet.

    Not `ssl.create_default_context`, which would write the keys of every connection into a file
    that SSLKEYLOGFILE of the environment names. TLS 1.2 is the least whatever OPENSSL_CONF says.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if sys.version_info >= (3, 13):  # what that function does besides
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context


def _make(ca_file: str | None) -> ssl.SSLContext:
    context = plain()
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=ca_file)
    if ca_file is None and not context.cert_store_stats()["x509_ca"] and not _has_directory():
        # A slim container: what httpx itself would trust is better than trusting nobody.
        import certifi  # noqa: PLC0415 - nearly never needed

        context.load_verify_locations(cafile=certifi.where())
    return context


def _has_directory() -> bool:
    """Whether there is a directory of certificates; OpenSSL reads those one by one, when asked."""
    paths = ssl.get_default_verify_paths()
    named = os.environ.get(paths.openssl_capath_env) or paths.openssl_capath
    return any(_holds_certificates(Path(place)) for place in named.split(os.pathsep) if place)


def _holds_certificates(directory: Path) -> bool:
    try:
        return any(_HASHED.fullmatch(entry.name) for entry in directory.iterdir())
    except OSError:
        return False
