"""What shows that a part of a file system is not mounted below the repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.storage import paths
from registry.storage.listing import names_below
from registry.storage.names import is_component_below

if TYPE_CHECKING:
    from drivers.base import StorageDriver


def empty_directory(driver: StorageDriver) -> str:
    """Return a directory below the repositories in which nothing lies, "" if there is none.

    It is a mount point of what is not mounted, or has been left by another program: the driver leaves none. An object
    store has no directories.
    """
    levels = [("", names_below(driver, paths.REPOSITORIES, is_component_below("")))]
    while levels:
        parent, names = levels[-1]
        name = next(names, None)
        if name is None:
            levels.pop()
            continue
        path = paths.repository(parent + name)
        if not driver.holds(path):
            return path
        nested = f"{parent}{name}/"
        levels.append((nested, names_below(driver, path, is_component_below(nested))))
    return ""
