"""Tags: names that point to manifests and may be moved."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drivers.base import ChangedError, PathExistsError, PathNotFoundError
from registry import ports
from registry.oci.errors import ManifestUnknownError, NameUnknownError
from registry.ports import TagTakenError
from registry.storage import enumeration, paths
from registry.storage.at_once import each
from registry.storage.links import link, read_link
from registry.storage.listing import PAGE, first_names
from registry.storage.names import is_part_of_manifests, is_tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.base import StorageDriver
    from registry.oci.digest import Digest
    from registry.oci.reference import Tag

_LINKS_LISTED: Final = 250
"""Links of tags that are expected in a listing of a thousand objects; the rest is their history."""


class TagStore:
    """The tags of one repository."""

    def __init__(self, driver: StorageDriver, name: str) -> None:
        self._driver = driver
        self._name = name
        self._led_to: Digest | None = None

    def resolve(self, tag: Tag) -> Digest:
        """Return the digest that `tag` points to now.

        Raises:
            ManifestUnknownError: there is no such tag.
        """
        digest = read_link(self._driver, paths.tag_link(self._name, tag.name))
        if digest is None:
            raise _unknown(tag)
        self._led_to = digest
        return digest

    serve = resolve
    """What points nowhere here points nowhere."""

    def have_just_led_to(self, digest: Digest) -> bool:
        """Tell whether the last tag that was resolved here has led to `digest`; this is told once."""
        led_to, self._led_to = self._led_to, None
        return led_to == digest

    def pushed(self, tag: Tag) -> float:
        """Return when the link of `tag` was written, in seconds since the epoch.

        Raises:
            ManifestUnknownError: there is no such tag.
        """
        try:
            return self._driver.stat(paths.tag_link(self._name, tag.name)).modified
        except PathNotFoundError:
            raise _unknown(tag) from None

    def pushed_each(self, tags: Sequence[Tag]) -> Sequence[float | None]:
        """Return when the link of each tag was written, None if there is none.

        Of many, an object store tells that in a few listings; a link that does not come soon in them is asked for.
        """
        links = [paths.tag_link(self._name, tag.name) for tag in tags]
        found = self._listed_times(links, min(tag.name for tag in tags)) if len(links) > 1 else {}
        missing = [path for path in links if path not in found]
        found |= zip(missing, each(self._driver, self._time, missing), strict=True)
        return [found[path] for path in links]

    def _listed_times(self, links: Sequence[str], first: str) -> dict[str, float | None]:
        """Return when those of `links`, of tags from `first` on, were written that are found in a few listings.

        None are over a file system, which tells no times in a listing. What is listed is also the history of tags, and
        tags that are not asked for.
        """
        times: dict[str, float | None] = {}
        if self._driver.local_path(links[0]) is not None:
            return times
        wanted, after = set(links), paths.tag_directory(self._name, first)
        for _ in range(1 + len(links) // _LINKS_LISTED):
            page = self._driver.scan(paths.tags(self._name), after=after, limit=PAGE)
            times |= {found.path: found.modified for found in page if found.path in wanted}
            if len(page) < PAGE or len(times) == len(wanted):
                break
            after = page[-1].path
        return times

    def _time(self, path: str) -> float | None:
        try:
            return self._driver.stat(path).modified
        except PathNotFoundError:
            return None

    def point(self, tag: Tag, digest: Digest) -> None:
        """Let `tag` point to a manifest that the repository has."""
        self._driver.put_in_order([self.pointer(tag, digest)], best_effort=[self.history(tag, digest)])

    def pointer(self, tag: Tag, digest: Digest) -> tuple[str, bytes]:
        """Return the object that lets `tag` point to a manifest: its path and its content."""
        return link(paths.tag_link(self._name, tag.name), digest)

    def history(self, tag: Tag, digest: Digest) -> tuple[str, bytes]:
        """Return the object that remembers that `tag` has pointed to a manifest.

        It comes after the pointer: a crash between must not leave a tag that is listed and leads nowhere. It may
        be lost: nobody resolves a tag by it, and the Go registry's garbage collection only looks there for what to
        delete.
        """
        return link(paths.tag_history_link(self._name, tag.name, digest), digest)

    def claim(self, tag: Tag, digest: Digest) -> None:
        """Let `tag` point to a manifest as point() does, unless it points to another: of two at a time one succeeds.

        Raises:
            TagTakenError: it does; nothing is changed.
        """
        path, content = self.pointer(tag, digest)
        try:
            self._driver.create(path, content)
        except PathExistsError:
            current = read_link(self._driver, path)
            if current not in {digest, None}:
                raise TagTakenError(current) from None
            # The link was written by an earlier try of the same push, or it is malformed.
            return self.point(tag, digest)
        return self._driver.put_in_order([], best_effort=[self.history(tag, digest)])

    def move(self, tag: Tag, digest: Digest, current: Digest | None) -> None:
        """Let `tag` point to a manifest as point() does, if it points to `current` now, or nowhere where that is None.

        Raises:
            registry.ports.ChangedError: it points elsewhere; nothing is changed.
        """
        path, content = self.pointer(tag, digest)
        try:
            if current is None:
                self._create(path, content)
            else:
                self._driver.replace(path, content, expected=self.pointer(tag, current)[1])
        except ChangedError as error:
            raise ports.ChangedError(f"tag {tag} does not point to {current}") from error
        self._driver.put_in_order([], best_effort=[self.history(tag, digest)])

    def _create(self, path: str, content: bytes) -> None:
        try:
            self._driver.create(path, content)
        except PathExistsError as error:
            if read_link(self._driver, path) is not None:
                raise ChangedError(str(error)) from error
            # The link is malformed, so there is no such tag.
            self._driver.put(path, content)

    def has(self, tag: Tag) -> bool:
        """Tell whether `tag` points anywhere."""
        return read_link(self._driver, paths.tag_link(self._name, tag.name)) is not None

    def restore(self, tag: Tag, digest: Digest) -> None:
        """Let `tag` point to a manifest if it points nowhere.

        If a deletion takes the pointer before the history is written, the history goes, too: it would be listed.
        """
        if not self.has(tag):
            with suppress(TagTakenError):
                self.claim(tag, digest)
            if not self.has(tag):
                self._forget_history(tag)

    def delete(self, tag: Tag) -> None:
        """Forget `tag` and its history, even where its link is malformed; the manifest stays.

        Raises:
            ManifestUnknownError: there is no such tag.
        """
        try:
            self._driver.delete(paths.tag_directory(self._name, tag.name))
        except PathNotFoundError:
            raise _unknown(tag) from None

    def delete_from(self, tag: Tag, current: Digest) -> None:
        """Forget `tag` and its history if it points to `current`.

        The history goes first: a crash between must not leave a tag that is listed and leads nowhere. It goes once more
        at the end, because a push of the same at the same time may have written it. If another request turns out to
        have moved the tag, its history is lost, which history() says it may be.

        Raises:
            registry.ports.ChangedError: it points elsewhere.
        """
        path, content = self.pointer(tag, current)
        self._forget_history(tag)
        try:
            self._driver.delete_if(path, expected=content)
        except ChangedError as error:
            raise ports.ChangedError(f"tag {tag} does not point to {current}") from error
        self._forget_history(tag)
        self._remove_foreign(tag)

    def _remove_foreign(self, tag: Tag) -> None:
        """Remove what other programs have left in the folders of a tag that has gone: it would be listed on.

        Nothing is there as a rule. Where something is, a push that makes the same tag anew at this very moment is not
        told apart from it once its link has been looked for; keep(), which ends a push, would notice in most cases.
        """
        directory = paths.tag_directory(self._name, tag.name)
        if self._driver.holds(directory) and not self.has(tag):
            with suppress(PathNotFoundError):
                self._driver.delete(directory)

    def _forget_history(self, tag: Tag) -> None:
        with suppress(PathNotFoundError):
            self._driver.delete(paths.all_tag_history(self._name, tag.name))

    def page(self, *, after: str = "", limit: int) -> list[str]:
        """Return at most `limit` tags that sort after `after`, in byte order.

        Raises:
            NameUnknownError: there is no such repository.
        """
        names = first_names(self._driver, paths.tags(self._name), is_tag, after=after, limit=limit)
        if not names and not self._driver.holds(paths.manifests(self._name), is_name=is_part_of_manifests):
            raise NameUnknownError("repository name not known to registry", {"name": self._name})
        return names

    def names(self) -> Iterator[str]:
        """Return every tag, in byte order; else as `page`."""
        self.page(limit=1)
        return enumeration.tags(self._driver, self._name)

    def pointing_to(self, digest: Digest) -> Iterator[str]:
        """Yield the tags that point to `digest`; costs a read of every tag."""
        for name in enumeration.tags(self._driver, self._name):
            if read_link(self._driver, paths.tag_link(self._name, name)) == digest:
                yield name


def _unknown(tag: Tag) -> ManifestUnknownError:
    return ManifestUnknownError("manifest unknown", f"unknown tag={tag.name}")
