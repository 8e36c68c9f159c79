"""Several ranges of a blob in one answer: ``multipart/byteranges`` (RFC 9110 sections 14.6 and 15.3.7.2)."""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from drivers.base import DriverError
from registry.oci import media_types

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from registry.oci.ranges import ByteRange

_BOUNDARY_BYTES: Final = 16
_NEW_LINE: Final = b"\r\n"
_LEAST_SENT: Final = 64 * 1024
"""Bytes that are collected before they are sent: a hundred small parts need not be a hundred packets."""


def content_range(span: ByteRange, size: int) -> str:
    """Return the Content-Range that says where a part of content of `size` bytes belongs."""
    return f"bytes {span.start}-{span.stop - 1}/{size}"


@dataclass(frozen=True, slots=True)
class Multipart:
    """An answer with one part for each of `ranges` of content of `size` bytes.

    The `boundary` between them is drawn for each answer, so nobody can have pushed content that has it inside.
    """

    ranges: tuple[ByteRange, ...]
    size: int
    boundary: str

    @classmethod
    def of(cls, ranges: tuple[ByteRange, ...], size: int) -> Self:
        """Return the answer for `ranges`."""
        return cls(ranges, size, secrets.token_hex(_BOUNDARY_BYTES))

    @property
    def content_type(self) -> str:
        """The Content-Type, which names the boundary."""
        return f"multipart/byteranges; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """Bytes of the body: the parts, and what stands before and behind them."""
        return sum(len(self._head(each)) + each.length + len(_NEW_LINE) for each in self.ranges) + len(self._end())

    def body(self, read: Callable[[ByteRange], Iterator[bytes]]) -> Iterator[bytes]:
        """Yield the body, a little more than the largest piece of `read` at a time."""
        return _gathered(self._pieces(read))

    def _pieces(self, read: Callable[[ByteRange], Iterator[bytes]]) -> Generator[bytes]:
        for each in self.ranges:
            missing = each.length
            with closing(read(each)) as pieces:  # type: ignore[type-var]  # the contract asks for it, Iterator does not have it
                yield self._head(each)
                for piece in pieces:
                    missing -= len(piece)
                    yield piece
            if missing:
                # What comes next would be taken for content.
                raise DriverError(f"a blob of {self.size} bytes ends {missing} bytes before {each.stop}")
            yield _NEW_LINE
        yield self._end()

    def _head(self, span: ByteRange) -> bytes:
        lines = (
            f"--{self.boundary}",
            f"Content-Type: {media_types.OCTET_STREAM}",
            f"Content-Range: {content_range(span, self.size)}",
            "\r\n",
        )
        return "\r\n".join(lines).encode("ascii")

    def _end(self) -> bytes:
        return f"--{self.boundary}--\r\n".encode("ascii")


def _gathered(pieces: Generator[bytes]) -> Generator[bytes]:
    """Yield what `pieces` yields, small pieces together."""
    with closing(pieces):
        gathered = bytearray()
        for piece in pieces:
            gathered += piece
            if len(gathered) >= _LEAST_SENT:
                yield bytes(gathered)
                gathered.clear()
        yield bytes(gathered)
