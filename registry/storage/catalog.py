"""The catalog: which repositories exist, read from the tree itself.

A repository exists while it has manifests. Names come depth-first, siblings in byte order of the component,
as the Go registry lists them: ``a``, ``a/b``, ``a-b``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from registry.oci.reference import MAX_NAME_LENGTH
from registry.storage import paths
from registry.storage.listing import names_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver

# Whatever else lies in the tree is the registry's own (``_manifests``) or not a registry's at all.
_COMPONENT = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME_LENGTH - 1}}}")
_MAX_DEPTH = (MAX_NAME_LENGTH + 1) // 2


class Catalog:
    """The repositories of a registry."""

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def names(self, *, after: str = "") -> Iterator[str]:
        """Yield the repositories that come after `after`; holds no more than one page of each level."""
        return self._below("", after.split("/")[:_MAX_DEPTH] if after else [], paths.manifests)

    def uploading(self) -> Iterator[str]:
        """Yield the names under which upload sessions lie, whether or not they have manifests yet."""
        return self._below("", [], paths.uploads)

    def linking(self) -> Iterator[str]:
        """Yield the names under which links to blobs or manifests lie."""
        return self._below("", [], paths.manifests, paths.all_layers)

    def _below(self, parent: str, after: list[str], *holding: Callable[[str], str]) -> Iterator[str]:
        """Yield the names below `parent` that come after `after` and have something at a path that `holding` gives."""
        start = ""
        if after:
            start = after[0]
            if _COMPONENT.fullmatch(start):
                yield from self._below(f"{parent}{start}/", after[1:], *holding)
        path = f"{paths.REPOSITORIES}/{parent}".rstrip("/")
        for name in names_below(self._driver, path, after=start):
            if not _COMPONENT.fullmatch(name):
                continue
            if any(self._driver.list(path_of(f"{parent}{name}"), limit=1) for path_of in holding):
                yield f"{parent}{name}"
            yield from self._below(f"{parent}{name}/", [], *holding)
