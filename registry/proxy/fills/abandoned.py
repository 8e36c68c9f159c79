"""What processes that were killed have left of blobs that nobody has asked for since."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError
from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.listing import names_below
from registry.storage.names import is_algorithm, is_hex, is_upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

AGE_SECONDS: Final = 24 * 3600.0
"""For how long what has come of a blob waits for somebody who asks for the rest."""
_log = logging.getLogger(__name__)


def purge(driver: StorageDriver, age_seconds: float = AGE_SECONDS) -> int:
    """Delete what nobody has gone on with for so long; return of how many blobs that was.

    What is being fetched has somebody who has claimed it, and is left alone.
    """
    before, purged = time.time() - age_seconds, 0
    for upstream, digest in _fills(driver):
        if not _is_recent(driver, upstream, digest, before):
            purged += _purge(driver, upstream, digest, before)
    if purged:
        _log.info("purged parts of blobs that were being fetched", extra={"purged": purged})
    return purged


def _fills(driver: StorageDriver) -> Iterator[tuple[str, Digest]]:
    for upstream in names_below(driver, paths.FILLS, is_upstream):
        for algorithm in names_below(driver, paths.below(paths.FILLS, upstream), is_algorithm):
            for encoded in names_below(driver, paths.fills(upstream, algorithm), is_hex(algorithm)):
                yield upstream, Digest(algorithm, encoded)


def _is_recent(driver: StorageDriver, upstream: str, digest: Digest, before: float) -> bool:
    with suppress(PathNotFoundError):
        return driver.stat(paths.fill_about(upstream, digest)).modified >= before
    return False


def _purge(driver: StorageDriver, upstream: str, digest: Digest, before: float) -> bool:
    claim = driver.claim(paths.fill_claim(upstream, digest))
    if claim is None:
        return False
    found = False
    with claim:
        if _is_recent(driver, upstream, digest, before):
            return False
        # Without this one, nobody would go on with the bytes.
        for path in (paths.fill_about(upstream, digest), paths.fill_data(upstream, digest)):
            with suppress(PathNotFoundError):
                driver.delete(path)
                found = True
    return found
