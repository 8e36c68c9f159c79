"""A page of memory that the processes of a server share: one of them posts the verdict, all read it.

To look at it costs no system call, so it may be looked at for every request.
"""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIZE: Final = 1024 * 1024
_REFUSING, _DRAINING = 0, 1
_HEADER: Final = struct.Struct("<II")
_HEADER_AT: Final = 8
_BODY_AT: Final = _HEADER_AT + _HEADER.size
_LONGEST_ERROR: Final = 512
_MOST_CHECKS: Final = 50


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, by the name of the check: `failing` of the configured checks, `unready` of all that are needed.

    `degraded` is what the registry does without.
    """

    failing: Mapping[str, str] = field(default_factory=dict)
    unready: Mapping[str, str] = field(default_factory=dict)
    degraded: Mapping[str, str] = field(default_factory=dict)


class Board:
    """Holds the last verdict; made before the fork. An empty one says that all is well."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, _SIZE)

    @property
    def refusing(self) -> bool:
        """Whether a configured check fails, so that the API is to be refused."""
        return self._page[_REFUSING] != 0

    @property
    def draining(self) -> bool:
        """Whether the server has been told to stop."""
        return self._page[_DRAINING] != 0

    def drain(self) -> None:
        """Say that the server has been told to stop."""
        self._page[_DRAINING] = 1

    def post(self, verdict: Verdict) -> None:
        """Replace the verdict; only one process may do so at a time."""
        parts = (verdict.failing, verdict.unready, verdict.degraded)
        body = json.dumps([_shortened(part) for part in parts]).encode()
        self._page[_BODY_AT : _BODY_AT + len(body)] = body
        self._page[_HEADER_AT:_BODY_AT] = _HEADER.pack(len(body), zlib.crc32(body))
        self._page[_REFUSING] = 1 if verdict.failing else 0

    def read(self) -> Verdict:
        """Return the verdict."""
        while True:
            length, checksum = _HEADER.unpack(self._page[_HEADER_AT:_BODY_AT])
            if not length:
                return Verdict()
            body = self._page[_BODY_AT : _BODY_AT + length]
            # It is posted without a lock; what was read while that happened does not add up.
            if zlib.crc32(body) == checksum:
                return Verdict(*json.loads(body))


def _shortened(errors: Mapping[str, str]) -> dict[str, str]:
    return {name[:_LONGEST_ERROR]: error[:_LONGEST_ERROR] for name, error in list(errors.items())[:_MOST_CHECKS]}
