"""A bucket of Amazon S3 or of a store with its protocol, with objects under the keys that the Go registry gives them.

Any number of processes on any number of hosts may serve one bucket. drivers.s3.staging says how uploads are kept.
Multipart uploads are used only while a large upload is published, by copying inside the store. An upload that the Go
registry has begun cannot be continued: its client is told to begin again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from drivers.base import DriverError, PathNotFoundError
from drivers.flat import FlatDriver
from drivers.s3.bucket import Bucket
from drivers.s3.errors import word_at_start
from drivers.s3.parameters import Parameters, parse
from drivers.s3.staging import PartPlan, staging_prefix
from drivers.s3.uploads import Uploads
from registry.foundation.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from drivers.base import Writer

_PART_THREADS: Final = 32


class S3Driver(FlatDriver):
    """Objects below the key prefix `root` of one bucket."""

    name = "s3aws"

    def __init__(self, parameters: Parameters, plan: PartPlan | None = None) -> None:
        # Two pools: a thread for parts waits for copies when the parts of an upload are joined into larger ones.
        parts = Pool(_PART_THREADS, "s3-part")
        copies = Pool(parameters.copies_at_once, "s3-copy")
        self._bucket = Bucket(parameters, copies)
        self.circuit = self._bucket.circuit
        super().__init__(self._bucket, parameters.root)
        self._uploads = Uploads(self._bucket, parts, plan or PartPlan(parameters.part_size))
        self._parameters = parameters

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        return cls(parse(parameters))

    def check(self, *, below: Sequence[str] = (), read_only: bool = False) -> None:
        del below, read_only
        try:
            self._bucket.check(self._parameters.root)
        except DriverError as error:
            where = self._parameters.endpoint or f"region {self._parameters.region}"
            raise word_at_start(error)(
                f"{error} at {where}; check bucket, region, regionendpoint and credentials"
            ) from error

    def delete(self, path: str) -> None:
        # Unlike the other stores, S3 does not say whether there was anything to delete: one listing tells, and
        # usually names all that there is.
        key = self._keys.key(path)
        page = self._bucket.page(key)
        keys = [entry.key for entry in page.entries]
        if key in keys:
            return self._bucket.delete(key)
        below = [each for each in keys if each.startswith(f"{key}/")]
        if page.token:  # what lies below may come after any number of siblings like key-a, key.b
            below = [*self._bucket.keys(f"{key}/")]
        below = below or [*self._bucket.keys(staging_prefix(key))]
        if not below:
            raise PathNotFoundError(f"s3: delete {key}: there is nothing")
        self._uploads.abandon_joins(below)
        return self._bucket.remove_all(below)

    def create_upload(self, path: str) -> None:
        self._uploads.create(self._keys.key(path))

    def upload_size(self, path: str) -> int:
        return self._uploads.size(self._keys.key(path))

    def open_upload(self, path: str) -> Writer:
        return self._uploads.open(self._keys.key(path), self._keys.key)

    def read_upload(self, path: str, start: int = 0) -> Iterator[bytes]:
        return self._uploads.read(self._keys.key(path), start)

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        del client
        return self._bucket.signed_url(self._keys.key(path), method)

    def object_key(self, path: str) -> str | None:
        return self._keys.key(path)

    def purge(self, before: float) -> int:
        count = 0
        for key, multipart_id, begun in self._bucket.multiparts.below(self._keys.root):
            if begun < before:
                self._bucket.multiparts.abandon(multipart_id, key)
                count += 1
        return count
