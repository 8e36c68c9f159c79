"""A blob, or a range of it, as a client gets it while it is fetched."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from registry.oci.errors import UpstreamFailedError
from registry.proxy.fills.fill import HELD_BACK, State, View
from registry.storage.hashing import new_hasher

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from registry.ports import Visitor
    from registry.proxy.fills.fill import Fill
    from registry.proxy.fills.remote_blob import RemoteBlob
    from registry.proxy.fills.spool import Spool
    from registry.proxy.fills.turns import Turn, Turns

_PIECE: Final = 128 * 1024
"""Bytes that are read at once: hundreds of clients may read the same blob."""
_PATIENCE_SECONDS: Final = 3.0
"""How long a range is waited for that has not come yet; what takes longer is asked for by itself."""


class Passing:
    """Gives `visitor` what the upstream gives of `remote`, a blob of `size` bytes, and keeps nothing of it.

    While others wait for one of `turns`, a visitor who takes nothing for a second loses its own: the upstream is asked
    for the rest when it goes on.
    """

    def __init__(self, remote: RemoteBlob, size: int, visitor: Visitor, turns: Turns) -> None:
        self._remote = remote
        self._size = size
        self._turns = turns
        self._visitor = visitor
        self.pulled = 0
        """Bytes that came from the upstream."""
        self.has_ended_well = False
        """Whether the storage has the blob by now: never."""

    def read(self, start: int, stop: int, before: Iterable[bytes] = ()) -> Generator[bytes]:
        """Yield bytes ``start..stop``. Of all of the blob, the last ones are held back until its digest is verified.

        A client that has got the bytes ``0..start`` already gets all of the blob, too: those are `before`.

        Raises:
            BlobUnknownError: the upstream does not have it any more.
            UpstreamError: it does not give it, or gives something else.
        """
        digest = self._remote.digest
        hasher = new_hasher(digest.algorithm)
        position = 0
        for piece in before:
            hasher.update(piece)
            position += len(piece)
        with closing(self._pieces(start, stop)) as pieces:
            if position != start or stop != self._size:
                yield from pieces
                return
            held = b""
            for piece in pieces:
                hasher.update(piece)
                held += piece
                free = len(held) - HELD_BACK
                if free > 0:
                    yield held[:free]
                    held = held[free:]
        if hasher.digest() != digest:
            raise UpstreamFailedError(f"{self._remote.name} gives other content than that of {digest}")
        yield held

    def _pieces(self, start: int, stop: int) -> Generator[bytes]:
        """Yield bytes ``start..stop`` of what the upstream gives."""
        seconds = self._remote.upstream.settings.network.answertimeout_seconds
        position = start
        while position < stop:
            with self._visitor.waiting():
                turn = self._turns.take(seconds)
            with turn:
                for piece in self._in_turn(turn, position, stop):
                    position += len(piece)
                    turn.rests()
                    yield piece
                    if not turn.resumes():
                        break
                else:
                    return

    def _in_turn(self, turn: Turn, start: int, stop: int) -> Generator[bytes]:
        """Yield bytes ``start..stop`` of one answer of the upstream."""
        name, digest = self._remote.name, self._remote.digest
        is_all = start == 0 and stop == self._size
        with self._visitor.waiting():
            stream = self._remote.open(start, None if is_all else stop)
        turn.has(stream)
        if stream.size not in {None, self._size}:
            raise UpstreamFailedError(f"{name} gives {digest} in {stream.size} bytes and in {self._size}")
        position = stream.start
        arriving = stream.pieces()
        while (piece := self._next(arriving)) is not None:
            wanted = piece[max(start - position, 0) : max(stop - position, 0)]
            position += len(piece)
            self.pulled += len(piece)
            if wanted:
                yield wanted
            if position >= stop:
                return
        raise UpstreamFailedError(f"{name} ends {digest} too early")

    def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        with self._visitor.waiting():
            return next(pieces, None)


class Tail:
    """Reads the blob of `fill`, of `size` bytes, while it grows, on behalf of `visitor`.

    What the fill does not give, `passing` does.
    """

    def __init__(self, fill: Fill, size: int, passing: Passing, visitor: Visitor) -> None:
        self._fill = fill
        self._size = size
        self._passing = passing
        self._visitor = visitor

    @property
    def pulled(self) -> int:
        """Bytes that came from the upstream for this reader alone."""
        return self._passing.pulled

    @property
    def has_ended_well(self) -> bool:
        """Whether the storage has the blob by now."""
        return self._fill.state is State.STORED and self._fill.size == self._size

    def read(self, start: int, stop: int) -> Generator[bytes]:
        """Yield bytes ``start..stop``, waiting for those that have not come yet.

        Those of a range that would come too late, the upstream is asked for.

        Raises:
            BlobUnknownError, UpstreamError: the upstream does not give them.
            DriverError: the storage does not.
        """
        if start and self._fill.seconds_until(min(stop, start + _PIECE)) > _PATIENCE_SECONDS:
            return self._passing.read(start, stop)
        return self._read(start, stop)

    def _read(self, start: int, stop: int) -> Generator[bytes]:
        position = start
        spool: Spool | None = None
        while position < stop:
            view = self._fill.wait(partial(View.has_news, position=position), self._visitor)
            if view.size not in {None, self._size}:
                raise _wrong_at_first()
            if view.spool and view.readable > position:
                if spool and view.spool is not spool and not _have_same(spool, view.spool, start, position):
                    raise _wrong_at_first()
                spool = view.spool
                piece = spool.read(position, min(view.readable, stop, position + _PIECE))
                position += len(piece)
                yield piece
            elif view.has_ended():
                self._fill.raise_error()
                before = spool.pieces(position) if spool and start == 0 and position else ()
                yield from self._passing.read(position, stop, before)
                return


def _wrong_at_first() -> UpstreamFailedError:
    """Return what to raise where the client was told another size, or got the first bytes of something else."""
    return UpstreamFailedError("what came of the blob at first was wrong")


def _have_same(spool: Spool, other: Spool, start: int, stop: int) -> bool:
    """Tell whether both have the same bytes ``start..stop``, so that who began with one may go on with the other.

    There is another one when the blob is fetched anew: what had come was wrong, or went for want of room.
    """
    while start < stop:
        piece = spool.read(start, min(stop, start + _PIECE))
        if other.read(start, start + len(piece)) != piece:
            return False
        start += len(piece)
    return True
