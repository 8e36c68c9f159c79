"""Repositories as a tree: what lies right below a name, of what a visitor may pull."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from drivers.base import NotPermittedError
from registry.browsing.shapes import Child, Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.ports import Repositories

_SECONDS: Final = 2.0
"""How long it looks for more that is shown, where very much is hidden."""
_MOST_NESTED: Final = 200
"""Repositories nested in one name that are looked at to find one that is shown."""


def level(
    repositories: Repositories, path: str, *, shows: Callable[[str], bool], after: str = "", limit: int = 100
) -> Level:
    """Return at most `limit` names right below `path`, "" for the root, that come after `after`, one of them.

    A name is there if it is that of a repository which `shows` takes, or if one nested in it is. The work is
    bounded: it ends after some seconds, `cut` if nothing to be shown was found by then, and a name is passed over in
    which the first 200 repositories are not to be shown. What a level continues with, `following`, is always a name
    that it shows: other names are not told to anybody.
    """
    catalog = repositories.catalog
    look = _Look(repositories, shows)
    children: list[Child] = []
    last, until = after, time.monotonic() + _SECONDS
    while True:
        names = catalog.children(path, after=last, limit=limit)
        for child in repositories.each(look.at, names):
            if child and len(children) == limit:
                return Level(path, tuple(children), children[-1].name)
            children += [child] if child else []
        if len(names) < limit:
            return Level(path, tuple(children), None)
        if time.monotonic() > until:
            return Level(path, tuple(children), children[-1].name if children else None, cut=not children)
        last = names[-1]


@dataclass(frozen=True, slots=True)
class _Look:
    """Looks at names of the tree."""

    repositories: Repositories
    shows: Callable[[str], bool]

    def at(self, name: str) -> Child | None:
        """Return what there is to be shown of `name`, None if nothing."""
        catalog = self.repositories.catalog
        try:
            is_repository = self.shows(name) and catalog.has(name)
            has_nested = any(map(self.shows, islice(catalog.names(below=name), _MOST_NESTED)))
        except NotPermittedError:
            return None  # a directory that another user has made in the tree hides itself only
        return Child(name, is_repository, has_nested) if is_repository or has_nested else None
