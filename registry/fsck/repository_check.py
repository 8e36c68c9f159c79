"""The check of one repository: what its tags, manifests and links lead to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from registry.fsck.blob_damage import (
    BlobDamaged,
    BlobMissing,
    BlobUnreadable,
    LayerLink,
    ReferrerMissing,
    ReferrerStale,
    SizeDiffers,
    UnusedLink,
)
from registry.fsck.contents import State
from registry.fsck.graph import Affected, Fault
from registry.fsck.manifest_damage import ManifestBytes, ManifestLink, ManifestMissing, TagNowhere, TagWithoutManifest
from registry.fsck.reading import Reader
from registry.fsck.unreadable import Unreadable, borne
from registry.oci.digest import Digest
from registry.storage import enumeration, paths
from registry.storage.parts import leaf_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.fsck.absences import Absences
    from registry.fsck.damage import Damage
    from registry.fsck.graph import Graph, Named
    from registry.fsck.reading import Tally
    from registry.fsck.store import Store

_NOBODY: Final = Affected()
_MANIFESTS: Final = frozenset({"manifest", "entry"})
"""What a manifest calls those that it names."""
_BAD: Final = {State.DAMAGED, State.UNREADABLE}


class RepositoryCheck:
    """Finds what is damaged in one repository after the other; `graph` holds what the one at hand says.

    `absences` tells what may be missing; `deep` has all bytes read. Each damage is yielded before what depends on it is
    looked at, because the caller may repair it at once.
    """

    def __init__(self, store: Store, graph: Graph, absences: Absences, tally: Tally, *, deep: bool) -> None:
        self._store = store
        self._graph = graph
        self._reader = Reader(store, graph, absences, tally)
        self._absences = absences
        self._tally = tally
        self._deep = deep

    def run(self, name: str) -> Iterator[Damage]:
        """Yield what is damaged in the repository `name`."""
        self._graph.clear()
        self._tally.repositories += 1
        yield from self._borne(name, paths.tags(name), self._read_tags(name))
        tags_read_at = time.monotonic()
        self._reader.list_manifests(name)
        for target, state in self._reader.read_manifests(name):
            if state in _BAD:
                yield from self._damaged(target)
        yield from self._torn_manifests(name)
        yield from self._torn_tags(name, tags_read_at)
        yield from self._unlisted_manifests(name)
        yield from self._lost_manifests(name)
        self._reader.read_layers(name)
        for path, why in self._graph.hidden():
            yield Unreadable(name, path, why, _NOBODY)
        yield from self._check_children(name)
        yield from self._check_named(name)
        yield from self._check_layers(name)
        yield from self._borne(name, paths.all_referrers(name), self._check_referrers(name))
        yield from self._borne(name, paths.condemned(name), self._count_condemned(name))

    def _borne(self, name: str, path: str, damages: Iterator[Damage]) -> Iterator[Damage]:
        return borne(self._store.contents, name, path, damages)

    def _read_tags(self, name: str) -> Iterator[Damage]:
        self._reader.read_tags(name)
        yield from ()

    def _count_condemned(self, name: str) -> Iterator[Damage]:
        self._tally.condemned_links += sum(1 for _ in self._store.driver.walk(paths.condemned(name), leaf_in=leaf_in))
        yield from ()

    def _damaged(self, target: Digest) -> Iterator[Damage]:
        """Yield, of bytes that are damaged, that they are: once, whatever repositories name them."""
        if self._store.contents.tell_once(target):
            if self._store.contents.known(target) is State.UNREADABLE:
                yield BlobUnreadable(target, "", _NOBODY)
            else:
                yield BlobDamaged(target, self._store.contents.size(target) or 0, "", _NOBODY)

    def _torn_manifests(self, name: str) -> Iterator[Damage]:
        for digest in map(Digest.parse, self._graph.faults(Fault.MANIFEST)):
            seen = self._store.revision(name, digest)
            if seen.is_torn:
                state = self._store.contents.state(digest)
                yield ManifestLink(name, digest, seen, state, self._graph.affected(digest))
            yield from self._read_listed(name, digest)
            self._drop_if_gone(name, digest)

    def _torn_tags(self, name: str, read_at: float) -> Iterator[Damage]:
        for tag in self._graph.faults(Fault.TAG):
            seen = self._store.tag(name, tag)
            if seen.target is None:
                former = self._store.only_history(name, tag)
                if former and not self._store.stands(name, former):
                    former = None
                yield TagNowhere(name, tag, seen, former, Affected((tag,)), read_at)
                seen = self._store.tag(name, tag)
            if seen.target:
                self._graph.add_tag(tag, seen.target)

    def _unlisted_manifests(self, name: str) -> Iterator[Damage]:
        for tag, digest in self._graph.tags():
            if self._graph.may_have_manifest(digest):
                continue
            seen = self._store.tag(name, tag)
            if seen.target == digest:
                state = self._store.contents.manifest(digest)[1]
                if state in _BAD:
                    yield from self._damaged(digest)
                if not self._absences.may_dangle(name):
                    yield TagWithoutManifest(name, tag, seen, digest, state, Affected((tag,)))
            yield from self._read_listed(name, digest)

    def _read_listed(self, name: str, digest: Digest) -> Iterator[Damage]:
        """Read a manifest that was not listed, if it is now: it was repaired, or pushed."""
        target = self._store.revision(name, digest).target
        if target and not self._graph.has_manifest(digest) and self._reader.read_manifest(name, digest, target) in _BAD:
            yield from self._damaged(target)

    def _lost_manifests(self, name: str) -> Iterator[Damage]:
        for digest in map(Digest.parse, self._graph.faults(Fault.BYTES)):
            seen = self._store.revision(name, digest)
            state = self._store.contents.state(seen.target) if seen.target else State.MISSING
            if seen.target and not (state is State.MISSING and self._absences.may_dangle(name)):
                yield ManifestBytes(name, digest, seen, state, self._graph.affected(digest))
            self._drop_if_gone(name, digest)

    def _drop_if_gone(self, name: str, digest: Digest) -> None:
        """Forget a manifest that was pruned, or deleted: what leads to it leads nowhere from now on."""
        if self._store.revision(name, digest).content is None:
            self._graph.drop_manifest(digest)

    def _check_children(self, name: str) -> Iterator[Damage]:
        """Look for the manifests that others name; what is repaired of them names more, which may come earlier."""
        is_new = True
        while is_new:
            is_new = False
            for named in self._graph.named():
                if named.kind in _MANIFESTS and not self._graph.may_have_manifest(named.child):
                    yield from self._borne(name, paths.blob_data(named.child), self._check_child(name, named))
                    is_new = is_new or self._graph.has_manifest(named.child)

    def _check_child(self, name: str, named: Named) -> Iterator[Damage]:
        digest, contents = named.child, self._store.contents
        if not named.required or (named.kind == "entry" and self._graph.layer(digest)):
            return
        if contents.tell_once(f"{name}@{digest}"):
            yield ManifestMissing(
                name, digest, named.parent, contents.manifest(digest)[1], self._graph.affected(digest)
            )
        yield from self._read_listed(name, digest)

    def _check_named(self, name: str) -> Iterator[Damage]:
        for named in self._graph.named():
            if named.kind not in _MANIFESTS and not self._graph.is_hidden(named.child):
                yield from self._borne(name, paths.blob_data(named.child), self._check_named_blob(name, named))

    def _check_named_blob(self, name: str, named: Named) -> Iterator[Damage]:
        digest = named.child
        target = self._graph.layer(digest)
        if target is None:
            is_torn = self._graph.has_fault(Fault.LAYER, digest)
            if not named.required and not (is_torn and not self._absences.may_dangle(name)):
                return
            kept_as = self._kept_as(digest, is_torn=is_torn)
            if kept_as is None:
                if not named.required:
                    return
                yield BlobMissing(name, digest, named.parent, State.MISSING, self._graph.affected(digest))
                return
            seen = self._store.layer(name, digest)
            if seen.target is None:
                yield LayerLink(name, digest, named.parent, kept_as, seen, self._graph.affected(digest))
            target = self._store.layer(name, digest).target
        if target:
            yield from self._check_bytes(name, named, target)

    def _kept_as(self, digest: Digest, *, is_torn: bool) -> Digest | None:
        """Return under which digest the bytes of a blob lie whose link does not say it; None if they are missing.

        The Go registry keeps a blob that was pushed by another digest under its sha256, which it links as well.
        """
        if self._store.contents.size(digest) is not None:
            return digest
        if not is_torn:
            return None
        sizes = set(self._graph.sizes_of(digest))
        for _, target in self._graph.layers():
            if target.algorithm == digest.algorithm or self._store.contents.size(target) not in sizes:
                continue
            if self._store.contents.have_also(target, digest):
                return target
        return None

    def _check_bytes(self, name: str, named: Named, target: Digest) -> Iterator[Damage]:
        """Look at the bytes of a blob that a manifest names: whether they are there, and of the size that it says."""
        digest, contents = named.child, self._store.contents
        size = contents.size(target)
        affected = self._graph.affected
        if size is None:
            if named.required:
                yield BlobMissing(name, digest, named.parent, State.MISSING, affected(digest))
            return
        stated = self._graph.sizes_of(digest)
        state = contents.state(target) if self._deep or stated != [size] else contents.known(target)
        if state in _BAD:
            yield from self._damaged(target)
        if state in {*_BAD, State.MISSING}:
            yield BlobMissing(name, digest, named.parent, state, affected(digest))
        elif stated != [size]:
            yield SizeDiffers(name, digest, size, tuple(stated), affected(digest))

    def _check_layers(self, name: str) -> Iterator[Damage]:
        """Look at the links that no manifest needs. Where one cannot be read, all may be needed."""
        if not self._graph.is_whole():
            return
        may_dangle = self._absences.may_dangle(name)
        for digest, target in self._graph.layers():
            if self._graph.names(digest):
                continue
            if self._store.contents.size(target) is None:
                if not may_dangle:
                    yield UnusedLink(name, digest, self._store.layer(name, digest), _NOBODY)
            else:
                self._tally.unused_links += 1
        for digest in map(Digest.parse, self._graph.faults(Fault.LAYER)):
            seen = self._store.layer(name, digest)
            if seen.is_torn and not may_dangle and not self._graph.names(digest):
                yield UnusedLink(name, digest, seen, _NOBODY)

    def _check_referrers(self, name: str) -> Iterator[Damage]:
        for subject in enumeration.subjects(self._store.driver, name):
            for digest in enumeration.referrers(self._store.driver, name, subject):
                self._graph.note_listed(subject, digest)
                if not self._graph.may_have_manifest(digest):
                    yield ReferrerStale(name, digest, subject, _NOBODY)
        for subject, digest in self._graph.unlisted():
            yield ReferrerMissing(name, digest, subject, self._graph.affected(digest))
