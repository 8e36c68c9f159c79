"""Uploads to a bucket, written by one request after the other. drivers.s3.staging says what the bucket holds of them.

A writer holds at most SPOOL_MEMORY bytes in memory of each part that it fills or sends, of which there are at most
PARTS_AT_ONCE + 2. The rest of them is in unlinked temporary files: (PARTS_AT_ONCE + 2) parts of the plan's first size,
or three of a larger one.
"""

from __future__ import annotations

import secrets
from io import BytesIO
from typing import IO, TYPE_CHECKING

from drivers.base import DriverError, NoSpaceError, PathNotFoundError, UploadBusyError, Writer, checked_path
from drivers.pending import Flushes, OpenUpload, PendingParts, from_byte
from drivers.s3.staging import INLINE_SIZE, RECORD_LIMIT, Record, Spool, is_record, record_key, staging_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from drivers.s3.bucket import Bucket
    from drivers.s3.staging import PartPlan


class Uploads:
    """The uploads of one bucket. `pool` sends the parts of all of them, cut as `plan` says."""

    def __init__(self, bucket: Bucket, pool: Executor, plan: PartPlan) -> None:
        self.bucket = bucket
        self.pool = pool
        self.plan = plan

    def create(self, key: str) -> None:
        """Begin an empty upload."""
        record = Record(self.plan.size, _random())
        self.bucket.put_staged(record_key(key), BytesIO(record.dump()))

    def size(self, key: str) -> int:
        """Return how many bytes are stored; PathNotFoundError if there is no upload."""
        return self._load(key)[0].size

    def open(self, key: str, destination_key: Callable[[str], str]) -> Writer:
        """Open the upload at its end; `destination_key` maps the path given to commit()."""
        record, version = self._load(key)
        return StagedWriter(self, key, record, version, destination_key)

    def read(self, key: str, start: int) -> Iterator[bytes]:
        """Return the pieces of what is stored from `start` on; PathNotFoundError if there is no upload."""
        return self._pieces(staging_prefix(key), self._load(key)[0], start)

    def _pieces(self, prefix: str, record: Record, start: int) -> Iterator[bytes]:
        for name, first in from_byte(record.sizes, start):
            yield from self.bucket.stream(prefix + name, first)
        if inline := record.inline[max(0, start - record.size + len(record.inline)) :]:
            yield inline

    def abandon_joins(self, keys: Iterable[str]) -> None:
        """Abort the multipart uploads of unfinished commits whose records are among `keys`, which will be deleted."""
        for key in filter(is_record, keys):
            try:
                record = Record.load(self.bucket.fetch(key, limit=RECORD_LIMIT)[0])
            except PathNotFoundError:
                continue
            if record.join:
                destination, multipart_id = record.join
                self.bucket.multiparts.abandon(multipart_id, destination)

    def _load(self, key: str) -> tuple[Record, str]:
        content, version = self.bucket.fetch(record_key(key), limit=RECORD_LIMIT)
        return Record.load(content), version


