"""A bucket of Google Cloud Storage, with objects under the keys that the Go registry gives them.

Any number of processes on any number of hosts may serve one bucket. drivers.gcs.uploads says how uploads are kept.
An upload that the Go registry has begun cannot be continued: its client is told to begin again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from drivers.base import PathNotFoundError, Writer
from drivers.flat import FlatDriver, delete_tree
from drivers.gcs.bucket import Bucket
from drivers.gcs.calls import Calls
from drivers.gcs.errors import ConflictError
from drivers.gcs.parameters import DEFAULT_CHUNK, GcsParameters
from drivers.gcs.uploads import STATE, STATE_LIMIT, GcsWriter, State, below_upload
from drivers.pending import from_byte
from registry.foundation.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class GcsDriver(FlatDriver):
    """The objects of `bucket` below `root`; uploads are stored in parts of `part_size` bytes."""

    name = "gcs"

    def __init__(self, bucket: Bucket, root: str = "", *, part_size: int = DEFAULT_CHUNK) -> None:
        super().__init__(bucket, root)
        self._bucket = bucket
        self.circuit = bucket.circuit
        self._part_size = part_size

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        read = GcsParameters.read(parameters)
        pool = Pool(read.maxconcurrency, thread_name_prefix="gcs")
        bucket = Bucket(Calls(read), read.bucket, pool)
        return cls(bucket, read.rootdirectory, part_size=read.chunksize)

    def check(self, *, below: Sequence[str] = (), read_only: bool = False) -> None:
        del below, read_only
        self._bucket.check()

    def delete(self, path: str) -> None:
        if not delete_tree(self._bucket, self._keys.key(path)):
            raise PathNotFoundError(f"gcs: delete {path}: there is nothing")

    def create_upload(self, path: str) -> None:
        with suppress(ConflictError):  # there is an upload already
            self._bucket.insert(below_upload(self._keys.key(path)) + STATE, State().dump(), 0)

    def upload_size(self, path: str) -> int:
        return self._load(path)[0].size

    def open_upload(self, path: str) -> Writer:
        return GcsWriter(self._bucket, self._keys, path, self._load(path), self._part_size)

    def read_upload(self, path: str, start: int = 0) -> Iterator[bytes]:
        return self._pieces(below_upload(self._keys.key(path)), self._load(path)[0], start)

    def _pieces(self, prefix: str, state: State, start: int) -> Iterator[bytes]:
        for name, first in from_byte(((part.name, part.size) for part in state.parts), start):
            yield from self._bucket.stream(prefix + name, first)

    def _load(self, path: str) -> tuple[State, int]:
        content, generation = self._bucket.fetch(below_upload(self._keys.key(path)) + STATE, limit=STATE_LIMIT)
        return State.load(content), generation

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        del client
        return self._bucket.signed_url(self._keys.key(path), method)
