"""Where the pages look: what is stored here, as it is; nothing is fetched from another registry."""

from __future__ import annotations

from registry.handlers.current import services
from registry.inventory.local import StorageSource
from registry.publishing import Operator


def source() -> StorageSource:
    """Return the storage of this process, to be read from."""
    here = services()
    return StorageSource(here.repositories, here.publishing(Operator()))
