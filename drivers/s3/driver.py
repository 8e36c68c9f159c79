"""A bucket of Amazon S3 or of a store that speaks its protocol, laid out as the Go registry's driver does.

Any number of processes on any number of hosts may serve one bucket. Uploads are described in drivers.s3.staging;
they use no multipart upload but for the moment in which large ones are published, by copying inside the
store. An upload that the Go registry has begun cannot be continued: its client is told to begin again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self

from drivers.base import DriverError, PathNotFoundError, Stat, StorageDriver, checked_path
from drivers.s3.bucket import BATCH, Bucket, empty_prefixes_are_listed
from drivers.s3.parameters import Parameters, parse
from drivers.s3.staging import PartPlan, staging_prefix
from drivers.s3.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drivers.base import Writer

_PART_THREADS: Final = 32
_SLACK: Final = 2
"""Names asked for beyond the limit: one that is not after `after`, one to tell what is missing."""


class S3Driver(StorageDriver):
    """Objects below the key prefix `root` of one bucket."""

    name = "s3aws"

    def __init__(self, parameters: Parameters, plan: PartPlan | None = None) -> None:
        # Two pools: a copy is begun by a part's thread when an upload's parts are joined into larger ones.
        parts = ThreadPoolExecutor(_PART_THREADS, "s3-part")
        copies = ThreadPoolExecutor(parameters.copies_at_once, "s3-copy")
        self._bucket = Bucket(parameters, copies)
        self._probes = copies
        self._uploads = Uploads(self._bucket, parts, plan or PartPlan(parameters.part_size))
        self._root = parameters.root
        self._parameters = parameters
        self._signer = parameters.client(parameters.redirect_endpoint) if parameters.redirect_endpoint else None

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        return cls(parse(parameters))

    def check(self) -> None:
        try:
            self._bucket.check(self._root)
        except DriverError as error:
            where = self._parameters.endpoint or f"region {self._parameters.region}"
            raise type(error)(f"{error} at {where}; check bucket, region, regionendpoint and credentials") from error

    def get(self, path: str, *, limit: int) -> bytes:
        return self._bucket.fetch(self._key(path), limit=limit)[0]

    def put(self, path: str, content: bytes) -> None:
        self._bucket.put(self._key(path), content)

    def create(self, path: str, content: bytes) -> None:
        self._bucket.create(self._key(path), content)

    def stat(self, path: str) -> Stat:
        return self._bucket.stat(self._key(path))

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        return self._bucket.read(self._key(path), start, stop)

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        prefix = self._key(path) + "/"
        listing = _Listing(self._bucket, prefix, after)
        while not listing.complete and len(listing.names) < limit:
            listing.read_page(limit - len(listing.names) + _SLACK)
            if listing.doubtful:
                listing.drop(name for name, held in self._probe(prefix, listing.doubtful) if not held)
        if not listing.complete:
            listing.add(name for name, held in self._probe(prefix, listing.unseen(limit)) if held)
        return sorted(listing.names)[:limit]

    def _probe(self, prefix: str, names: Iterable[str]) -> Iterator[tuple[str, bool]]:
        """Yield each name and whether anything lies below it."""
        names = [*names]
        return zip(names, self._probes.map(lambda name: self._bucket.holds_any(f"{prefix}{name}/"), names), strict=True)

    def delete(self, path: str) -> None:
        key = self._key(path)
        page = self._bucket.page(Prefix=key)
        keys = [entry["Key"] for entry in page.get("Contents", ())]
        if key in keys:
            return self._bucket.delete(key)
        below = [each for each in keys if each.startswith(f"{key}/")]
        if page["IsTruncated"]:  # what lies below may come after any number of siblings like key-a, key.b
            below = [*self._bucket.keys(f"{key}/")]
        below = below or [*self._bucket.keys(staging_prefix(key))]
        if not below:
            raise PathNotFoundError(f"s3: delete {key}: there is nothing")
        self._uploads.abandon_joins(below)
        return self._bucket.remove(below)

    def create_upload(self, path: str) -> None:
        self._uploads.create(self._key(path))

    def upload_size(self, path: str) -> int:
        return self._uploads.size(self._key(path))

    def open_upload(self, path: str) -> Writer:
        return self._uploads.open(self._key(path), self._key)

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        del client
        return self._bucket.signed_url(self._key(path), method, self._signer)

    def object_key(self, path: str) -> str | None:
        return self._key(path)

    def purge(self, before: float) -> int:
        count = 0
        for key, ticket, begun in self._bucket.multipart_uploads(self._root and f"{self._root}/"):
            if begun < before:
                self._bucket.abandon_join(ticket, key)
                count += 1
        return count

    def _key(self, path: str) -> str:
        return (self._root + checked_path(path)).lstrip("/")


class _Listing:
    """The names directly below a prefix, in the order of S3 as they come, in byte order as they are wanted.

    S3 orders the prefix ``a/`` where its slash puts it: after ``a-b`` and ``a.b``, while the name ``a`` goes
    before them. So when a listing ends at ``a-b-c/``, only ``a`` and ``a-b`` can still come and belong before
    what has been seen: `unseen` names them, and one small request tells of each whether it exists.
    """

    def __init__(self, bucket: Bucket, prefix: str, after: str) -> None:
        self.names: set[str] = set()
        self.doubtful: list[str] = []
        self.complete = False
        self._bucket = bucket
        self._prefix = prefix
        self._after = after
        self._last = ""
        # A name ends at its first slash. Below one SeaweedFS would list what lies there instead of names.
        first = after.partition("/")[0]
        self._position: dict[str, str] = {"StartAfter": prefix + first} if first else {}

    def read_page(self, wanted: int) -> None:
        """Read one page of at least `wanted` names if there are so many."""
        page = self._bucket.page(
            Prefix=self._prefix,
            Delimiter="/",
            MaxKeys=min(wanted, BATCH),
            **self._position,
        )
        objects = [entry["Key"] for entry in page.get("Contents", ())]
        prefixes = [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
        self._last = max([*objects, *prefixes, self._last])
        self.doubtful = [*self._wanted(prefixes)] if empty_prefixes_are_listed(page) else []
        self.names.update(self._wanted(objects + prefixes))
        self.complete = not page["IsTruncated"]
        if not self.complete:
            self._position = {"ContinuationToken": page["NextContinuationToken"]}

    def unseen(self, limit: int) -> list[str]:
        """Return the names that may exist, were not seen, and would be among the first `limit`."""
        last = self._last[len(self._prefix) :].rstrip("/")
        starts = [last[:position] for position, character in enumerate(last) if character in "-."]
        first = sorted(self.names)[:limit]
        return [name for name in starts if name and self._after < name < first[-1] and name not in self.names]

    def add(self, names: Iterable[str]) -> None:
        self.names.update(names)

    def drop(self, names: Iterable[str]) -> None:
        self.names.difference_update(names)

    def _wanted(self, keys: Iterable[str]) -> Iterator[str]:
        for key in keys:
            name = key[len(self._prefix) :].rstrip("/")
            if name > self._after and not name.startswith("."):
                yield name
