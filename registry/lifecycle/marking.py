"""Marking: everything that a repository's tags, or all its manifests, lead to is kept.

A manifest leads to its config, layers and manifests (registry.oci.manifest.Manifest.references), and a subject to its
referrers: if an image is kept, so are its signatures. Each repository is walked for itself, because a manifest that one
repository has, and whose content is to be kept for that reason, may be missing in another.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.oci.errors import ManifestUnknownError
from registry.storage import enumeration, paths
from registry.storage.links import read_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.lifecycle.sets import Sets
    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest
    from registry.ports import Repository

_log = logging.getLogger(__name__)


class Marker:
    """Marks in `sets` what is to be kept and notes the manifests that are not; `tell` prints a line.

    What was written at or after `cutoff`, in seconds since the epoch, is kept: a push may be about to name it. What is
    kept for that reason alone is followed last, so that it can be told from what the next collection keeps, too.
    """

    def __init__(self, driver: StorageDriver, sets: Sets, tell: Callable[[str], None], cutoff: float) -> None:
        self._driver = driver
        self._sets = sets
        self._tell = tell
        self._cutoff = cutoff

    def mark(self, repository: Repository, *, only_tagged: bool) -> None:
        """Mark what is kept in `repository`: what its tags lead to, or, unless `only_tagged`, its manifests."""
        self._tell(repository.name)
        self._sets.begin_repository()
        for digest in repository.manifests.digests():
            manifest = self._read(repository, digest)
            for subject in manifest.subjects if manifest else ():
                self._sets.lead(subject.digest, digest)
            if not only_tagged:
                self._reach_manifest(repository, digest)
            elif self._is_young(paths.revision_link(repository.name, digest)):
                self._sets.wait(digest)
        if only_tagged:
            for digest in self._tagged(repository):
                self._reach_manifest(repository, digest)
        for digest in self._sets.follow():
            self._keep(repository, digest, only_young=False)
        self._reach_young(repository)
        for digest in self._sets.follow():
            self._keep(repository, digest, only_young=True)
        if only_tagged:
            self._note_unreferenced(repository)

    def _reach_young(self, repository: Repository) -> None:
        for digest in self._sets.waiting():
            self._reach_manifest(repository, digest)
        for digest in enumeration.layers(self._driver, repository.name):
            if self._is_young(paths.layer_link(repository.name, digest)):
                self._sets.reach(digest)

    def _tagged(self, repository: Repository) -> Iterator[Digest]:
        for tag in enumeration.tags(self._driver, repository.name):
            digest = read_link(self._driver, paths.tag_link(repository.name, tag))
            if digest:
                yield digest

    def _reach_manifest(self, repository: Repository, digest: Digest) -> None:
        if not self._sets.is_reached(digest):
            self._tell(f"{repository.name}: marking manifest {digest} ")
            self._sets.reach(digest)

    def _keep(self, repository: Repository, digest: Digest, *, only_young: bool) -> None:
        name = repository.name
        if self._sets.mark(digest, only_young=only_young):
            self._tell(f"{name}: marking blob {digest}")
        # The Go registry keeps the bytes of what was pushed by sha512 under their sha256.
        for link in (paths.revision_link(name, digest), paths.layer_link(name, digest)):
            target = read_link(self._driver, link)
            if target:
                self._sets.mark(target, only_young=only_young)
        if not repository.manifests.has(digest):
            return
        manifest = self._read(repository, digest)
        if manifest:
            for _, descriptor in manifest.references():
                self._sets.reach(descriptor.digest)

    def _read(self, repository: Repository, digest: Digest) -> Manifest | None:
        """Return a manifest, or None if it cannot be read; if it is there, everything in the repository is kept."""
        try:
            return repository.manifests.get(digest)
        except ManifestUnknownError as error:
            target = read_link(self._driver, paths.revision_link(repository.name, digest))
            if target and modified(self._driver, paths.blob_data(target)) is not None:
                _log.warning(
                    "%s: manifest %s cannot be read (%s): all blobs of this repository are kept",
                    repository.name,
                    digest,
                    error.message,
                )
                self._sets.reach(digest)
                for layer in enumeration.layers(self._driver, repository.name):
                    self._sets.reach(layer)
            return None

    def _note_unreferenced(self, repository: Repository) -> None:
        name = repository.name
        for digest in repository.manifests.digests():
            if not self._sets.is_reached(digest):
                self._sets.add_unreferenced_manifest(name, digest)
        for tag in enumeration.tags(self._driver, name):
            for digest in enumeration.tag_history(self._driver, name, tag):
                if not self._sets.is_reached(digest):
                    self._sets.remember_tag(name, digest, tag)

    def _is_young(self, path: str) -> bool:
        written = modified(self._driver, path)
        return written is not None and written >= self._cutoff


def modified(driver: StorageDriver, path: str) -> float | None:
    """Return when the object at `path` was written, in seconds since the epoch; None if there is none."""
    try:
        return driver.stat(path).modified
    except PathNotFoundError:
        return None
