"""Damage of tags and manifests."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from registry.fsck.contents import State
from registry.fsck.damage import DamageOfDigest, DamageOfTag
from registry.fsck.store import ABSENT
from registry.storage import enumeration, paths

if TYPE_CHECKING:
    from registry.fsck.graph import Affected
    from registry.fsck.store import Link, Store
    from registry.oci.digest import Digest

_SETTLING_SECONDS: Final = 2.0
"""How long a tag may be without its link because it is being pushed or deleted."""


@dataclass(frozen=True, slots=True)
class TagNowhere(DamageOfTag):
    """A tag whose link cannot be read: it is listed and cannot be pulled."""

    kind = "tag-link"
    repairs = True
    prunes = True
    former: Digest | None
    affected: Affected
    seen_at: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        return f"its link is {self.seen.fault}, so it leads nowhere"

    @property
    def advice(self) -> str:
        if self.former:
            return f"--repair lets it point to {self.former}, which it has pointed to before and to nothing else"
        return "push it again, or --prune removes it"

    def is_there(self, store: Store) -> bool:
        if self.seen.content is None:
            time.sleep(max(0.0, self.seen_at + _SETTLING_SECONDS - time.monotonic()))
            return store.tag(self.repository, self.tag) == self.seen and store.is_listed(self.repository, self.tag)
        return store.tag(self.repository, self.tag) == self.seen

    def repair(self, store: Store) -> bool:
        if self.former is None or store.only_history(self.repository, self.tag) != self.former:
            return False
        if not store.stands(self.repository, self.former):
            return False
        return store.write_link(paths.tag_link(self.repository, self.tag), self.seen, self.former)

    def prune(self, store: Store) -> bool:
        former = store.only_history(self.repository, self.tag)
        if former and store.contents.manifest(former)[1] is State.UNREADABLE:
            return False
        return store.remove_tag(self.repository, self.tag, self.seen)


@dataclass(frozen=True, slots=True)
class TagWithoutManifest(DamageOfTag):
    """A tag that points to a manifest that the repository does not list."""

    kind = "tag-manifest"
    repairs = True
    prunes = True
    digest: Digest
    state: State
    affected: Affected

    @property
    def text(self) -> str:
        known = {State.SOUND: "are there", State.DAMAGED: "are damaged", State.UNREADABLE: "cannot be read"}
        bytes_are = known.get(self.state, "are missing, too")
        return f"it points to {self.digest}, which the repository does not list; the bytes {bytes_are}"

    @property
    def advice(self) -> str:
        if self.state is State.SOUND:
            return "--repair lists it again"
        return "push it again, or --prune removes the tag"

    def is_there(self, store: Store) -> bool:
        is_listed = store.revision(self.repository, self.digest).content is not None
        return not is_listed and store.tag(self.repository, self.tag) == self.seen

    def repair(self, store: Store) -> bool:
        return store.list_manifest(self.repository, self.digest, store.revision(self.repository, self.digest))

    def prune(self, store: Store) -> bool:
        if not store.contents.manifest(self.digest)[1].is_lost:
            return False
        return store.remove_tag(self.repository, self.tag, self.seen)


@dataclass(frozen=True, slots=True)
class ManifestLink(DamageOfDigest):
    """A manifest whose link in the repository is malformed, so that it counts as absent."""

    kind = "manifest-link"
    repairs = True
    prunes = True
    seen: Link
    state: State
    affected: Affected

    @property
    def text(self) -> str:
        return f"the link of the manifest is {self.seen.fault}"

    @property
    def advice(self) -> str:
        if self.state is State.SOUND:
            return "--repair writes it again"
        return "its bytes are lost: push it again, or --prune removes it"

    def is_there(self, store: Store) -> bool:
        return store.revision(self.repository, self.digest) == self.seen

    def repair(self, store: Store) -> bool:
        return store.list_manifest(self.repository, self.digest, self.seen)

    def prune(self, store: Store) -> bool:
        return _remove_manifest(store, self.repository, self.digest, self.seen)


@dataclass(frozen=True, slots=True)
class ManifestBytes(DamageOfDigest):
    """A manifest that the repository lists and whose bytes are missing, or are others."""

    kind = "manifest-bytes"
    prunes = True
    seen: Link
    state: State
    affected: Affected

    @property
    def text(self) -> str:
        if self.state is State.UNREADABLE:
            return "the bytes of the manifest cannot be read"
        return f"the bytes of the manifest are {'damaged' if self.state is State.DAMAGED else 'missing'}"

    @property
    def advice(self) -> str:
        if self.state is State.UNREADABLE:
            return "look at the disk, and at the owner and mode of the file"
        return "push it again, or --prune removes it and the tags that point to it"

    def is_there(self, store: Store) -> bool:
        target = self.seen.target
        if target is None or store.revision(self.repository, self.digest) != self.seen:
            return False
        return store.contents.manifest(target)[1] is not State.SOUND

    def prune(self, store: Store) -> bool:
        return _remove_manifest(store, self.repository, self.digest, self.seen)


@dataclass(frozen=True, slots=True)
class ManifestMissing(DamageOfDigest):
    """A manifest that an index names, and that the repository does not have."""

    kind = "manifest-missing"
    repairs = True
    parent: Digest
    state: State
    affected: Affected

    @property
    def text(self) -> str:
        there = "; its bytes are there" if self.state is State.SOUND else ""
        return f"{self.parent} names it, and the repository does not have it{there}"

    @property
    def advice(self) -> str:
        again = "push the index again, with all that it names"
        if self.state is not State.SOUND:
            return again
        return f"{again}; --relink lists it, if readers of the repository may have it"

    def is_there(self, store: Store) -> bool:
        if store.revision(self.repository, self.parent).target is None:
            return False
        links = (store.revision(self.repository, self.digest), store.layer(self.repository, self.digest))
        return all(each.content is None for each in links)

    def repair(self, store: Store) -> bool:
        # Where the link was lost is not told from where somebody has deleted the manifest, as for LayerLink.
        if not (store.may_link_blobs and store.relinks):
            return False
        return store.list_manifest(self.repository, self.digest, ABSENT)


def _remove_manifest(store: Store, name: str, digest: Digest, seen: Link) -> bool:
    """Delete the link of a manifest that cannot be pulled, and before it the tags that point to it."""

    def stands() -> bool:
        return not store.contents.manifest(seen.target or digest)[1].is_lost

    if stands():
        return False
    for tag in enumeration.tags(store.driver, name):
        pointer = store.tag(name, tag)
        if pointer.target == digest:
            store.remove_tag(name, tag, pointer)
    return store.remove_link(paths.revision_link(name, digest), seen, stands)
