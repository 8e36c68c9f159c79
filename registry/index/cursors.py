"""Cursors: what a page of a list gives to say where the next one begins.

The work for a page is bounded, so that one may end at a name which its reader is not to know. A cursor is therefore
encrypted, and all are of the same length, which would tell that of the name. It is authenticated, too: with a cursor of
their own making people could ask what is hidden behind any place.
"""

from __future__ import annotations

import base64
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from registry.foundation.derived_keys import derived

_NONCE_BYTES: Final = 12
_LENGTH: Final = 384
"""Of a place, with what fills it up: that of a tag, with its repository, is the longest."""
_FILLING: Final = b"\0"
"""Which is in no name."""


class Cursors:
    """Writes and reads cursors; all hosts with the same `secret` read those of each other."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(derived(secret, b"cursors of the index"))

    def write(self, place: str, of: str) -> str:
        """Return the cursor that leads to `place` in the list called `of`."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, place.encode().ljust(_LENGTH, _FILLING), of.encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def read(self, cursor: str, of: str) -> str:
        """Return the place; "", the beginning, if no registry with this secret has written that for this list."""
        try:
            sealed = base64.b64decode(cursor, altchars=b"-_", validate=True)
            place = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], of.encode())
        except (ValueError, InvalidTag):  # not base64, too short, made up
            return ""
        return place.rstrip(_FILLING).decode()
