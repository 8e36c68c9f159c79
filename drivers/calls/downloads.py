"""A download that goes on by another call where its answer breaks off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from drivers.translation import Translation
    from registry.foundation.http_client import Stream


def download(
    first: Stream,
    reopen: Callable[[int], Stream | None],
    translated: Callable[[], Translation],
    start: int,
    most_breaks: int,
) -> Iterator[bytes]:
    """Return the pieces of the content of `first`, whose first byte is `start` of an object; close() closes the answer.

    `reopen` is given the byte to go on from where it breaks off, at most `most_breaks` times without another byte, and
    returns None if there are no more. Errors of an answer are raised as `translated` says.
    """
    pieces = _pieces(first, reopen, translated, start, most_breaks)
    next(pieces)
    return pieces


def _pieces(
    first: Stream,
    reopen: Callable[[int], Stream | None],
    translated: Callable[[], Translation],
    start: int,
    most_breaks: int,
) -> Generator[bytes]:
    answer: Stream | None = first
    is_begun, breaks = False, 0
    while answer:
        try:
            with translated(), answer:
                if not is_begun:
                    is_begun = True
                    yield b""
                for piece in answer.pieces():
                    yield piece
                    start, breaks = start + len(piece), 0
                return
        except UnavailableError:
            breaks += 1
            if breaks > most_breaks:
                raise
        answer = reopen(start)
