"""Uploads: a block blob at the upload's own path, whose list of blocks is its state.

A request sends its bytes as blocks, under names that no other writer can choose, and makes them part of the blob
when it closes, if the blob still has the ETag that was read. So if there are two writers one loses and has changed
nothing. The ETag is the checkpoint: what is published is a copy, made inside the service, of the blob with exactly
this ETag. There is nothing to list, and there are no objects beside the blob.

Requests of a few bytes each would use up the 50,000 blocks of a blob. So if the last 64 blocks together are smaller
than one block of the size that is sent now, a request sends their content again as one block. That size doubles with
each 10,000 blocks: the last of 50,000 ends at 2.6 TB, or at 97 GiB if each chunk has 2 MiB.

In memory a writer has one block that fills and BLOCKS_AT_ONCE that are being sent: with the copy that joins a block
from its pieces, four times the size of a block.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from drivers.azure.errors import ConflictError
from drivers.base import DriverError, PathNotFoundError, Writer
from drivers.pending import Flushes, OpenUpload, PartBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from drivers.azure.container import Container
    from drivers.azure.documents import Block
    from drivers.flat import Keys

BLOCKS_AT_ONCE: Final = 2
DEFAULT_BLOCK: Final = 8 * 1024 * 1024
_STEP = 10_000
_SMALL_BLOCKS = 64


class AzureWriter(Writer):
    """`_stored` and `_etag` are what is stored; the other fields are what will be stored."""

    def __init__(
        self,
        container: Container,
        keys: Keys,
        path: str,
        stored: tuple[list[Block], str],
        first_size: int,
    ) -> None:
        self._container = container
        self._keys = keys
        self._key = keys.key(path)
        self._stored, self._etag = stored
        self._first_size = first_size
        self._upload = OpenUpload("azure", path)
        self._blocks = list(self._stored)
        self._pending = PartBuffer(self._send, self._take_over, self._block_size, at_once=BLOCKS_AT_ONCE)
        self._flushes = Flushes()
        self._untouched = True

    @property
    def size(self) -> int:
        return sum(block.size for block in self._blocks) + self._pending.size

    @property
    def checkpoint(self) -> str:
        return self._etag

    def write(self, piece: bytes) -> None:
        self._upload.require("write")
        if self._untouched and piece:
            self._untouched = False
            self._gather_small_blocks()
        self._pending.write(piece)

    def flush(self) -> None:
        self._upload.require("flush")
        if (self._pending.count or self._has_more()) and self._flushes.are_due():
            # When some blocks are committed, the service drops all others, also those that are being sent.
            self._pending.wait()
            if self._has_more():
                self._store()

    def content(self) -> Iterator[bytes]:
        self._save()
        return self._container.stream(self._key, etag=self._etag)

    def commit(self, destination: str) -> None:
        key = self._keys.key(destination)
        self._upload.require("commit")
        self._save()
        try:
            self._container.copy(self._key, key, self._etag)
        except (ConflictError, PathNotFoundError) as error:
            self._release()
            raise self._upload.lost(error) from error
        self._release()
        try:
            self._container.remove(self._key, self._etag)
        except (ConflictError, PathNotFoundError):
            return  # somebody else has ended the upload; what was published stays

    def cancel(self) -> None:
        self._upload.require("cancel")
        self._release()
        self._container.remove(self._key)

    def close(self) -> None:
        if not self._upload.is_open:
            return
        try:
            self._save()
        finally:
            self._release()

    def _save(self) -> None:
        """Make all that was written part of the blob.

        Raises:
            UploadBusyError: another writer has changed it since it was opened.
            DriverError: a block could not be sent; what came before it is part of the blob.
        """
        failure = None
        try:
            self._pending.settle()
        except DriverError as error:
            failure = error
        if self._has_more():
            self._store()
        else:
            self._blocks = list(self._stored)
        if failure:
            raise failure

    def _has_more(self) -> bool:
        """Tell whether more is stored than is part of the blob."""
        return sum(block.size for block in self._blocks) > sum(block.size for block in self._stored)

    def _store(self) -> None:
        try:
            self._etag = self._commit_blocks()
        except (ConflictError, PathNotFoundError) as error:
            self._release()
            self._blocks = self._stored
            raise self._upload.lost(error) from error
        self._stored = list(self._blocks)

    def _commit_blocks(self) -> str:
        try:
            return self._container.commit(self._key, self._blocks, self._etag)
        except ConflictError:
            # The blocks there may be our own, if the answer was lost; no other writer can know their names.
            blocks, etag = self._container.blocks(self._key)
            if blocks != self._blocks:
                raise
            return etag

    def _release(self) -> None:
        """Drop what was not sent; the service itself deletes blocks that are not committed."""
        self._upload.is_open = False
        self._pending.drop()

    # Blocks

    def _block_size(self) -> int:
        return self._first_size << (len(self._blocks) + self._pending.count) // _STEP

    def _gather_small_blocks(self) -> None:
        """If the last blocks are many and small, take them off the list and send their content again."""
        last = self._blocks[-_SMALL_BLOCKS:]
        if len(last) < _SMALL_BLOCKS or any(block.size * _SMALL_BLOCKS >= self._block_size() for block in last):
            return
        start = self.size - sum(block.size for block in last)
        pieces = self._container.stream(self._key, start, etag=self._etag)
        del self._blocks[-_SMALL_BLOCKS:]
        for piece in pieces:
            self._pending.write(piece)

    def _send(self, content: bytes) -> Future[Block]:
        return self._container.pool.submit(self._container.stage, self._key, uuid.uuid4().hex, content)

    def _take_over(self, block: Block) -> None:
        self._blocks.append(block)
