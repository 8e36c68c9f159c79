"""What a kind of damage is: what is said of it, and what can be done. Each kind is a class of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from registry.fsck.graph import Affected
    from registry.fsck.store import Link, Store
    from registry.oci.digest import Digest


class Damage(ABC):
    """One damage, as it was found. Nothing is changed before somebody calls repair() or prune()."""

    kind: ClassVar[str]
    """What scripts know it by."""
    is_damage: ClassVar[bool] = True
    """Whether clients may see it. What is not is told of, and no reason to call a storage damaged."""
    repairs: ClassVar[bool] = False
    """Whether repair() may help."""
    prunes: ClassVar[bool] = False
    """Whether prune() does."""

    repository: str
    """The repository that it is in, "" if that is not one."""
    affected: Affected
    """The tags that cannot be pulled because of it, or not as a whole."""

    @property
    @abstractmethod
    def where(self) -> str:
        """What is damaged: ``team/app:v1``, ``team/app@sha256:...``, or a digest."""

    @property
    @abstractmethod
    def text(self) -> str:
        """What is wrong with it, in a clause."""

    @property
    @abstractmethod
    def advice(self) -> str:
        """What to do about it."""

    @abstractmethod
    def is_there(self, store: Store) -> bool:
        """Look once more, at the storage itself: a push or a deletion may have been under way."""

    def repair(self, store: Store) -> bool:
        """Repair it without losing anything; tell whether that was possible.

        Raises:
            registry.fsck.store.CollectionRunsError: it has to wait.
        """
        del store
        return False

    def prune(self, store: Store) -> bool:
        """Remove what leads nowhere; tell whether it has gone."""
        del store
        return False


@dataclass(frozen=True, slots=True)
class DamageOfTag(Damage):
    """Damage of a tag, whose link was as it is in `seen`."""

    repository: str
    tag: str
    seen: Link

    @property
    def where(self) -> str:
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True)
class DamageOfDigest(Damage):
    """Damage of what a repository has by its digest: a manifest, or a blob."""

    repository: str
    digest: Digest

    @property
    def where(self) -> str:
        return f"{self.repository}@{self.digest}"
