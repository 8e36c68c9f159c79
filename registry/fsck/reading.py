"""Reads what a repository says of itself into a graph; what is malformed, or cannot be read, is noted there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from drivers.base import DriverError
from registry.fsck.contents import State
from registry.fsck.graph import Fault, Named
from registry.fsck.store import as_link
from registry.oci.errors import ManifestInvalidError
from registry.oci.stored import read_stored
from registry.storage import enumeration, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from registry.fsck.absences import Absences
    from registry.fsck.graph import Graph
    from registry.fsck.store import Store
    from registry.oci.digest import Digest

Key = TypeVar("Key")

_BATCH: Final = 64
"""Links that are read together, where a driver reads several at a time."""
_LONGEST_LINK: Final = 512


@dataclass(slots=True)
class Tally:
    """How much was looked at, and what is counted and no damage."""

    repositories: int = 0
    tags: int = 0
    manifests: int = 0
    unread_manifests: int = 0
    """Those of schema 1, say, whose layers are not known."""
    blobs: int = 0
    size: int = 0
    foreign: int = 0
    """Files below the blobs that are not the registry's."""
    unused_links: int = 0
    """Links to blobs that no manifest of the repository names; the garbage collection removes them."""
    condemned_links: int = 0
    purged: int = 0
    """What a driver had left of interrupted calls, and was removed."""


class Reader:
    """Reads one repository after the other of `store` into `graph`. `absences` tells what may be missing there."""

    def __init__(self, store: Store, graph: Graph, absences: Absences, tally: Tally) -> None:
        self._store = store
        self._graph = graph
        self._absences = absences
        self._tally = tally

    def read_tags(self, name: str) -> None:
        """Note where each tag points, and those that point nowhere."""
        path_of = partial(paths.tag_link, name)
        for tag, content in self._contents(enumeration.tags(self._store.driver, name), path_of):
            self._tally.tags += 1
            target = as_link(content).target
            if target is None:
                self._graph.add_fault(Fault.TAG, tag)
            else:
                self._graph.add_tag(tag, target)

    def list_manifests(self, name: str) -> None:
        """Note each manifest, and those whose link is malformed.

        A folder without a link is none: the Go registry leaves it where a manifest was deleted.
        """
        path_of = partial(paths.revision_link, name)
        for digest, content in self._contents(enumeration.revisions(self._store.driver, name), path_of):
            link = as_link(content, digest)
            if link.target:
                self._graph.add_manifest(digest, link.target)
            elif link.is_torn:
                self._graph.add_fault(Fault.MANIFEST, str(digest))

    def read_manifests(self, name: str) -> Iterator[tuple[Digest, State]]:
        """Note what each manifest names; yield where the bytes of each lie, and whether they are sound."""
        waiting = self._graph.manifests()
        while some := list(islice(waiting, _BATCH)):
            found = self._store.contents.manifests([target for _, target in some])
            for (digest, target), (content, state) in zip(some, found, strict=True):
                yield target, self._note_manifest(name, digest, content, state)

    def read_manifest(self, name: str, digest: Digest, target: Digest) -> State:
        """Note a manifest of the repository `name`, whose bytes lie under `target`, and what it names.

        Return whether they are sound.
        """
        self._graph.add_manifest(digest, target)
        return self._note_manifest(name, digest, *self._store.contents.manifest(target))

    def _note_manifest(self, name: str, digest: Digest, content: bytes, state: State) -> State:
        self._tally.manifests += 1
        if state is not State.SOUND:
            self._graph.add_fault(Fault.BYTES, str(digest))
            return state
        try:
            manifest = read_stored(content)
        except ManifestInvalidError:
            self._tally.unread_manifests += 1
            return state
        policy = self._absences.policy_of(self._store.driver, name, digest)
        required = {each.digest for _, each in policy.required(replace(manifest, others=()))}
        for kind, each in manifest.references():
            self._graph.add_named(Named(each.digest, digest, kind, each.size, each.digest in required))
        if manifest.subject:
            self._graph.add_subject(manifest.subject.digest, digest)
        self._graph.note_read(digest)
        return state

    def read_layers(self, name: str) -> None:
        """Note each link to a blob, and those that are malformed."""
        path_of = partial(paths.layer_link, name)
        for digest, content in self._contents(enumeration.layers(self._store.driver, name), path_of):
            link = as_link(content, digest)
            if link.target:
                self._graph.add_layer(digest, link.target)
            elif link.is_torn:
                self._graph.add_fault(Fault.LAYER, str(digest))

    def _contents(self, keys: Iterable[Key], path_of: Callable[[Key], str]) -> Iterator[tuple[Key, bytes | None]]:
        """Yield for each of `keys` what lies at its path; for what is too long to be a link, something malformed."""
        waiting = iter(keys)
        while some := list(islice(waiting, _BATCH)):
            found = self._store.driver.get_each(list(map(path_of, some)), limit=_LONGEST_LINK)
            for number, key in enumerate(some):
                try:
                    content = next(found)
                except DriverError:  # which of them it is, and whether others are, is not known
                    for each in some[number:]:
                        yield from self._content(each, path_of(each))
                    break
                if content is None:
                    yield from self._content(key, path_of(key))
                else:
                    yield key, content

    def _content(self, key: Key, path: str) -> Iterator[tuple[Key, bytes | None]]:
        """Yield what lies at the path of `key`; nothing if that cannot be read, which is noted."""
        try:
            content = self._store.link(path).content
        except DriverError as error:
            self._store.contents.bear(error)
            self._graph.hide(path, str(key), str(error))
        else:
            yield key, content
