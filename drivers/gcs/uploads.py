"""Uploads: parts that are written once, and one small object that names them.

An upload at ``a/b/data`` is stored below ``a/b/data/.upload/``: the object ``state`` and the parts, each under a name
that no other writer can choose. The state is replaced only if it still has the generation that was read. So if there
are two writers one loses and has changed nothing, and what is published is composed, inside the service, of exactly
the parts and generations that the writer saw. The state's generation is the checkpoint.

Whenever the last 32 parts are of one level, they are composed into one part of the next level, as digits carry.
So an upload of any number of chunks of any size is a list of about a hundred parts.

In memory a writer has at most one part that fills and PARTS_AT_ONCE that are being sent.
"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, PathNotFoundError, Writer
from drivers.gcs.composing import Source
from drivers.gcs.errors import ConflictError
from drivers.pending import Flushes, OpenUpload, PartBuffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from drivers.flat import Keys
    from drivers.gcs.bucket import Bucket

STATE: Final = "state"
STATE_LIMIT: Final = 1024 * 1024
PARTS_AT_ONCE: Final = 2
_FAN_IN = 32
"""The most sources that the service composes at once."""


def below_upload(key: str) -> str:
    """Return the prefix of the keys of all objects that belong to the upload at `key`."""
    return f"{key}/.upload/"


@dataclass(frozen=True, slots=True)
class Part:
    """A part. `level` says how often it was composed: a part of level 2 is made of 32 parts, each made of 32."""

    name: str
    generation: int
    size: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What is stored of an upload."""

    parts: tuple[Part, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the upload."""
        return sum(part.size for part in self.parts)

    @property
    def names(self) -> set[str]:
        """The names of the parts."""
        return {part.name for part in self.parts}

    def dump(self) -> bytes:
        """Return the state as it is stored."""
        parts = [[part.name, part.generation, part.size, part.level] for part in self.parts]
        return json.dumps({"version": 1, "parts": parts}, separators=(",", ":")).encode("ascii")

    @classmethod
    def load(cls, content: bytes) -> State:
        """Return the state that was stored as `content`.

        Raises:
            DriverError: it is malformed, or of a later version.
        """
        try:
            fields = json.loads(content)
            if fields["version"] == 1:
                return cls(tuple(Part(*part) for part in fields["parts"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DriverError(f"gcs: the state of an upload is malformed: {error!r}") from error
        raise DriverError(f"gcs: the state of an upload is of version {fields['version']}, too new for this program")


class GcsWriter(Writer):
    """`_state` and `_generation` are what is stored; the other fields are what will be stored."""

    def __init__(self, bucket: Bucket, keys: Keys, path: str, stored: tuple[State, int], part_size: int) -> None:
        self._bucket = bucket
        self._keys = keys
        self._prefix = below_upload(keys.key(path))
        self._state, self._generation = stored
        self._upload = OpenUpload("gcs", path)
        self._parts = list(self._state.parts)
        self._pending = PartBuffer(self._send, self._take_over, lambda: part_size, at_once=PARTS_AT_ONCE)
        self._flushes = Flushes()
        self._created: set[str] = set()

    @property
    def size(self) -> int:
        return sum(part.size for part in self._parts) + self._pending.size

    @property
    def checkpoint(self) -> str:
        return str(self._generation)

    def write(self, piece: bytes) -> None:
        self._upload.require("write")
        self._pending.write(piece)

    def flush(self) -> None:
        self._upload.require("flush")
        self._pending.take_stored()
        state = State(tuple(self._parts))
        if state.size > self._state.size and self._flushes.are_due():
            self._remove(self._store(state).names - state.names)

    def content(self) -> Iterator[bytes]:
        self._pending.settle()
        for part in self._parts:
            yield from self._bucket.stream(self._prefix + part.name)

    def commit(self, destination: str) -> None:
        key = self._keys.key(destination)
        self._upload.require("commit")
        if not self._parts and not self._pending.count:
            content = self._pending.unsent()
            self._claim()
            self._publish(lambda: self._bucket.insert(key, content))
        else:
            self._pending.settle()
            while len(self._parts) > _FAN_IN:
                self._merge_last()
            sources = self._sources(self._parts)
            self._claim()
            self._publish(lambda: self._bucket.compose(key, sources))
        self._release()
        self._remove(self._created | self._state.names)

    def _claim(self) -> None:
        """Delete the state, so that no other writer can go on; _publish() stores it again if it fails."""
        try:
            self._bucket.remove(self._prefix + STATE, self._generation)
        except (ConflictError, PathNotFoundError) as error:
            self._give_up()
            raise self._upload.lost(error) from error

    def _publish(self, step: Callable[[], int]) -> None:
        try:
            step()
        except BaseException:
            with suppress(DriverError):
                self._generation = self._bucket.insert(self._prefix + STATE, self._state.dump(), 0)
            self._give_up()
            raise

    def cancel(self) -> None:
        self._upload.require("cancel")
        self._release()
        self._bucket.remove_below(self._prefix)

    def close(self) -> None:
        if not self._upload.is_open:
            return
        failure = None
        try:
            self._pending.settle()
        except DriverError as error:
            failure = error  # the parts before the one that failed are kept
        if self._parts != list(self._state.parts):
            self._save()
        self._release()
        if failure:
            raise failure

    def _save(self) -> None:
        state = State(tuple(self._parts))
        old = self._store(state)
        self._remove((self._created | old.names) - state.names)

    def _store(self, state: State) -> State:
        """Let the bucket hold `state`; return the one before.

        Raises:
            UploadBusyError: another writer has changed the upload since it was opened.
        """
        try:
            self._generation = self._swap(state)
        except (ConflictError, PathNotFoundError) as error:
            self._give_up()
            raise self._upload.lost(error) from error
        old, self._state = self._state, state
        return old

    def _swap(self, state: State) -> int:
        key = self._prefix + STATE
        try:
            return self._bucket.insert(key, state.dump(), self._generation)
        except ConflictError:
            # The state there may be our own, if the answer was lost; no other writer can know the names in it.
            content, generation = self._bucket.fetch(key, limit=STATE_LIMIT)
            if content != state.dump():
                raise
            return generation

    def _release(self) -> None:
        self._upload.is_open = False
        self._pending.drop()

    def _give_up(self) -> None:
        self._release()
        self._parts = list(self._state.parts)
        self._remove(self._created - {part.name for part in self._parts})

    def _remove(self, names: set[str]) -> None:
        """Delete parts that the state does not name; what cannot be deleted goes when the upload's directory does."""
        with suppress(DriverError):
            self._bucket.remove_all(self._prefix + name for name in names)
        self._created -= names

    # Parts

    def _new_name(self) -> str:
        name = secrets.token_hex(12)
        self._created.add(name)
        return name

    def _send(self, content: bytes) -> Future[Part]:
        return self._bucket.pool.submit(self._put, self._new_name(), content)

    def _put(self, name: str, content: bytes) -> Part:
        return Part(name, self._bucket.insert(self._prefix + name, content, 0), len(content))

    def _take_over(self, part: Part) -> None:
        self._parts.append(part)
        while len(self._parts) >= _FAN_IN and len({part.level for part in self._parts[-_FAN_IN:]}) == 1:
            self._merge_last()

    def _merge_last(self) -> None:
        """Compose the last parts into one."""
        merged = self._parts[-_FAN_IN:]
        name = self._new_name()
        generation = self._bucket.compose(self._prefix + name, self._sources(merged))
        size = sum(part.size for part in merged)
        self._parts[-_FAN_IN:] = [Part(name, generation, size, max(part.level for part in merged) + 1)]
        self._remove(({part.name for part in merged} & self._created) - self._state.names)

    def _sources(self, parts: list[Part]) -> list[Source]:
        return [Source(self._prefix + part.name, part.generation) for part in parts]
