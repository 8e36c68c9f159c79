"""Restoring: a condemned link to which something leads that is kept is put back.

While a run moves links, a client may push again what led to them: a notice that comes when a signature was just moved
saves its image alone. The next run finds the image, and that the signature belongs to it.

A push brings links back in the same way, so nothing has to be closed for it. If a user deletes the same at the same
moment, it may be there again; then it can be deleted again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.storage import paths
from registry.storage.links import revive_link
from registry.storage.parts import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.lifecycle.findings import Findings


def restore(findings: Findings, driver: StorageDriver, before_each: Callable[[], None] = lambda: None) -> int:
    """Put back what is to be kept and has its bytes; return how many links that were. `before_each` is called.

    Raises:
        What `before_each` raises.
        DriverError: the storage failed.
    """
    restored = 0
    for name, link in findings.restorable():
        before_each()
        path_of = paths.revision_link if link.kind is Kind.CONDEMNED_REVISION else paths.layer_link
        with suppress(PathNotFoundError):
            driver.stat(paths.blob_data(link.target))
            revive_link(driver, link.found.path, path_of(name, link.digest), _ever)
            restored += 1
    return restored


def _ever() -> float:
    """Return the time since which what was condemned is brought back: nothing has deleted the bytes of what is kept."""
    return 0.0
