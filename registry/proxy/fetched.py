"""Which manifests were fetched, in repositories to which others may push: only those are evicted.

Elsewhere all manifests were fetched, and nothing is noted.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.base import PathExistsError, PathNotFoundError
from registry.storage import paths

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.oci.digest import Digest


def note_fetched(driver: StorageDriver, repository: str, digest: Digest) -> bool:
    """Remember that a manifest was fetched; call this before the repository has it. Tell whether nobody else had.

    Raises:
        drivers.base.DriverError: the storage failed.
    """
    try:
        driver.create(paths.fetched_manifest(repository, digest), b"")
    except PathExistsError:
        return False
    return True


def note_pushed(driver: StorageDriver, repository: str, digest: Digest) -> None:
    """Remember that a manifest, which may have been fetched before, was pushed; call this before that is acknowledged.

    Raises:
        drivers.base.DriverError: the storage failed.
    """
    with suppress(PathNotFoundError):
        driver.delete(paths.fetched_manifest(repository, digest))
