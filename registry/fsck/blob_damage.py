"""Damage of blobs and of the links to them; and what is told of though it is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.fsck.contents import State
from registry.fsck.damage import Damage, DamageOfDigest
from registry.storage import paths
from registry.storage.referrer_index import ReferrerIndex

if TYPE_CHECKING:
    from registry.fsck.graph import Affected
    from registry.fsck.store import Link, Store
    from registry.oci.digest import Digest


_BYTES: Final = {
    State.DAMAGED: "are damaged",
    State.MISSING: "are missing",
    State.UNREADABLE: "cannot be read",
}


@dataclass(frozen=True, slots=True)
class BlobDamaged(Damage):
    """Bytes that do not have the digest that they lie under."""

    kind = "blob-damaged"
    repairs = True
    digest: Digest
    size: int
    repository: str
    affected: Affected

    @property
    def where(self) -> str:
        return str(self.digest)

    @property
    def text(self) -> str:
        return f"the {self.size} bytes that are stored do not have this digest"

    @property
    def advice(self) -> str:
        return f"--repair moves them to {paths.QUARANTINE}, so that the next push stores them again"

    def is_there(self, store: Store) -> bool:
        return store.contents.read(self.digest) is State.DAMAGED

    def repair(self, store: Store) -> bool:
        return store.quarantine(self.digest)


@dataclass(frozen=True, slots=True)
class BlobUnreadable(Damage):
    """Bytes that the storage has and does not give."""

    kind = "blob-unreadable"
    digest: Digest
    repository: str
    affected: Affected

    @property
    def where(self) -> str:
        return str(self.digest)

    @property
    def text(self) -> str:
        return "its bytes are stored and cannot be read"

    @property
    def advice(self) -> str:
        return "look at the disk, and at the owner and mode of the file"

    def is_there(self, store: Store) -> bool:
        return store.contents.read(self.digest) is State.UNREADABLE


@dataclass(frozen=True, slots=True)
class BlobMissing(DamageOfDigest):
    """A blob that a manifest names and whose bytes are missing, or are others."""

    kind = "blob-missing"
    parent: Digest
    state: State
    affected: Affected

    @property
    def text(self) -> str:
        return f"{self.parent} names it, and its bytes {_BYTES[self.state]}"

    @property
    def advice(self) -> str:
        return "push the image again"

    def is_there(self, store: Store) -> bool:
        if store.revision(self.repository, self.parent).target is None:
            return False
        target = store.layer(self.repository, self.digest).target or self.digest
        if self.state is not State.MISSING:
            return store.contents.state(target) is not State.SOUND
        return not store.has_bytes(target)


@dataclass(frozen=True, slots=True)
class LayerLink(DamageOfDigest):
    """A link to a blob that is missing though a manifest names the blob, or is malformed; the bytes lie at `target`."""

    kind = "layer-link"
    repairs = True
    parent: Digest
    target: Digest
    seen: Link
    affected: Affected

    @property
    def text(self) -> str:
        return f"{self.parent} names it, and the link that lets the repository serve it is {self.seen.fault}"

    @property
    def advice(self) -> str:
        if self.seen.is_torn:
            return "--repair writes the link again, if the bytes are sound"
        return "push the image again; --relink writes the link, if readers of the repository may have the blob"

    def is_there(self, store: Store) -> bool:
        is_named = store.revision(self.repository, self.parent).target is not None
        return is_named and store.layer(self.repository, self.digest) == self.seen

    def repair(self, store: Store) -> bool:
        if not store.may_link_blobs or not (self.seen.is_torn or store.relinks):
            return False
        if store.contents.state(self.target) is not State.SOUND:
            return False
        return store.write_link(paths.layer_link(self.repository, self.digest), self.seen, self.target)


@dataclass(frozen=True, slots=True)
class UnusedLink(DamageOfDigest):
    """A link to a blob that leads nowhere, and that no manifest of the repository needs."""

    kind = "unused-link"
    repairs = True
    seen: Link
    affected: Affected

    @property
    def text(self) -> str:
        fault = f"is {self.seen.fault}" if self.seen.is_torn else "leads to bytes that are missing"
        return f"the link of a blob {fault}, and no manifest names the blob"

    @property
    def advice(self) -> str:
        return "--repair removes the link"

    def is_there(self, store: Store) -> bool:
        return store.layer(self.repository, self.digest) == self.seen and not store.has_bytes(self.seen.target)

    def repair(self, store: Store) -> bool:
        path = paths.layer_link(self.repository, self.digest)
        return store.remove_link(path, self.seen, lambda: store.has_bytes(self.seen.target))


@dataclass(frozen=True, slots=True)
class SizeDiffers(DamageOfDigest):
    """A blob that has its digest, but not the size that a manifest says: registries take that, some clients do not."""

    kind = "size"
    is_damage = False
    size: int
    stated: tuple[int, ...]
    affected: Affected

    @property
    def text(self) -> str:
        return f"it has {self.size} bytes and its digest; manifests say {' or '.join(map(str, self.stated))}"

    @property
    def advice(self) -> str:
        return "the manifest was pushed so; nothing can be repaired"

    def is_there(self, store: Store) -> bool:
        return store.contents.size(self.digest) is not None


@dataclass(frozen=True, slots=True)
class ReferrerMissing(DamageOfDigest):
    """A manifest that is not in the list of the referrers of its subject: another registry has stored it."""

    kind = "referrer-missing"
    is_damage = False
    repairs = True
    subject: Digest
    affected: Affected

    @property
    def text(self) -> str:
        return f"it is not in the list of the referrers of {self.subject}"

    @property
    def advice(self) -> str:
        return "--repair adds it"

    def is_there(self, store: Store) -> bool:
        is_listed = store.revision(self.repository, self.digest).target is not None
        link = store.link(paths.referrer_link(self.repository, self.subject, self.digest))
        return is_listed and link.content is None

    def repair(self, store: Store) -> bool:
        return store.list_referrer(self.repository, self.digest)


@dataclass(frozen=True, slots=True)
class ReferrerStale(DamageOfDigest):
    """An entry of a manifest, which the repository does not have any more, in the list of its subject."""

    kind = "referrer-stale"
    is_damage = False
    repairs = True
    subject: Digest
    affected: Affected

    @property
    def text(self) -> str:
        return f"it is noted as a referrer of {self.subject}, and the repository does not have it"

    @property
    def advice(self) -> str:
        return "--repair removes the note"

    def is_there(self, store: Store) -> bool:
        is_listed = store.revision(self.repository, self.digest).content is not None
        link = store.link(paths.referrer_link(self.repository, self.subject, self.digest))
        return not is_listed and link.content is not None

    def repair(self, store: Store) -> bool:
        ReferrerIndex(store.driver, self.repository).remove(self.subject, self.digest)
        store.list_referrer(self.repository, self.digest)  # if it was pushed at the same time
        return True
