"""A page of memory that the processes of a server share: one of them posts on it, all read it.

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
    from collections.abc import Mapping, Sequence

_SIZE: Final = 1024 * 1024
_REFUSING, _DRAINING = 0, 1
_HEADER: Final = struct.Struct("<II")
_VERDICT_AT: Final = 8
_NOTICES_AT: Final = _SIZE // 2
_LONGEST_ERROR: Final = 512
_MOST_CHECKS: Final = 50


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, by the name of the check: `failing` of the configured checks, `unready` of all there are."""

    failing: Mapping[str, str] = field(default_factory=dict)
    unready: Mapping[str, str] = field(default_factory=dict)


class Board:
    """Holds the last verdict and notices; made before the fork. An empty one says that all is well."""

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
        self._write(_VERDICT_AT, [_shortened(verdict.failing), _shortened(verdict.unready)])
        self._page[_REFUSING] = 1 if verdict.failing else 0

    def read(self) -> Verdict:
        """Return the verdict."""
        return Verdict(*self._read(_VERDICT_AT))

    def notice(self, notices: Mapping[str, str]) -> None:
        """Replace what an operator should know though nothing fails of it; only one process may do so at a time."""
        self._write(_NOTICES_AT, [_shortened(notices)])

    @property
    def notices(self) -> Mapping[str, str]:
        """What was noticed, by its name."""
        return dict(*self._read(_NOTICES_AT))

    def _write(self, place: int, texts: Sequence[Mapping[str, str]]) -> None:
        body, start = json.dumps(texts).encode(), place + _HEADER.size
        self._page[start : start + len(body)] = body
        self._page[place:start] = _HEADER.pack(len(body), zlib.crc32(body))

    def _read(self, place: int) -> Sequence[Mapping[str, str]]:
        start = place + _HEADER.size
        while True:
            length, checksum = _HEADER.unpack(self._page[place:start])
            if not length:
                return ()
            body = self._page[start : start + length]
            # It is posted without a lock; what was read while that happened does not add up.
            if zlib.crc32(body) == checksum:
                texts: Sequence[Mapping[str, str]] = json.loads(body)
                return texts


def _shortened(errors: Mapping[str, str]) -> dict[str, str]:
    return {name[:_LONGEST_ERROR]: error[:_LONGEST_ERROR] for name, error in list(errors.items())[:_MOST_CHECKS]}
