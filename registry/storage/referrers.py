"""Referrers: which manifests name a manifest as their subject (distribution-spec, "Listing Referrers").

A list is read from the index (registry.storage.referrer_index). Another registry may have deleted a manifest without
its entry there, so a manifest is listed only while the repository links it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.oci.errors import ManifestUnknownError
from registry.ports import Referrer, ReferrersPage
from registry.storage import enumeration, paths
from registry.storage.links import read_links
from registry.storage.referrer_index import LONGEST_DESCRIPTOR, describe, read_descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from drivers.base import StorageDriver
    from registry.oci.digest import Digest
    from registry.storage.manifests import ManifestStore
    from registry.storage.referrer_index import ReferrerIndex

MOST_LOOKED_AT: Final = 1000
"""Entries that are looked at for one page."""
MOST_LISTED_BYTES: Final = 1024 * 1024
"""Past this a page ends, so that it stays below what clients take for a manifest (4 MiB)."""
MOST_READ_BYTES: Final = 4 * 1024 * 1024
"""Past this a page ends, whatever of it is listed: manifests of entries without a descriptor may be large."""
_BATCH: Final = 64
"""Entries that are read together, where a driver reads several at a time."""
_UNREADABLE_BYTES: Final = 64 * 1024
"""What a manifest that cannot be read counts for: how much of it was read is not known."""
_PATIENCE: Final = 16
"""Entries that are looked at before it is asked again whether the page is still awaited."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """An entry that was looked at: the `referrer`, if it is to be listed, and how many bytes were read for it."""

    digest: Digest
    referrer: Referrer | None
    read: int


class ReferrerStore:
    """The referrers in one repository; `read_only` if not even a descriptor may be added to what is stored."""

    def __init__(
        self, driver: StorageDriver, name: str, index: ReferrerIndex, manifests: ManifestStore, *, read_only: bool
    ) -> None:
        self._driver = driver
        self._name = name
        self._index = index
        self._manifests = manifests
        self._keeps = not read_only

    def after(self, subject: Digest, last: Digest | None = None) -> Iterator[Digest]:
        """Yield the digests of the referrers of `subject` that sort after `last`.

        The manifests themselves may be gone meanwhile: look before naming them.
        """
        return enumeration.referrers(self._driver, self._name, subject, after=last)

    def page(
        self,
        subject: Digest,
        *,
        after: Digest | None = None,
        artifact_types: Collection[str] | None = None,
        limit: int,
        awaited: Callable[[], bool] = lambda: True,
    ) -> ReferrersPage:
        """Return at most `limit` referrers of `subject` that sort after `after`; registry.ports says which."""
        listed: list[Referrer] = []
        size = read = 0
        last = after
        for number, seen in enumerate(self._look(subject, after, artifact_types, min(_BATCH, limit + 1))):
            if number == MOST_LOOKED_AT or read > MOST_READ_BYTES:
                return ReferrersPage(tuple(listed), last)
            if number and not number % _PATIENCE and not awaited():
                return ReferrersPage(tuple(listed), last)
            if seen.referrer:
                size += len(seen.referrer.descriptor)
                if len(listed) == limit or (listed and size > MOST_LISTED_BYTES):
                    return ReferrersPage(tuple(listed), last)
                listed.append(seen.referrer)
            last, read = seen.digest, read + seen.read
        return ReferrersPage(tuple(listed), None)

    def _look(
        self, subject: Digest, after: Digest | None, artifact_types: Collection[str] | None, batch: int
    ) -> Iterator[_Seen]:
        """Yield the entries of `subject` that come after `after`, each as it is read, `batch` of them ahead."""
        digests = self.after(subject, after)
        while some := list(islice(digests, batch)):
            described = self._driver.get_each(
                [paths.referrer_descriptor(self._name, subject, each) for each in some], limit=LONGEST_DESCRIPTOR
            )
            linked = read_links(self._driver, [paths.revision_link(self._name, each) for each in some])
            for digest, content, target in zip(some, described, linked, strict=True):
                read = len(content or b"")
                referrer = read_descriptor(content, digest) if content else None
                if target and referrer is None:
                    referrer, more = self._derive(subject, digest)
                    read += more
                wanted = target and referrer and (artifact_types is None or referrer.artifact_type in artifact_types)
                yield _Seen(digest, referrer if wanted else None, read)

    def _derive(self, subject: Digest, digest: Digest) -> tuple[Referrer | None, int]:
        """Return a referrer as its manifest describes it, if that can be read, and how many bytes were read.

        The descriptor is kept, so that this is done once.
        """
        try:
            manifest = self._manifests.get(digest)
        except ManifestUnknownError:
            return None, _UNREADABLE_BYTES
        referrer = describe(manifest, digest)
        if self._keeps:
            self._keep(subject, referrer)
        return referrer, len(manifest.content)

    def _keep(self, subject: Digest, referrer: Referrer) -> None:
        try:
            self._index.add_descriptor(subject, referrer)
            # A deletion at the same time may have looked for it before. The link may be that of a new push.
            if not self._manifests.has(referrer.digest):
                self._index.remove_descriptor(subject, referrer.digest)
        except DriverError as error:
            self._keeps = False
            _log.info("%s: the descriptor of a referrer was not kept: %s", self._name, error)
