"""Whether so much is missing that a part of the storage is not there: then a repair would remove what is not lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from registry.fsck.check import Check
from registry.fsck.contents import State
from registry.fsck.manifest_damage import ManifestBytes, ManifestLink, TagNowhere, TagWithoutManifest
from registry.oci.digest import ALGORITHMS
from registry.storage import paths
from registry.storage.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.fsck.absences import Absences
    from registry.fsck.check import Wish
    from registry.fsck.damage import Damage
    from registry.fsck.store import Store

_MOST_PERCENT: Final = 20
_FEW: Final = 2
"""So many tags and manifests may be lost whatever their share is: in a small storage each is a large one."""


def missing_half(driver: StorageDriver) -> str:
    """Return what all of a storage is missing, blobs or repositories or both; "" if it has both.

    A repository of which only condemned links are left is one, as it is to the garbage collection: a cache may have
    evicted everything.
    """
    has_blobs = any(driver.holds(paths.blob_prefixes(each)) for each in ALGORITHMS)
    has_repositories = next(Catalog(driver).keeping(), None) is not None
    if has_repositories:
        return "" if has_blobs else "there are repositories and not a single blob"
    return f"there is not a single repository, and there are {'blobs' if has_blobs else 'no blobs'}"


def losses(store: Store, absences: Absences, wish: Wish, show: Callable[[str], None]) -> str:
    """Return how many of the tags and manifests that are meant are lost, if those are too many; "" if not.

    Nothing is changed, and no more is read than without Wish.deep.

    Raises:
        drivers.base.DriverError: the storage failed.
    """
    check = Check(store, absences, replace(wish, deep=False, start="", repair=False, prune=False), show)
    tags = manifests = 0
    for finding in check.run():
        tags += isinstance(finding.damage, TagNowhere | TagWithoutManifest) and _is_lost(finding.damage)
        manifests += isinstance(finding.damage, ManifestLink | ManifestBytes) and _is_lost(finding.damage)
    for lost, number, what in (
        (manifests, check.sum.tally.manifests, "manifests"),
        (tags, check.sum.tally.tags, "tags"),
    ):
        if lost > _FEW and lost * 100 > number * _MOST_PERCENT:
            return f"{lost} of {number} {what} are lost"
    return ""


def _is_lost(damage: Damage) -> bool:
    match damage:
        case TagNowhere():
            return damage.former is None
        case ManifestLink() | ManifestBytes() | TagWithoutManifest():
            return damage.state is not State.SOUND
    return False
