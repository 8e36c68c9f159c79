"""A check of a storage, from its blobs to its tags, with the repairs that are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from drivers.base import DriverError, PathNotFoundError
from registry.fsck.blob_check import END, BlobCheck
from registry.fsck.damage import Damage
from registry.fsck.graph import Graph
from registry.fsck.leftovers import leftovers
from registry.fsck.reading import Tally
from registry.fsck.repository_check import RepositoryCheck
from registry.fsck.store import CollectionRunsError
from registry.fsck.unreadable import borne, readable_names, told
from registry.storage import paths
from registry.storage.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from drivers.base import StorageDriver
    from registry.fsck.absences import Absences
    from registry.fsck.store import Store
    from registry.storage.validation import ValidationPolicy


class Status(StrEnum):
    """How something that was found stands at the end."""

    FOUND = "found"
    REPAIRED = "repaired"
    REMOVED = "removed"
    HELD_UP = "held up"
    """It can be repaired, but not while a garbage collection runs."""
    FAILED = "failed"
    """Another look at it, or its repair, has failed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A damage, and how it stands; `error` is why it failed."""

    damage: Damage
    status: Status
    error: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    `deep` has all bytes read, from `start` on, which is ``<algorithm>:<hex>`` or the beginning of it. `repair` repairs
    what can be without losing anything, `prune` removes what leads nowhere and cannot be repaired. `is_meant` tells of
    a repository whether it is to be looked at; None means all, and then also blobs that no repository has.
    """

    deep: bool = False
    start: str = ""
    repair: bool = False
    prune: bool = False
    is_meant: Callable[[str], bool] | None = None
    leftovers_before: float = 0.0
    """Uploads that were begun before this, in seconds since the epoch, are abandoned."""


@dataclass(slots=True)
class Sum:
    """How many damages there were and are, and what was looked at. What is told of and is no damage is not counted."""

    tally: Tally = field(default_factory=Tally)
    damaged: int = 0
    repaired: int = 0
    removed: int = 0
    held_up: int = 0
    damaged_blobs: int = 0
    """How many of the damages are of the blobs themselves, whatever names them; known when all were read."""

    @property
    def remaining(self) -> int:
        return self.damaged - self.repaired - self.removed


def policy_for(driver: StorageDriver, policy: ValidationPolicy) -> ValidationPolicy:
    """Return what manifests that are stored may name, where pushed ones may name what `policy` says.

    A Go registry that has cached another one has stored manifests, and not the layers that nobody has pulled.
    """
    try:
        driver.stat(paths.SCHEDULER)
    except PathNotFoundError:
        return policy
    return replace(policy, sparse=True)


class Check:
    """Checks `store`. `absences` tells what may be missing; `show` is told what is looked at."""

    def __init__(self, store: Store, absences: Absences, wish: Wish, show: Callable[[str], None]) -> None:
        self._store = store
        self._absences = absences
        self._wish = wish
        self._show = show
        self.sum = Sum()
        self._blobs = BlobCheck(store, self.sum.tally, deep=wish.deep, start=wish.start)

    @property
    def at(self) -> str:
        """Where a deep check has come to, as Wish.start takes it; "" if it has not begun."""
        return self._blobs.at

    @property
    def has_read_all(self) -> bool:
        """Whether a deep check has come to its end, and only looks at repositories yet."""
        return self._blobs.at == END

    def run(self) -> Iterator[Finding]:
        """Yield what is found, each when it was repaired, if it was.

        Raises:
            drivers.base.DriverError: the storage failed as a whole.
        """
        if self._wish.is_meant is None:
            yield from self._judge(self._blobs.run())
            self.sum.damaged_blobs = self.sum.damaged
            yield from self._judge(leftovers(self._store, self._wish.leftovers_before))
            if self._wish.repair:
                yield from self._judge(self._purge())
        with Graph() as graph:
            check = RepositoryCheck(
                self._store,
                graph,
                self._absences,
                self.sum.tally,
                deep=self._wish.deep and self._wish.is_meant is not None,
            )
            for name in readable_names(self._store, Catalog.linking):
                if isinstance(name, Damage):
                    yield from self._judge([name])
                elif self._wish.is_meant is None or self._wish.is_meant(name):
                    self._show(name)
                    run = check.run(name)
                    yield from self._judge(borne(self._store.contents, name, paths.repository(name), run))

    def _purge(self) -> Iterator[Damage]:
        """Remove what a driver has left of interrupted calls; yield that this cannot be done."""
        try:
            self.sum.tally.purged += self._store.driver.purge(self._wish.leftovers_before)
        except DriverError as error:
            yield from told(self._store.contents, "", paths.ROOT, error)

    def _judge(self, damages: Iterable[Damage]) -> Iterator[Finding]:
        for damage in damages:
            error = ""
            try:
                if not damage.is_there(self._store):
                    continue
                status = self._treat(damage)
            except DriverError as failure:
                self._store.contents.bear(failure)
                status, error = Status.FAILED, str(failure)
            if damage.is_damage or status is Status.FAILED:
                self.sum.damaged += 1
                self.sum.repaired += status is Status.REPAIRED
                self.sum.removed += status is Status.REMOVED
            self.sum.held_up += status is Status.HELD_UP
            yield Finding(damage, status, error)

    def _treat(self, damage: Damage) -> Status:
        """Repair a damage, if that is asked for, or remove what is left."""
        try:
            if self._wish.repair and damage.repair(self._store):
                return Status.REPAIRED
        except CollectionRunsError:
            return Status.HELD_UP
        if self._wish.prune and damage.prune(self._store):
            return Status.REMOVED
        return Status.FOUND
