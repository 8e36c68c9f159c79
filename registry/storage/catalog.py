"""The catalog: which repositories exist, read from the tree itself.

A repository exists while it has manifests. Names come depth-first, siblings in byte order of the component,
as the Go registry lists them: ``a``, ``a/b``, ``a-b``.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final, NamedTuple

from drivers.base import DriverError, NotPermittedError
from drivers.delegating import DelegatingDriver
from registry.oci.digest import DEFAULT_ALGORITHM
from registry.storage import paths
from registry.storage.listing import PAGE, first_names, names_below, names_from
from registry.storage.names import (
    is_algorithm,
    is_component_below,
    is_part_of_condemned,
    is_part_of_manifests,
    is_part_of_proxy,
    is_part_of_referrers,
    is_repository,
    is_upload_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drivers.base import StorageDriver
    from registry.storage.names import IsName


class _Mark(NamedTuple):
    """A part of a repository whose presence shows that the repository is to be listed.

    `part` is what it is called, `path_of` where it lies, by the repository's name; `is_name` takes what counts there,
    and `likely` is what lies there most often.
    """

    part: str
    path_of: Callable[[str], str]
    is_name: IsName
    likely: str = ""


_log = logging.getLogger(__name__)

_MANIFESTS: Final = _Mark(paths.MANIFESTS, paths.manifests, is_part_of_manifests, "tags")
_LAYERS: Final = _Mark(paths.LAYERS, paths.all_layers, is_algorithm, DEFAULT_ALGORITHM)
_UPLOADS: Final = _Mark(paths.UPLOADS, paths.uploads, is_upload_id)
_REFERRERS: Final = _Mark(paths.REFERRERS, paths.all_referrers, is_part_of_referrers)
_CONDEMNED: Final = _Mark(paths.CONDEMNED, paths.condemned, is_part_of_condemned)
_PROXY: Final = _Mark(paths.PROXY, paths.proxy, is_part_of_proxy)
_PARTS: Final = (_MANIFESTS, _LAYERS, _UPLOADS, _REFERRERS, _CONDEMNED, _PROXY)
"""All that a repository may have."""
_BEFORE_OWN: Final = "^"
"""Sorts before what is the registry's own below a repository, such as ``_layers``."""


