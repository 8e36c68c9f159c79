"""What is to go, written down before any of it goes, so that a person can be asked and a dry run can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from registry.foundation.temporary_database import temporary_database
from registry.inventory.source import NotThereError, tags_of
from registry.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.inventory.patterns import Pattern
    from registry.inventory.source import Source

_SHOWN: Final = 10
# What goes with its whole repository is not a target of its own.
_SCHEMA: Final = """
    CREATE TABLE found (number INTEGER PRIMARY KEY, repository TEXT, tag TEXT, digest TEXT, tags INTEGER, shown TEXT,
        UNIQUE (repository, tag, digest));
    CREATE VIEW targets AS SELECT * FROM found AS one WHERE (tag = '' AND digest = '') OR NOT EXISTS
        (SELECT 1 FROM found WHERE repository = one.repository AND tag = '' AND digest = '');
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A tag, a manifest with the tags that lead to it, or a whole repository; `tags` counts those that go.

    `shown` are the first of these.
    """

    repository: str
    tag: str = ""
    digest: str = ""
    tags: int = 0
    shown: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.tag:
            return f"{self.repository}:{self.tag}"
        if not self.digest:
            return f"{self.repository}, the whole repository with {self.tags} tag{'' if self.tags == 1 else 's'}"
        if not self.tags:
            return f"{self.repository}@{self.digest}, which has no tag"
        more = f" and {self.tags - len(self.shown)} more" if self.tags > len(self.shown) else ""
        return f"{self.repository}@{self.digest} with its tags {', '.join(self.shown)}{more}"

    def remove_from(self, source: Source) -> None:
        """Delete it.

        Raises:
            InventoryError: it is not there any more, or cannot be deleted.
        """
        if self.tag:
            source.remove_tag(self.repository, self.tag)
        elif self.digest:
            source.remove_manifest(self.repository, Digest.parse(self.digest))
        else:
            source.remove_repository(self.repository)


class Removal:
    """The targets, each once, on disk: a context manager, because it has a file of its own."""

    def __init__(self) -> None:
        self._connection = temporary_database(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, source: Source, pattern: Pattern, *, with_manifests: bool) -> None:
        """Add what `pattern` means; given `with_manifests`, the manifests of tags and not the tags alone.

        Raises:
            NotThereError: that is nothing.
        """
        if pattern.digest is not None:
            self._add_manifest(source, pattern)
        elif pattern.is_whole:
            for repository in pattern.keeping(source):
                self._add(Target(repository, tags=sum(1 for _ in source.tags(repository))))
        else:
            for repository, tag in pattern.tags(source):
                digest = source.resolve(repository, tag) if with_manifests else None
                self._add(_manifest(source, repository, digest) if digest else Target(repository, tag))

    def _add_manifest(self, source: Source, pattern: Pattern) -> None:
        found = False
        for repository in pattern.repositories(source):
            if pattern.digest and source.has(repository, pattern.digest):
                found = True
                self._add(_manifest(source, repository, pattern.digest))
        if not found:
            raise NotThereError(f"there is no manifest {pattern.text}")

    def _add(self, target: Target) -> None:
        row = (target.repository, target.tag, target.digest, target.tags, " ".join(target.shown))
        self._connection.execute(
            "INSERT OR IGNORE INTO found (repository, tag, digest, tags, shown) VALUES (?, ?, ?, ?, ?)", row
        )

    def targets(self, limit: int = -1) -> Iterator[Target]:
        """Yield the first `limit` targets, or all."""
        query = "SELECT repository, tag, digest, tags, shown FROM targets ORDER BY number LIMIT ?"
        for repository, tag, digest, tags, shown in self._connection.execute(query, (limit,)):
            yield Target(repository, tag, digest, tags, tuple(shown.split()))

    def repositories(self) -> Iterator[str]:
        """Yield the repositories that are to go as a whole."""
        yield from (target.repository for target in self.targets() if not target.tag and not target.digest)

    def count(self) -> int:
        """Return how many targets there are."""
        found: int = self._connection.execute("SELECT count(*) FROM targets").fetchone()[0]
        return found

    def is_small(self) -> bool:
        """Tell whether one tag goes and nothing more, or one manifest that has no more than one tag."""
        if self.count() != 1:
            return False
        (target,) = self.targets()
        return bool(target.tag or target.digest) and target.tags <= 1


def other_tags(source: Source, repository: str, tag: str) -> str:
    """Return what goes with the manifest that `tag` leads to, in words."""
    digest = source.resolve(repository, tag)
    if digest is None:
        return ""
    count, shown = _first(source, repository, digest, lambda each: each != tag)
    if not count:
        return f"{digest}, which has no other tag"
    more = f" and {count - len(shown)} more" if count > len(shown) else ""
    return f"{digest}, which also has the tags {', '.join(shown)}{more}"


def _manifest(source: Source, repository: str, digest: Digest) -> Target:
    count, shown = _first(source, repository, digest, lambda _: True)
    return Target(repository, digest=str(digest), tags=count, shown=shown)


def _first(
    source: Source, repository: str, digest: Digest, wanted: Callable[[str], bool]
) -> tuple[int, tuple[str, ...]]:
    """Return how many of the tags of `digest` are wanted, and the first of them."""
    count, shown = 0, []
    for tag in filter(wanted, tags_of(source, repository, digest)):
        count += 1
        if count <= _SHOWN:
            shown.append(tag)
    return count, tuple(shown)
