"""Uploads that nobody goes on with, and what a copy or a repair that broke off has left: no damage, but space."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.fsck.damage import Damage
from registry.fsck.graph import Affected
from registry.fsck.unreadable import borne, readable_names
from registry.storage import paths
from registry.storage.catalog import Catalog
from registry.storage.listing import names_below
from registry.storage.names import is_upload_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.fsck.store import Store

_LONGEST_TIME: Final = 64


@dataclass(frozen=True, slots=True)
class AbandonedUpload(Damage):
    """An upload session that was begun too long ago."""

    kind = "upload"
    is_damage = False
    repairs = True
    repository: str
    upload_id: str
    began: float
    affected: Affected

    @property
    def where(self) -> str:
        return f"{self.repository} (upload {self.upload_id})"

    @property
    def text(self) -> str:
        return f"it was begun on {datetime.fromtimestamp(self.began, UTC):%Y-%m-%d} and not finished"

    @property
    def advice(self) -> str:
        return "--repair removes it"

    def is_there(self, store: Store) -> bool:
        return begun_at(store.driver, self.repository, self.upload_id) == self.began

    def repair(self, store: Store) -> bool:
        with suppress(PathNotFoundError):
            store.driver.delete(paths.upload_directory(self.repository, self.upload_id))
        return True


@dataclass(frozen=True, slots=True)
class AbandonedCopy(Damage):
    """What a copy into this storage, or a repair, has left as it broke off."""

    kind = "copy"
    is_damage = False
    repairs = True
    path: str
    modified: float
    repository: str
    affected: Affected

    @property
    def where(self) -> str:
        return self.path

    @property
    def text(self) -> str:
        return f"it was last written on {datetime.fromtimestamp(self.modified, UTC):%Y-%m-%d} and is in nobody's way"

    @property
    def advice(self) -> str:
        return "--repair removes it"

    def is_there(self, store: Store) -> bool:
        return _last_written(store.driver, self.path) == self.modified

    def repair(self, store: Store) -> bool:
        with suppress(PathNotFoundError):
            store.driver.delete(self.path)
        return True


def leftovers(store: Store, before: float) -> Iterator[Damage]:
    """Yield what nobody has worked on since the time `before`, in seconds since the epoch."""
    for name in readable_names(store, Catalog.uploading):
        if isinstance(name, Damage):
            yield name
        else:
            yield from borne(store.contents, name, paths.uploads(name), _uploads(store.driver, name, before))
    for path in (paths.COPIES, paths.QUARANTINE_ARRIVING):
        yield from borne(store.contents, "", path, _copies(store.driver, path, before))


def _uploads(driver: StorageDriver, name: str, before: float) -> Iterator[Damage]:
    for upload_id in names_below(driver, paths.uploads(name), is_upload_id):
        began = begun_at(driver, name, upload_id)
        if began is not None and began < before:
            yield AbandonedUpload(name, upload_id, began, Affected())


def _copies(driver: StorageDriver, path: str, before: float) -> Iterator[Damage]:
    modified = _last_written(driver, path)
    if modified is not None and modified < before:
        yield AbandonedCopy(path, modified, "", Affected())


def begun_at(driver: StorageDriver, name: str, upload_id: str) -> float | None:
    """Return when an upload was begun, in seconds since the epoch; None if there is none, or nothing tells."""
    try:
        text = driver.get(paths.upload_started_at(name, upload_id), limit=_LONGEST_TIME)
        started = datetime.fromisoformat(text.decode("ascii"))
        if started.tzinfo:
            return started.timestamp()
    except (PathNotFoundError, ObjectTooLargeError, ValueError):
        pass
    return _last_written(driver, paths.upload_directory(name, upload_id))


def _last_written(driver: StorageDriver, path: str) -> float | None:
    return max((found.modified for found in driver.walk(path)), default=None)
