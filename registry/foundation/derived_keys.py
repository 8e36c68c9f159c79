"""Keys for several purposes, of the one secret that all hosts of a registry share."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES: Final = 32


def derived(secret: bytes, purpose: bytes) -> bytes:
    """Return the key for `purpose`, 32 bytes, that all hosts with the same `secret` have."""
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose).derive(secret)
