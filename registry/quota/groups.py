"""Which repositories share a quota: each belongs to the narrowest pattern that matches it, and to no other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from registry.config.cached import NOTHING
from registry.foundation.globs import Glob
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.config.cached import Cached
    from registry.config.quotas import Quota

_REMEMBERED: Final = 1024
"""Repositories whose groups are remembered: each push asks, and a count asks for each link."""


@dataclass(frozen=True, slots=True)
class Group:
    """The repositories that belong to `pattern`: `limit` bytes at most; from `warn` percent of it on the log tells.

    `label` is what the storage calls the group.
    """

    pattern: str
    limit: int
    warn: int
    label: str

    def percent(self, used: int) -> int:
        """Return how much of the limit `used` is, rounded down."""
        return 100 * used // self.limit


class Groups:
    """The groups of all quotas, in the order of the configuration.

    What is only `cached` belongs to none: nobody has pushed it, and ``cache.size`` bounds it.
    """

    def __init__(self, quotas: Sequence[Quota], cached: Cached = NOTHING) -> None:
        self._cached = cached
        self._all = [Group(each.repositories, each.limit, each.warn, paths.label(each.repositories)) for each in quotas]
        globs = [(Glob.parse(group.pattern), group) for group in self._all]
        self._of = lru_cache(maxsize=_REMEMBERED)(self._find)
        self._narrowest_first = sorted(globs, key=lambda each: (each[0].length, each[0].text), reverse=True)
        # Where a pattern is added, repositories may leave a group that has not changed.
        excepted = (f"-{each.prefix}/**" for each in cached.upstreams if each.push == "deny")
        patterns = "\n".join([*(glob.text for glob, _ in self._narrowest_first), *sorted(excepted)])
        self.division = hashlib.sha256(patterns.encode()).hexdigest()

    def __iter__(self) -> Iterator[Group]:
        return iter(self._all)

    def of(self, repository: str) -> Group | None:
        """Return the group of a repository; None if it has no quota."""
        return self._of(repository)

    def _find(self, repository: str) -> Group | None:
        if self._cached.is_only_cached(repository):
            return None
        for glob, group in self._narrowest_first:
            if glob.matches(repository):
                return group
        return None
