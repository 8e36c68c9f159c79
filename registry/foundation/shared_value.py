"""A value in memory that processes share: one of them writes it, all that were forked after it was made read it.

To read it costs no system call.
"""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from typing import Any, Final

_HEADER: Final = struct.Struct("<II")
_CURRENT: Final = 0
_COPIES_AT: Final = 8
_TRIES: Final = 100


class TornError(Exception):
    """The memory does not hold a whole value."""


class SharedValue:
    """A JSON value of at most `capacity` bytes, None at first.

    There are two copies, and a byte that says which of them is current. A writer fills the other one and then changes
    that byte: so when it is killed in between, the value is still the last one that was written to its end.
    """

    def __init__(self, capacity: int) -> None:
        self._copy_size = _HEADER.size + capacity
        self._memory = mmap.mmap(-1, _COPIES_AT + 2 * self._copy_size)

    def write(self, value: Any) -> None:
        """Replace the value; only one thread of one process may do so at a time.

        Raises:
            ValueError: it is larger than the capacity.
        """
        body = json.dumps(value).encode()
        if _HEADER.size + len(body) > self._copy_size:
            raise ValueError(f"{len(body)} bytes are too many")
        other = 1 - self._current()
        start = _COPIES_AT + other * self._copy_size
        self._memory[start : start + _HEADER.size] = _HEADER.pack(len(body), zlib.crc32(body))
        self._memory[start + _HEADER.size : start + _HEADER.size + len(body)] = body
        self._memory[_CURRENT] = other

    def read(self) -> Any:
        """Return the value.

        Raises:
            TornError: there is none, because something else has written into the memory.
        """
        for _ in range(_TRIES):
            start = _COPIES_AT + self._current() * self._copy_size
            length, checksum = _HEADER.unpack(self._memory[start : start + _HEADER.size])
            if not length:
                return None
            body = self._memory[start + _HEADER.size : start + _HEADER.size + length]
            # There is no lock. If two values were written since we looked which copy is current, it does not add up.
            if zlib.crc32(body) == checksum:
                return json.loads(body)
        raise TornError

    def _current(self) -> int:
        return self._memory[_CURRENT] & 1
