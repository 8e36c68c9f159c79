"""A set in memory that processes share: what one of them adds, all know that were forked after it was made.

Neither side needs a lock or a system call.
"""

from __future__ import annotations

import hmac
import mmap
import random
import secrets
from typing import Final

_DIGEST: Final = 16
_WAYS: Final = 8
_BUCKET: Final = _DIGEST * _WAYS
_EMPTY: Final = bytes(_DIGEST)


class SharedSet:
    """Values that were added of late: a new one may take the place of another once there are about `most`.

    Kept are digests with a random key, from which no value can be learned. A process that reads while another one
    writes may miss a value; that it finds one that was never added is as unlikely as two equal digests.
    """

    def __init__(self, most: int = 8192) -> None:
        self._buckets = max(1, most // _WAYS)
        self._memory = mmap.mmap(-1, self._buckets * _BUCKET)
        self._key = secrets.token_bytes(32)

    def __contains__(self, value: bytes) -> bool:
        digest, start = self._place(value)
        return digest in self._ways(start)

    def add(self, value: bytes) -> None:
        """Add `value`."""
        digest, start = self._place(value)
        ways = self._ways(start)
        if digest in ways:
            return
        way = ways.index(_EMPTY) if _EMPTY in ways else random.randrange(_WAYS)  # noqa: S311  any will do
        self._memory[start + way * _DIGEST : start + (way + 1) * _DIGEST] = digest

    def _place(self, value: bytes) -> tuple[bytes, int]:
        digest = hmac.digest(self._key, value, "sha256")
        return digest[:_DIGEST], int.from_bytes(digest[_DIGEST:]) % self._buckets * _BUCKET

    def _ways(self, start: int) -> list[bytes]:
        bucket = self._memory[start : start + _BUCKET]
        return [bucket[at : at + _DIGEST] for at in range(0, _BUCKET, _DIGEST)]
