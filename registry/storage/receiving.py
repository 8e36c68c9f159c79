"""What a client sends of an upload, written and hashed.

Hashing takes about as long as receiving and writing together, so a long body is hashed by a thread of its own while the
next piece is on its way. Where this process may have no more threads, the request hashes it itself.
"""

from __future__ import annotations

import threading
from queue import Queue
from typing import TYPE_CHECKING, Final, Self

from drivers.base import PIECE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from drivers.base import Writer
    from registry.storage.hashing import Hasher

_LONG: Final = 4 * PIECE_SIZE
"""Bytes of a body from which on it pays to start a thread."""
_MOST_BEHIND: Final = 2
"""Pieces that wait to be hashed: more of them would have left the processor's caches, and take memory."""


def receive(pieces: Iterable[bytes], writer: Writer, hasher: Hasher | None) -> None:
    """Append `pieces` to `writer`, and add them to `hasher` if there is one.

    Raises:
        Whatever `pieces` raise: what came before is written, and the hasher is of no use any more.
    """
    with _Hashing(hasher) as hashing:
        for piece in pieces:
            # The hashing thread has the piece first, so that it works while the piece is written. Neither changes it.
            hashing.add(piece)
            writer.write(piece)


class _Hashing:
    """A block in which a hasher is given pieces: by a thread once there are many."""

    def __init__(self, hasher: Hasher | None) -> None:
        self._hasher = hasher
        self._hashed = 0
        self._thread: threading.Thread | None = None
        self._alone = False
        self._error: Exception | None = None
        self._abandoned = False

    def add(self, piece: bytes) -> None:
        """Hash `piece` now or soon; wait if that is far behind."""
        if self._hasher is None:
            return
        self._hashed += len(piece)
        if self._hashed > _LONG and self._thread is None and not self._alone:
            self._start(self._hasher)
        if self._thread:
            self._waiting.put(piece)
        else:
            self._hasher.update(piece)

    def _start(self, hasher: Hasher) -> None:
        self._waiting: Queue[bytes | None] = Queue(_MOST_BEHIND)
        thread = threading.Thread(target=self._run, args=(hasher,), name="hashing", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there can be no more threads
            self._alone = True
        else:
            self._thread = thread

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread:
            self._abandoned = error is not None
            self._waiting.put(None)
            self._thread.join()
        if self._error and error is None:
            raise self._error

    def _run(self, hasher: Hasher) -> None:
        while (piece := self._waiting.get()) is not None:
            if self._error or self._abandoned:
                continue
            try:
                hasher.update(piece)
            except Exception as error:  # noqa: BLE001  it is raised where the block ends
                self._error = error