class StagedWriter(Writer):
    """`_record` and `_version` are what is stored; the other fields are what the next record will say."""

    def __init__(
        self,
        uploads: Uploads,
        key: str,
        record: Record,
        version: str,
        destination_key: Callable[[str], str],
    ) -> None:
        self._bucket, self._pool, self._plan = uploads.bucket, uploads.pool, uploads.plan
        self._prefix = staging_prefix(key)
        self._record_key = record_key(key)
        self._destination_key = destination_key
        self._record, self._version = record, version
        self._upload = OpenUpload("s3", key)
        self._writer_id = secrets.token_hex(8)
        self._created: list[str] = []
        self._pending = PendingParts(self._take_over)
        self._flushes = Flushes()
        self._spool = Spool()
        self._revert()

    @property
    def size(self) -> int:
        return self._part_size * len(self._parts) + self._pending.size + self._rest_size

    @property
    def checkpoint(self) -> str:
        return self._record.checkpoint

    def write(self, piece: bytes) -> None:
        self._upload.require("write")
        rest = memoryview(piece)
        while rest:
            room = self._part_size - self._rest_size
            try:
                self._spool.write(rest[:room])
            except NoSpaceError:
                self._settle()
                self._fall_back()
                raise
            self._changed = True
            rest = rest[room:]
            if self._rest_size == self._part_size:
                self._send_part()

    def flush(self) -> None:
        self._upload.require("flush")
        self._settle(self._pending.take_stored)
        # Less than a part is not told: it would have to be sent once more when the part is full.
        if self._part_size * len(self._parts) > self._record.size and self._flushes.are_due():
            record = Record(self._part_size, _random(), tuple(self._parts))
            self._created += self._store(record).names - record.names  # they go when the upload is closed or ends

    def content(self) -> Iterator[bytes]:
        self._settle()
        for name in (*self._parts, *(name for name, _ in self._fragments)):
            yield from self._bucket.stream(self._prefix + name)
        yield from self._spool.pieces()

    def commit(self, destination: str) -> None:
        target = self._destination_key(checked_path(destination))
        self._upload.require("commit")
        self._settle()
        try:
            if self._parts and len(self._parts) + bool(self._rest_size) > 1:
                self._publish_joined(target)
            else:
                self._publish_single(target)
        except (PathNotFoundError, UploadBusyError):
            self._give_up()  # the upload has ended or changed: close() must not store what this writer has of it
            raise
        self._release()
        self._remove_all()

    def cancel(self) -> None:
        self._upload.require("cancel")
        self._release()
        if self._record.join:
            self._bucket.multiparts.abandon(self._record.join[1], self._record.join[0])
        self._remove_all()

    def close(self) -> None:
        if not self._upload.is_open:
            return
        try:
            if self._changed:
                self._close_changed()
        finally:
            self._release()

    def _close_changed(self) -> None:
        try:
            self._settle()
        except DriverError:
            if self._changed:
                self._save()  # what was stored before the failure
            raise
        self._save()

    def _give_up(self) -> None:
        self._release()
        # What the record named after a flush may be what another writer goes on from.
        self._remove({*self._created} - self._record.names)

    def _release(self) -> None:
        self._upload.is_open = False
        self._pending.drop()
        self._spool.close()

    # The next record

    @property
    def _rest_size(self) -> int:
        return sum(size for _, size in self._fragments) + self._spool.size

    def _revert(self) -> None:
        """Go back to what the record says."""
        self._part_size = self._record.part_size
        self._parts = list(self._record.parts)
        self._fragments = list(self._record.fragments)
        self._new_spool()
        self._spool.write(self._record.inline)
        self._changed = False

    def _new_spool(self) -> None:
        self._spool.close()
        self._spool = Spool()

    def _new_name(self) -> str:
        name = f"{self._writer_id}-{len(self._created)}"
        self._created.append(name)
        return name

    def _save(self, join: tuple[str, str] | None = None) -> None:
        """Make all that was written durable and the record say so.

        Raises:
            UploadBusyError: somebody else has changed the upload since it was opened.
        """
        if self._spool.size > INLINE_SIZE:
            name = self._new_name()
            self._bucket.put_staged(self._prefix + name, self._spool.file)
            self._fragments.append((name, self._spool.size))
            self._new_spool()
        record = Record(
            part_size=self._part_size,
            checkpoint=_random(),
            parts=tuple(self._parts),
            fragments=tuple(self._fragments),
            inline=b"".join(self._spool.pieces()),
            join=join,
        )
        old = self._store(record)
        self._changed = False
        self._remove({*old.names, *self._created} - record.names)

    def _store(self, record: Record) -> Record:
        """Let the bucket hold `record`; return the one before.

        Raises:
            UploadBusyError: as _save().
        """
        try:
            self._version = self._swap(record)
        except UploadBusyError:
            self._give_up()
            raise
        old, self._record = self._record, record
        if old.join:
            self._bucket.multiparts.abandon(old.join[1], old.join[0])  # an earlier commit did not finish
        return old

    def _swap(self, record: Record) -> str:
        try:
            return self._bucket.swap(self._record_key, record.dump(), self._version)
        except UploadBusyError:
            # The record there may be this one: the SDK tries again if the answer to its first attempt was lost.
            try:
                content, version = self._bucket.fetch(self._record_key, limit=RECORD_LIMIT)
            except PathNotFoundError:
                content, version = b"", ""
            if content and Record.load(content).checkpoint == record.checkpoint:
                return version
            raise

    def _remove(self, names: Iterable[str]) -> None:
        keys = [self._prefix + name for name in names]
        if keys:
            self._bucket.remove_all(keys)

    def _remove_all(self) -> None:
        names = {*self._record.names, *self._created}
        self._bucket.remove_all([*(self._prefix + name for name in names), self._record_key])

    # Parts

    def _send_part(self) -> None:
        remaining = self._plan.parts_at_once(self._part_size) - 1
        self._settle(lambda: self._pending.wait(remaining=remaining))
        body = self._assembled()
        self._fragments, self._spool = [], Spool()
        sending = self._pool.submit(self._put_part, self._new_name(), body)
        sending.add_done_callback(lambda _: body.close())  # also where it was never begun
        self._pending.add(body.size, sending)
        if self._plan.grows(self._part_size, len(self._parts) + self._pending.count):
            self._grow()

    def _put_part(self, name: str, body: Spool) -> str:
        with body:
            self._bucket.put_staged(self._prefix + name, body.file)
        return name

    def _take_over(self, name: str) -> None:
        self._parts.append(name)

    def _assembled(self) -> Spool:
        """Return all that comes after the last part, gathered in the writer's spool."""
        if self._fragments:
            whole, size = Spool(), self._rest_size
            for name, _ in self._fragments:
                for piece in self._bucket.stream(self._prefix + name):
                    whole.write(piece)
            for piece in self._spool.pieces():
                whole.write(piece)
            if whole.size != size:
                raise DriverError(f"{self._prefix}: the fragments of a part have {whole.size} bytes, not {size}")
            self._spool.close()
            self._spool, self._fragments = whole, []
        return self._spool

    def _settle(self, take_over: Callable[[], None] | None = None) -> None:
        """Take over the parts that `take_over` waits for; all if that is not given.

        Raises:
            DriverError: one could not be stored; the upload ends before it.
        """
        try:
            (take_over or self._pending.wait)()
        except BaseException:
            self._fall_back()
            raise

    def _fall_back(self) -> None:
        """Let the upload end with the last part that is stored, or where the record says if there is none since."""
        if len(self._parts) == len(self._record.parts) and self._part_size == self._record.part_size:
            self._revert()  # the part that failed contained fragments of earlier requests
            return
        self._fragments = []
        self._new_spool()

    def _grow(self) -> None:
        """Join each `growth` parts into one, inside the store."""
        self._settle()
        step = self._plan.growth
        groups = [self._parts[start : start + step] for start in range(0, len(self._parts), step)]
        names = [self._new_name() for _ in groups]
        joins = [self._pool.submit(self._join_parts, *each) for each in zip(groups, names, strict=True)]
        for join in joins:
            join.exception()
        for join in joins:
            join.result()
        self._parts = names
        self._part_size *= step

    def _join_parts(self, sources: Sequence[str], name: str) -> None:
        destination = self._prefix + name
        self._join(self._bucket.multiparts.begin(destination), destination, sources, None)

    # Publishing

    def _publish_single(self, target: str) -> None:
        """Publish an upload of at most one part."""
        if self._bucket.version(self._record_key) != self._version:
            raise UploadBusyError(f"s3: commit {self._prefix}: another request has changed this upload")
        names = [*self._parts, *(name for name, _ in self._fragments)]
        if len(names) == 1 and not self._spool.size:
            self._bucket.copy(self._prefix + names[0], target)
        else:
            self._bucket.put_final(target, self._assembled().file)

    def _publish_joined(self, target: str) -> None:
        multipart_id = self._bucket.multiparts.begin(target)
        try:
            self._save(join=(target, multipart_id))
        except BaseException:
            self._bucket.multiparts.abandon(multipart_id, target)
            raise
        sources = [*self._parts]
        if len(self._fragments) == 1 and not self._spool.size:
            sources.append(self._fragments[0][0])
            self._join(multipart_id, target, sources, None)
        else:
            self._join(multipart_id, target, sources, self._assembled().file if self._rest_size else None)

    def _join(self, multipart_id: str, target: str, sources: Sequence[str], rest: IO[bytes] | None) -> None:
        try:
            self._bucket.multiparts.join(multipart_id, target, [self._prefix + name for name in sources], rest)
        except BaseException:
            self._bucket.multiparts.abandon(multipart_id, target)
            raise


def _random() -> str:
    return secrets.token_hex(16)
