"""A bucket of Google Cloud Storage, with objects under the keys that the Go registry gives them.

Any number of processes on any number of hosts may serve one bucket. drivers.gcs.uploads says how uploads are kept.
An upload that the Go registry has begun cannot be continued: its client is told to begin again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from drivers.base import PathExistsError, PathNotFoundError, Stat, StorageDriver, Writer
from drivers.flat import Keys, first_names, no_bytes
from drivers.gcs.bucket import Bucket, ConflictError
from drivers.gcs.client import connect
from drivers.gcs.parameters import DEFAULT_CHUNK, GcsParameters
from drivers.gcs.uploads import STATE, STATE_LIMIT, GcsWriter, State, below_upload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class GcsDriver(StorageDriver):
    """The objects of `bucket` below `root`; uploads are stored in parts of `part_size` bytes."""

    name = "gcs"

    def __init__(self, bucket: Bucket, root: str = "", *, part_size: int = DEFAULT_CHUNK) -> None:
        self._bucket = bucket
        self._keys = Keys(root)
        self._part_size = part_size

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        read = GcsParameters.read(parameters)
        pool = ThreadPoolExecutor(read.maxconcurrency, thread_name_prefix="gcs")
        bucket = Bucket(connect(read), read.bucket, pool, read.redirectendpoint)
        return cls(bucket, read.rootdirectory, part_size=read.chunksize)

    def check(self) -> None:
        self._bucket.check()

    def get(self, path: str, *, limit: int) -> bytes:
        return self._bucket.fetch(self._keys.key(path), limit=limit)[0]

    def put(self, path: str, content: bytes) -> None:
        self._bucket.insert(self._keys.key(path), content)

    def create(self, path: str, content: bytes) -> None:
        try:
            self._bucket.insert(self._keys.key(path), content, 0)
        except ConflictError as error:
            raise PathExistsError(str(error)) from error

    def stat(self, path: str) -> Stat:
        return self._bucket.stat(self._keys.key(path))

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        key = self._keys.key(path)
        if stop is not None and stop <= start:
            self._bucket.stat(key)
            return no_bytes()
        return self._bucket.stream(key, start, stop)

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        prefix = self._keys.prefix(path)
        pages = self._bucket.pages(prefix, start=after, delimiter="/", size=limit + 1)
        return first_names(pages, after, limit, lambda name: self._has_any(f"{prefix}{name}/"))

    def _has_any(self, prefix: str) -> bool:
        return any(self._bucket.pages(prefix, size=1))

    def delete(self, path: str) -> None:
        key = self._keys.key(path)
        found = False
        with suppress(PathNotFoundError):
            self._bucket.remove(key)
            found = True
        if not self._bucket.remove_below(f"{key}/") and not found:
            raise PathNotFoundError(f"gcs: delete {path}: there is nothing")

    def create_upload(self, path: str) -> None:
        with suppress(ConflictError):  # it is there already
            self._bucket.insert(below_upload(self._keys.key(path)) + STATE, State().dump(), 0)

    def upload_size(self, path: str) -> int:
        return self._load(path)[0].size

    def open_upload(self, path: str) -> Writer:
        return GcsWriter(self._bucket, self._keys, path, self._load(path), self._part_size)

    def _load(self, path: str) -> tuple[State, int]:
        content, generation = self._bucket.fetch(below_upload(self._keys.key(path)) + STATE, limit=STATE_LIMIT)
        return State.load(content), generation

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        del client
        return self._bucket.signed_url(self._keys.key(path), method)
