"""Parts of an upload that are being sent to an object store: what the writers of all such drivers have in common.

A writer fills a part, lets a thread send it and fills the next part meanwhile. The parts are taken over in the order
of their bytes, so what is stored of an upload is always its beginning: if a part cannot be stored, all parts after it
are dropped, too.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from drivers.base import PathNotFoundError, UploadBusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from drivers.base import DriverError

Part = TypeVar("Part")

FLUSH_SECONDS: Final = 2.0
"""How much time passes at least between two flushes that tell the store something; Google takes one write a second."""


class OpenUpload:
    """Whether a writer still has its upload, and the errors of a writer that does not. `path` is for their texts."""

    __slots__ = ("_driver", "_path", "is_open")

    def __init__(self, driver: str, path: str) -> None:
        self.is_open = True
        self._driver = driver
        self._path = path

    def require(self, call: str) -> None:
        """Return if the upload is open.

        Raises:
            PathNotFoundError: it is closed, published or cancelled.
        """
        if not self.is_open:
            raise PathNotFoundError(f"{self._driver}: {call} {self._path}: this upload is closed or has ended")

    def lost(self, error: DriverError) -> DriverError:
        """Return the error to raise after `error`, which says that another writer has changed or ended the upload."""
        word = PathNotFoundError if isinstance(error, PathNotFoundError) else UploadBusyError
        return word(f"{self._driver}: another request has changed or ended the upload {self._path}: {error}")


class Flushes:
    """When a flush of a writer tells the store how far it has come: not more often than every FLUSH_SECONDS."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due = float("-inf")

    def are_due(self) -> bool:
        """Tell whether the time for the next one has come; if so, that is this one."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + FLUSH_SECONDS
        return True


def from_byte(parts: Iterable[tuple[str, int]], start: int) -> Iterator[tuple[str, int]]:
    """Yield the names of the parts that have bytes from `start` on, each with the byte of it at which these begin.

    `parts` are names and sizes, in the order of the bytes.
    """
    for name, size in parts:
        if start < size:
            yield name, start
        start = max(0, start - size)


class PendingParts(Generic[Part]):
    """Parts that are being sent. wait() calls `stored` with each of them that is stored, in the order of the bytes."""

    def __init__(self, stored: Callable[[Part], None]) -> None:
        self._stored = stored
        self._queue: deque[tuple[int, Future[Part]]] = deque()

    @property
    def count(self) -> int:
        """How many parts are being sent."""
        return len(self._queue)

    @property
    def size(self) -> int:
        """Bytes that were written and are not known to be stored."""
        return sum(size for size, _ in self._queue)

    def add(self, size: int, sending: Future[Part]) -> None:
        """Add a part of `size` bytes, which `sending` stores."""
        self._queue.append((size, sending))

    def wait(self, *, remaining: int = 0) -> None:
        """Wait until at most `remaining` parts are being sent.

        Raises:
            DriverError: a part could not be stored; it and what came after it are no longer in the upload.
        """
        while len(self._queue) > remaining:
            try:
                part = self._queue[0][1].result()
            except BaseException:
                self.drop()
                raise
            self._queue.popleft()
            self._stored(part)

    def take_stored(self) -> None:
        """Take over the parts that are stored by now, without waiting for any; raises as wait()."""
        done = sum(1 for _ in takewhile(lambda each: each[1].done(), self._queue))
        self.wait(remaining=len(self._queue) - done)

    def drop(self) -> None:
        """Drop what is not known to be stored: wait for the parts that are being sent, and never begin the others."""
        while self._queue:
            _, sending = self._queue.popleft()
            if not sending.cancel():
                sending.exception()


class PartBuffer(PendingParts[Part]):
    """Cuts what is written into parts of `part_size()` bytes and has `send` begin to store each, `at_once` at a time.

    In memory it holds the parts that are being sent and the one that fills, which is joined from its pieces.
    """

    def __init__(
        self,
        send: Callable[[bytes], Future[Part]],
        stored: Callable[[Part], None],
        part_size: Callable[[], int],
        *,
        at_once: int,
    ) -> None:
        super().__init__(stored)
        self._send = send
        self._part_size = part_size
        self._at_once = at_once
        self._pieces: list[bytes] = []
        self._filled = 0

    @property
    def size(self) -> int:
        return super().size + self._filled

    def write(self, piece: bytes) -> None:
        """Append `piece`.

        Raises:
            DriverError: an earlier part could not be stored, as in wait().
        """
        rest = memoryview(piece)
        while rest:
            part_size = self._part_size()
            taken = rest[: part_size - self._filled]
            self._pieces.append(bytes(taken))
            self._filled += len(taken)
            rest = rest[len(taken) :]
            if self._filled == part_size:
                self._send_part()

    def unsent(self) -> bytes:
        """Return what has not filled a part yet."""
        return b"".join(self._pieces)

    def settle(self) -> None:
        """Send what is left, as a smaller part, and wait until all that was written is stored; raises as wait()."""
        if self._filled:
            self._send_part()
        self.wait()

    def drop(self) -> None:
        super().drop()
        self._clear()

    def _send_part(self) -> None:
        self.wait(remaining=self._at_once - 1)
        content = self.unsent()
        self._clear()
        self.add(len(content), self._send(content))

    def _clear(self) -> None:
        self._pieces, self._filled = [], 0
