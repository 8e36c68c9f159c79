"""Tags: names that point to manifests and may be moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import PathExistsError, PathNotFoundError
from registry.oci.errors import ManifestUnknownError, NameUnknownError
from registry.storage import paths
from registry.storage.links import link_content, read_link, write_link
from registry.storage.listing import names_below

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.oci.digest import Digest
    from registry.oci.reference import Tag


class TagTakenError(Exception):
    """The tag points to another manifest, `current`."""

    def __init__(self, current: Digest) -> None:
        super().__init__(str(current))
        self.current = current


class TagStore:
    """The tags of one repository."""

    def __init__(self, driver: StorageDriver, name: str) -> None:
        self._driver = driver
        self._name = name

    def resolve(self, tag: Tag) -> Digest:
        """Return the digest that `tag` points to now.

        Raises:
            ManifestUnknownError: there is no such tag.
        """
        digest = read_link(self._driver, paths.tag_link(self._name, tag.name))
        if digest is None:
            raise ManifestUnknownError("manifest unknown", {"tag": tag.name})
        return digest

    def point(self, tag: Tag, digest: Digest) -> None:
        """Let `tag` point to a manifest that the repository has.

        Its history comes second: a crash between must not leave a tag that is listed and leads nowhere.
        """
        write_link(self._driver, paths.tag_link(self._name, tag.name), digest)
        self._remember(tag, digest)

    def claim(self, tag: Tag, digest: Digest) -> None:
        """Let `tag` point to a manifest as point() does, unless it points to another: of two at a time one succeeds.

        Raises:
            TagTakenError: it does; nothing is changed.
        """
        path = paths.tag_link(self._name, tag.name)
        try:
            self._driver.create(path, link_content(digest))
        except PathExistsError:
            current = read_link(self._driver, path)
            if current not in {digest, None}:
                raise TagTakenError(current) from None
            # What is there is this push's own first try, or malformed.
            return self.point(tag, digest)
        return self._remember(tag, digest)

    def _remember(self, tag: Tag, digest: Digest) -> None:
        """Write the history of `tag`, which points to `digest`, and see that it still points somewhere.

        A deletion at the same time may have taken the link away before its history was written: it would be
        listed and lead nowhere.
        """
        write_link(self._driver, paths.tag_history_link(self._name, tag.name, digest), digest)
        path = paths.tag_link(self._name, tag.name)
        if read_link(self._driver, path) is None:
            write_link(self._driver, path, digest)

    def delete(self, tag: Tag) -> None:
        """Forget `tag` and its history, even where its link is malformed; the manifest stays.

        Raises:
            ManifestUnknownError: there is no such tag.
        """
        try:
            self._driver.delete(paths.tag_directory(self._name, tag.name))
        except PathNotFoundError:
            raise ManifestUnknownError("manifest unknown", {"tag": tag.name}) from None

    def page(self, *, after: str = "", limit: int) -> list[str]:
        """Return at most `limit` tags that sort after `after`, in byte order.

        Raises:
            NameUnknownError: there is no such repository.
        """
        names = self._driver.list(paths.tags(self._name), after=after, limit=limit)
        if not names and not self._driver.list(paths.manifests(self._name), limit=1):
            raise NameUnknownError("repository name not known to registry", {"name": self._name})
        return names

    def names(self) -> Iterator[str]:
        """Return every tag, in byte order; else as `page`."""
        self.page(limit=1)
        return names_below(self._driver, paths.tags(self._name))

    def pointing_to(self, digest: Digest) -> Iterator[str]:
        """Yield the tags that point to `digest`; costs a read of every tag."""
        for name in names_below(self._driver, paths.tags(self._name)):
            if read_link(self._driver, paths.tag_link(self._name, name)) == digest:
                yield name