class Catalog:
    """The repositories of a registry."""

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def page(self, *, after: str = "", limit: int, shown: Callable[[str], bool]) -> list[str]:
        """Return the first `limit` repositories that come after `after` and are `shown`; `limit` is at least 1.

        What this process may not look into is left out, and told of in the log: one directory that another user has
        made in the tree does not hide all repositories. No other walk leaves anything out, for a collection of garbage
        would delete what it cannot see.
        """
        try:
            return list(self._walk((_MANIFESTS,), after, limit, shown))
        except NotPermittedError:
            readable = self.readable(NotPermittedError, _warn)
            return list(readable._walk((_MANIFESTS,), after, limit, shown))  # noqa: SLF001  it is one of this class

    def readable(self, fault: type[DriverError], left_out: Callable[[str, DriverError], None]) -> Catalog:
        """Return a catalog that leaves out what cannot be listed because of such a `fault`.

        `left_out` is told the path and the fault of each. The top of the tree is never left out.
        """
        return Catalog(_ReadablePart(self._driver, fault, left_out))

    def names(self, *, after: str = "", below: str = "") -> Iterator[str]:
        """Yield the repositories that come after `after`; given `below`, those that are nested in that name.

        No more than one page of each level is held.

        Raises:
            NotPermittedError: this process may not look into a part of the tree; so do the walks below.
        """
        return self._walk((_MANIFESTS,), after, inside=below)

    def has(self, name: str) -> bool:
        """Tell whether there is a repository called `name`."""
        return self._has_one((_MANIFESTS,), name, (), complete=False)

    def children(self, name: str, *, after: str = "", limit: int) -> list[str]:
        """Return the first `limit` names right below `name` that come after `after`, one of them; "" is the root."""
        parent = f"{name}/" if name else ""
        where = paths.repository(name) if name else paths.REPOSITORIES
        last = after.removeprefix(parent)
        components = first_names(self._driver, where, is_component_below(parent), after=last, limit=limit)
        return [parent + component for component in components]

    def uploading(self) -> Iterator[str]:
        """Yield the names under which upload sessions lie, whether or not they have manifests yet."""
        return self._walk((_UPLOADS,))

    def linking(self) -> Iterator[str]:
        """Yield the names under which links to blobs or manifests lie."""
        return self._walk((_MANIFESTS, _LAYERS))

    def keeping(self, *, below: str = "") -> Iterator[str]:
        """Yield the names under which anything lies; given `below`, those that are nested in that name."""
        return self._walk(_PARTS, inside=below)

    def keeps(self, name: str) -> bool:
        """Tell whether anything lies under `name`; what is nested in it does not count."""
        # One listing tells of most names that nothing is kept there.
        below = self._driver.list_prefixes(paths.repository(name), after=_BEFORE_OWN, limit=PAGE)
        return self._has_one(_PARTS, name, below, complete=len(below) < PAGE)

    def _walk(
        self,
        marks: tuple[_Mark, ...],
        after: str = "",
        limit: float = math.inf,
        shown: Callable[[str], bool] = lambda _: True,
        *,
        inside: str = "",
    ) -> Iterator[str]:
        """Yield the names after `after` that have one of `marks` and are to be `shown`, at most `limit`.

        Given `inside`, they are those that are nested in that name, and `after` is not given.

        A name costs a listing, which tells of its marks and of what is nested in it, and a look below a mark; the
        last one only the latter.
        """
        levels = [self._level_below(inside)] if inside else [*self._levels(after)]
        while levels:
            parent, siblings = levels[-1]
            for component in siblings:
                name = parent + component
                path = paths.repository(name)
                wanted = is_repository(name) and shown(name)
                last = wanted and limit == 1
                if last and self._has_one(marks, name, (), complete=False):
                    yield name
                    return
                below = self._driver.list_prefixes(path, limit=PAGE)
                complete = len(below) < PAGE
                if wanted and not last and self._has_one(marks, name, below, complete=complete):
                    limit -= 1
                    yield name
                # They are sorted, so the first and the last show whether all are the registry's own (``_layers``).
                if below and not (complete and below[0] >= "_" and below[-1] < "`"):
                    nested = f"{name}/"
                    levels.append((nested, names_from(self._driver, path, is_component_below(nested), below)))
                    break
            else:
                levels.pop()

    def _levels(self, after: str) -> Iterator[tuple[str, Iterator[str]]]:
        """Yield the levels of the tree that lead to `after`, each with the names in it that are still to come."""
        parent, path = "", paths.REPOSITORIES
        for component in after.split("/") if after else ():
            is_component = is_component_below(parent)
            yield parent, names_below(self._driver, path, is_component, after=component)
            if not is_component(component):
                return  # nothing lies below it
            parent += f"{component}/"
            path = paths.below(path, component)
        yield parent, names_below(self._driver, path, is_component_below(parent))

    def _level_below(self, name: str) -> tuple[str, Iterator[str]]:
        """Return the level of the tree that lies directly below `name`."""
        parent = f"{name}/"
        return parent, names_below(self._driver, paths.repository(name), is_component_below(parent))

    def _has_one(self, marks: tuple[_Mark, ...], name: str, below: Sequence[str], *, complete: bool) -> bool:
        """Tell whether the repository `name` has one of `marks`; what lies in it is `below`, if `complete`."""
        for part, path_of, is_name, likely in marks:
            listed = part in below
            if (listed or not complete) and self._driver.holds(
                path_of(name), likely=likely if listed else "", is_name=is_name
            ):
                return True
        return False


def _warn(_: str, error: DriverError) -> None:
    _log.warning("left out of the catalog: %s", error)


class _ReadablePart(DelegatingDriver):
    """A driver in whose listings nothing lies where they fail by `fault`, but for the top of the tree."""

    def __init__(
        self, inner: StorageDriver, fault: type[DriverError], left_out: Callable[[str, DriverError], None]
    ) -> None:
        super().__init__(inner)
        self._fault = fault
        self._left_out = left_out

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        try:
            return self._inner.list_prefixes(path, after=after, limit=limit)
        except self._fault as error:
            if path == paths.REPOSITORIES:
                raise
            self._left_out(path, error)
            return []

    def holds(self, path: str, *, likely: str = "", is_name: Callable[[str], object] | None = None) -> bool:
        try:
            return self._inner.holds(path, likely=likely, is_name=is_name)
        except self._fault as error:
            self._left_out(path, error)
            return False
