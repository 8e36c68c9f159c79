"""Finds what cached repositories hold, how large it is, and which of it was pushed; in tables on disk.

Pushed are tags of which nothing is known upstream, and, where others may push, manifests that were not fetched. Tags
that a Go registry has fetched with the section ``proxy`` are known by its list of what it is to forget.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Self

from registry.config.cached import keeps
from registry.oci.digest import DEFAULT_ALGORITHM, Digest
from registry.proxy.eviction.scheduler import scheduled
from registry.proxy.eviction.tables import SIZES, open_tables
from registry.proxy.freshness import STATE_LIMIT_BYTES, TagState
from registry.storage import paths
from registry.storage.links import read_links
from registry.storage.parts import Kind, known_at, leaf_in, part_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import Found, StorageDriver
    from registry.config.cached import Cached

_AT_ONCE: Final = 500
_LINK_SIZE: Final = len(str(Digest.of(b"")))
_READ_TAG: Final = """
    UPDATE tags SET target = ?, pushed = ?, used = max(used, ?) WHERE repository = ? AND tag = ?
"""
_FOUND: Final = {Kind.LAYER, Kind.REVISION, Kind.TAG}


class Usage:
    """What the `cached` repositories of `driver` hold; a context manager, because it has a file of its own.

    find() comes first. With `heeds_keep`, what ``cache.keep`` names counts as kept.
    """

    def __init__(self, driver: StorageDriver, cached: Cached, *, heeds_keep: bool = True) -> None:
        self._driver = driver
        self._cached = cached
        self._heeds_keep = heeds_keep
        self.connection = open_tables()
        self._last: tuple[str, int | None] = ("", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def find(self, progress: Callable[[str], object] = lambda _: None) -> None:
        """Find all links and tags of cached repositories; `progress` is told what is looked at.

        Raises:
            DriverError: the storage failed.
        """
        unread: list[tuple[int, Kind, Digest, Found]] = []
        for root in self._roots():
            for found in self._driver.walk(root, leaf_in=leaf_in):
                self._note(found, unread, progress)
                if len(unread) >= _AT_ONCE:
                    self._read_links(unread)
        self._read_links(unread)
        if any(each.classic for each in self._cached.upstreams):
            keys = ((each,) for each in scheduled(self._driver))
            self.connection.executemany("INSERT OR IGNORE INTO scheduled VALUES (?)", keys)
        self._read_tags()
        for found in self._driver.walk(paths.BLOBS, leaf_in=leaf_in):
            part = part_at(found.path)
            if part and part.digest:
                row = (str(part.digest), found.size, str(part.digest))
                query = "INSERT OR IGNORE INTO blobs SELECT ?, ? WHERE EXISTS (SELECT 1 FROM links WHERE target = ?)"
                self.connection.execute(query, row)
        self.connection.executescript(SIZES)

    def size_of(self, upstream: str) -> int:
        """Return how many bytes are held of an upstream, but for what is chosen."""
        query = "SELECT coalesce(sum(size), 0) FROM holding WHERE upstream = ?"
        size: int = self.connection.execute(query, (upstream,)).fetchone()[0]
        return size

    def last_uses(self, upstream: str, most: int) -> Iterator[tuple[str, Kind, str, float]]:
        """Yield the `most` links of an upstream that were used longest ago and stay: repository, kind, digest, when.

        Those of repositories to which anything was pushed are left out.
        """
        query = """
            SELECT name, kind, digest, used FROM links JOIN repositories ON repositories.id = repository
            WHERE upstream = ? AND NOT chosen
            AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.repository = repositories.id AND pushed)
            ORDER BY used LIMIT ?
        """
        for name, kind, digest, used in self.connection.execute(query, (upstream, most)):
            yield name, Kind(kind), digest, used

    def knows_manifest(self, repository: str, digest: Digest) -> bool:
        """Tell whether a manifest of a repository was found."""
        query = """
            SELECT 1 FROM links JOIN repositories ON repositories.id = repository
            WHERE name = ? AND kind = 'revision' AND digest = ?
        """
        return self.connection.execute(query, (repository, str(digest))).fetchone() is not None

    def _roots(self) -> list[str]:
        """Return the prefixes of the tree below which cached repositories lie, none within another."""
        prefixes = {
            paths.repository(each.prefix) if each.prefix else paths.REPOSITORIES for each in self._cached.upstreams
        }
        return [each for each in sorted(prefixes) if not any(each.startswith(f"{other}/") for other in prefixes)]

    def _note(
        self, found: Found, unread: list[tuple[int, Kind, Digest, Found]], progress: Callable[[str], object]
    ) -> None:
        part = part_at(found.path)
        if part is None:
            known = known_at(found.path)
            if known and (number := self._number(known.repository)):
                if known.digest:
                    row: tuple[object, ...] = number, str(known.digest)
                    self.connection.execute("INSERT OR IGNORE INTO fetched VALUES (?, ?)", row)
                else:
                    row = number, known.tag, found.modified
                    self.connection.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", row)
            return
        number = self._number(part.repository) if part.kind in _FOUND else None
        if not number:
            return
        progress(part.repository)
        if part.digest is None:
            row = number, part.tag, found.modified
            self.connection.execute("INSERT OR REPLACE INTO tags (repository, tag, used) VALUES (?, ?, ?)", row)
        elif part.digest.algorithm == DEFAULT_ALGORITHM and found.size == _LINK_SIZE:
            # Both registries write nothing else below sha256.
            self._add_link(number, part.kind, part.digest, part.digest, found)
        else:
            unread.append((number, part.kind, part.digest, found))

    def _number(self, name: str) -> int | None:
        """Return the number of a repository; None if it is not cached."""
        if self._last[0] != name:
            upstream = self._cached.upstream_of(name)
            number = None
            if upstream:
                row = (
                    name,
                    upstream.name,
                    upstream.classic,
                    upstream.push == "allow",
                    self._heeds_keep and keeps(upstream, name),
                )
                columns = "name, upstream, classic, mixed, kept"
                self.connection.execute(f"INSERT OR IGNORE INTO repositories ({columns}) VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608 - ours
                number = self.connection.execute("SELECT id FROM repositories WHERE name = ?", (name,)).fetchone()[0]
            self._last = name, number
        return self._last[1]

    def _add_link(self, number: int, kind: Kind, digest: Digest, target: Digest, found: Found) -> None:
        stat = (found.size, found.modified, found.version, found.modified)
        columns = "repository, kind, digest, target, size, modified, version, used"
        self.connection.execute(
            f"INSERT OR REPLACE INTO links ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - ours
            (number, str(kind), str(digest), str(target), *stat),
        )

    def _read_links(self, unread: list[tuple[int, Kind, Digest, Found]]) -> None:
        targets = read_links(self._driver, [found.path for *_, found in unread])
        for (number, kind, digest, found), target in zip(unread, targets, strict=True):
            if target:
                self._add_link(number, kind, digest, target, found)
            else:
                # What it led to is not known. Where all is fetched that does not matter.
                self.connection.execute("UPDATE repositories SET kept = 1 WHERE id = ? AND mixed", (number,))
        unread.clear()

    def _read_tags(self) -> None:
        """Note where tags point, and which of them were pushed."""
        # In the order of the table itself, whose rows are changed meanwhile.
        query = """
            SELECT tags.repository, name, tags.tag, known.modified
            FROM tags JOIN repositories ON repositories.id = repository LEFT JOIN known USING (repository, tag)
            ORDER BY tags.repository, tags.tag
        """
        for batch in iter(partial(self.connection.execute(query).fetchmany, _AT_ONCE), []):
            named = [(name, tag) for _, name, tag, _ in batch]
            targets = read_links(self._driver, [paths.tag_link(*each) for each in named])
            states = self._driver.get_each([paths.proxied_tag(*each) for each in named], limit=STATE_LIMIT_BYTES)
            for (number, name, tag, known), target, state in zip(batch, targets, states, strict=True):
                pushed = not (was_fetched(state, target) or self._is_scheduled(name, target))
                row = (target and str(target), pushed, known or 0.0, number, tag)
                self.connection.execute(_READ_TAG, row)
                if pushed and not target:
                    self.connection.execute("UPDATE repositories SET kept = 1 WHERE id = ?", (number,))

    def _is_scheduled(self, name: str, target: Digest | None) -> bool:
        """Tell whether a manifest is on the list of what a Go registry has fetched; or gone, as it leaves tags."""
        query = """
            SELECT EXISTS (SELECT 1 FROM scheduled WHERE key = :name || '@' || :digest) OR classic AND NOT EXISTS (
                SELECT 1 FROM links WHERE repository = repositories.id AND kind = 'revision' AND digest = :digest
            ) FROM repositories WHERE name = :name
        """
        row = {"name": name, "digest": str(target) if target else ""}
        return bool(self.connection.execute(query, row).fetchone()[0])


def was_fetched(content: bytes | None, target: Digest | None) -> bool:
    """Tell whether a tag that points to `target`, None if that is torn, does so because an upstream has said so.

    `content` is that of what is known of the tag upstream; None if nothing is.
    """
    state = TagState.decode(content) if content is not None else None
    return state is not None and (state.covers(target) if target else not state.pushed)
