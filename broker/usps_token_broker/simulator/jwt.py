"""Tokens that look as USPS's do: three parts, the real header, the real claims.

The header says RS256, but the signature is a keyed hash as long as an RSA one: only the
simulator can check it, and the `public_key` it hands out fits nothing.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

import msgspec

Claims = dict[str, object]

_KEY_ID: Final = "Ks7cVQx0EyBlMfQ3u6tq0pB8n5rZJwYh2aDgTLoIeXA"
_SIGNATURE_BYTES: Final = 256
_PARTS: Final = 3


def encode(claims: Claims, key: bytes) -> str:
    """A token that carries these claims."""
    header = {"kid": _KEY_ID, "typ": "JWT", "alg": "RS256"}
    head = f"{_pack(msgspec.json.encode(header))}.{_pack(msgspec.json.encode(claims))}"
    return f"{head}.{_pack(_signature(head, key))}"


def decode(token: str) -> Claims | None:
    """The claims of a token, whoever signed it; None when it is no JWT."""
    parts = token.split(".")
    if len(parts) != _PARTS or not all(parts):
        return None
    try:
        header, claims = (msgspec.json.decode(_unpack(part)) for part in parts[:2])
        _unpack(parts[2])
    except (msgspec.DecodeError, binascii.Error, ValueError):
        return None
    return claims if isinstance(header, dict) and isinstance(claims, dict) else None


def is_signed_with(token: str, key: bytes) -> bool:
    """Whether this key made the signature of a token that `decode` understood."""
    head, _, signature = token.rpartition(".")
    return hmac.compare_digest(_pack(_signature(head, key)).encode(), signature.encode())


def public_key(key: bytes) -> str:
    """What stands in `public_key`: base64 of a PEM file of the real form and length."""
    # A SubjectPublicKeyInfo of 2048 bits up to its modulus, and the exponent 65537 (RFC 8017).
    before = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f003082010a0282010100")
    modulus = bytearray(hashlib.shake_256(b"modulus" + key).digest(_SIGNATURE_BYTES))
    modulus[0] |= 0x80
    modulus[-1] |= 1
    der = base64.b64encode(before + modulus + bytes.fromhex("0203010001")).decode()
    lines = [der[start : start + 64] for start in range(0, len(der), 64)]
    pem = "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----"])
    return base64.b64encode(pem.encode()).decode()


def _signature(head: str, key: bytes) -> bytes:
    return hashlib.shake_256(key + b"." + head.encode()).digest(_SIGNATURE_BYTES)


def _pack(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpack(part: str) -> bytes:
    if not part.isascii():
        raise ValueError("not base64url")
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
