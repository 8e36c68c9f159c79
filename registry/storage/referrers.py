"""Referrers: which manifests name a manifest as their subject (distribution-spec, "Listing Referrers").

An index of one link per (subject, referrer), so that concurrent pushes never rewrite each other's entries.
It lies where the Go registry does not look; ``registry referrers rebuild`` derives it from the manifests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.oci.digest import ALGORITHMS, Digest
from registry.storage import paths
from registry.storage.links import link
from registry.storage.listing import names_below

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver


class ReferrerStore:
    """The referrers index of one repository."""

    def __init__(self, driver: StorageDriver, name: str) -> None:
        self._driver = driver
        self._name = name

    def add(self, subject: Digest, referrer: Digest) -> None:
        """Remember that `referrer` names `subject`, which need not exist."""
        self._driver.put(*self.entry(subject, referrer))

    def entry(self, subject: Digest, referrer: Digest) -> tuple[str, bytes]:
        """Return the object that remembers it: its path and its content."""
        return link(paths.referrer_link(self._name, subject, referrer), referrer)

    def remove(self, subject: Digest, referrer: Digest) -> None:
        """Forget it, if it was known."""
        try:
            self._driver.delete(paths.referrer_link(self._name, subject, referrer))
        except PathNotFoundError:
            return

    def after(self, subject: Digest, last: Digest | None = None) -> Iterator[Digest]:
        """Yield the digests of the referrers of `subject` that sort after `last`.

        The manifests themselves may be gone meanwhile: look before naming them.
        """
        for algorithm in sorted(ALGORITHMS):
            if last and algorithm < last.algorithm:
                continue
            path = paths.referrers_by(self._name, subject, algorithm)
            after = last.hex if last and algorithm == last.algorithm else ""
            for name in names_below(self._driver, path, after=after):
                yield Digest(algorithm, name)
