"""What a command that root may run writes beside what the server does, which is another user's."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drivers.base import UnavailableError
from drivers.log import Log, Page
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.config.values import Storage


class OwnersLog(Log):
    """The log `inner`, in which what root appends belongs to the owner of the storage: the server goes on there."""

    def __init__(self, inner: Log, storage: Storage) -> None:
        self._inner = inner
        self._storage = storage

    def append(self, content: bytes) -> int:
        with as_owner(self._storage):
            return self._inner.append(content)

    def after(self, position: str, *, before_ns: int, limit: int) -> Page:
        return self._inner.after(position, before_ns=before_ns, limit=limit)

    def count(self, position: str) -> int:
        return self._inner.count(position)

    def trim(self, before_ns: int) -> None:
        self._inner.trim(before_ns)


def journal_of(configuration: Configuration, driver: StorageDriver) -> Log:
    """Return the journal for a command that changes something."""
    return OwnersLog(driver.log(paths.JOURNAL), configuration.storage)


@contextmanager
def as_owner(storage: Storage) -> Iterator[None]:
    """Let root write to a directory as the user who owns it: the server goes on there.

    Raises:
        UnavailableError: root may not become that user.
    """
    root = storage.parameters.get("rootdirectory")
    if os.geteuid() != 0 or storage.driver != "filesystem" or not isinstance(root, str):
        yield
        return
    group = os.getegid()
    try:
        owner = os.stat(root)  # noqa: PTH116  any text
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
    except OSError as error:
        os.setegid(group)
        raise UnavailableError(f"nothing can be written as the owner of {root}: {error.strerror}") from error
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
