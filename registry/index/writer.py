"""Writes the index: what a scan has found, and what has changed since.

A scan has a number, its generation. What is found or changed meanwhile gets it, so what has another one at the end of
the scan was not there. What the journal tells of during a scan is looked at in the storage and noted as touched: the
scan may have listed it before, so it leaves that alone.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from registry.index import ordering, schema, statements
from registry.oci.digest import Digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from registry.browsing.images import Inside


class Place(NamedTuple):
    """Where in the journal the index stands; `through_ns` as in registry.journal.reader.Page, 0 if nowhere."""

    position: str
    through_ns: int


class UnreadTag(NamedTuple):
    """A tag whose link is to be read."""

    repository: str
    name: str


class SuspectTag(NamedTuple):
    """A tag of whose manifest is to be asked whether the repository has it."""

    repository: str
    name: str
    digest: Digest


class UnreadManifest(NamedTuple):
    """A manifest of which nothing is known, and a repository that has it."""

    repository: str
    digest: Digest


class Writer:
    """The one that writes to the index; used by one thread. Changes are made in the block of transaction().

    Every method may raise sqlite3.Error.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._generation: int = self._state("generation")
        self._is_scanning = False
        self._last = ("", 0)

    @classmethod
    def open(cls, path: Path, identity: str) -> Self:
        """Return the writer of the index at `path`.

        Raises:
            NotAnIndexError: there is none that is whole.
        """
        return cls(schema.open_to_write(path, identity))

    @classmethod
    def create(cls, path: Path, identity: str) -> Self:
        """Return the writer of a new index in the place of what is at `path`.

        Raises:
            OSError: it cannot be made.
        """
        return cls(schema.create(path, identity))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def check(self) -> None:
        """Return if the index is not damaged; else raise NotAnIndexError. It is read as a whole."""
        schema.check(self._connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Let what is done in the block be seen as a whole, or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._last = ("", 0)
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @property
    def place(self) -> Place:
        """Where in the journal the index stands."""
        return Place(self._state("position") or "", self._state("through_ns") or 0)

    def move_to(self, place: Place) -> None:
        """Note where in the journal the index stands with what the same transaction does."""
        self._note(position=place.position, through_ns=place.through_ns)

    @property
    def scanned(self) -> float | None:
        """When the last scan that has come to its end had begun; None if none has."""
        scanned: float | None = self._state("scanned")
        return scanned

    @property
    def is_lost(self) -> bool:
        """Whether something may have changed since the last scan of which the index was not told."""
        return bool(self._state("lost"))

    def note_loss(self) -> None:
        """Note that it is so, until a scan that begins later has come to its end."""
        self._note(lost=True)

    def counts(self) -> tuple[int, int]:
        """Return how many repositories and tags there are."""
        query = "SELECT (SELECT count(*) FROM repositories), (SELECT count(*) FROM tags)"
        repositories, tags = self._connection.execute(query).fetchone()
        return repositories, tags

    def note_counts(self) -> None:
        """Note what there is, and of how much nothing is known yet, for who asks how far the index is."""
        repositories, tags = self.counts()
        query = "SELECT (SELECT count(*) FROM tags WHERE unread) + (SELECT count(*) FROM manifests WHERE unread)"
        (unread,) = self._connection.execute(query).fetchone()
        self._note(repositories=repositories, tags=tags, unread=unread)

    def begin_scan(self) -> None:
        """Begin a scan; one that is not at its end is given up."""
        self._generation += 1
        self._is_scanning = True
        self._connection.execute("DELETE FROM touched")
        self._connection.execute("DELETE FROM revisions")
        self._connection.execute("UPDATE manifests SET unread = 1 WHERE NOT complete")
        self._note(generation=self._generation, scanning=time.time())

    def found_manifest(self, repository: str, digest: Digest) -> None:
        """Note a manifest, and so a repository, that the scan has found."""
        if not self._is_touched(repository, ""):
            number = self._repository(repository)
            self._connection.execute("INSERT OR IGNORE INTO revisions VALUES (?, ?)", (number, str(digest)))

    def found_tag(self, repository: str, name: str, *, pushed: float, version: str) -> None:
        """Note a tag that the scan has found; its link is read later, if it has another version than before."""
        if self._is_touched(repository, name) or self._is_touched(repository, ""):
            return
        number = self._repository(repository)
        values = (number, name, ordering.of_tag(name), pushed, version, self._generation)
        self._connection.execute(statements.FOUND_TAG, values)

    def end_scan(self) -> None:
        """Forget what the scan has not found; suspect the tags of whose manifests it has found none."""
        self._connection.execute("DELETE FROM tags WHERE generation < ?", (self._generation,))
        self._connection.execute("DELETE FROM repositories WHERE generation < ?", (self._generation,))
        self._connection.execute("DELETE FROM touched")
        self._connection.execute(statements.MISSED)
        for each in statements.UNUSED:
            self._connection.execute(each)
        self._note(scanned=self._state("scanning"), lost=False)
        self._is_scanning = False

    def unread_tags(self, limit: int) -> list[UnreadTag]:
        """Return some of the tags whose links are to be read."""
        query = """
            SELECT repositories.name, tags.name FROM tags JOIN repositories ON repository = repositories.id
            WHERE unread LIMIT ?
        """
        return [UnreadTag(*row) for row in self._connection.execute(query, (limit,))]

    def read_tag(self, tag: UnreadTag, digest: Digest | None) -> None:
        """Note what the link of a tag holds that was to be read; None if it leads nowhere."""
        self._connection.execute(
            """
            UPDATE tags SET unread = 0, manifest = ?, suspect = ? IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM revisions WHERE revisions.repository = tags.repository AND digest = ?
            ) WHERE name = ? AND repository = (SELECT id FROM repositories WHERE name = ?)
            """,
            (self._manifest(digest) if digest else None, *[digest and str(digest)] * 2, tag.name, tag.repository),
        )

    def suspect_tags(self, limit: int) -> list[SuspectTag]:
        """Return some of the tags of whose manifests is to be asked whether their repositories have them."""
        query = """
            SELECT repositories.name, tags.name, digest FROM tags
            JOIN repositories ON repository = repositories.id JOIN manifests ON manifest = manifests.id
            WHERE suspect LIMIT ?
        """
        rows = self._connection.execute(query, (limit,))
        return [SuspectTag(repository, name, Digest.parse(digest)) for repository, name, digest in rows]

    def asked(self, tag: SuspectTag, *, is_there: bool) -> None:
        """Note whether the repository of a suspect tag has its manifest."""
        self._connection.execute(
            """
            UPDATE tags SET suspect = 0, dangling = ?
            WHERE name = ? AND repository = (SELECT id FROM repositories WHERE name = ?)
            """,
            (not is_there, tag.name, tag.repository),
        )
        if is_there:
            self._read_again(self._manifest(tag.digest))

    def looked_up(self, repository: str, name: str, digest: Digest | None, pushed: float | None) -> None:
        """Note where a tag leads that the journal has named; None if it is not there."""
        self._touch(repository, name)
        if digest is None:
            self._connection.execute(
                "DELETE FROM tags WHERE name = ? AND repository = (SELECT id FROM repositories WHERE name = ?)",
                (name, repository),
            )
        else:
            manifest = self._manifest(digest)
            self._read_again(manifest)
            number = self._repository(repository)
            values = (number, name, ordering.of_tag(name), manifest, pushed, self._generation)
            self._connection.execute(statements.LOOKED_UP_TAG, values)

    def pushed_to(self, repository: str) -> None:
        """Note a repository that has something, as the journal says; it may be a manifest that a tag was without."""
        number = self._repository(repository)
        self._connection.execute("UPDATE tags SET suspect = 1 WHERE repository = ? AND dangling", (number,))

    def gone(self, repository: str) -> None:
        """Forget a repository that is not there any more."""
        self._touch(repository, "")
        self._connection.execute(
            "DELETE FROM tags WHERE repository = (SELECT id FROM repositories WHERE name = ?)", (repository,)
        )
        self._connection.execute("DELETE FROM repositories WHERE name = ?", (repository,))
        self._last = ("", 0)

    def tags_of(self, repository: str) -> list[str]:
        """Return the tags that the index has of a repository."""
        query = "SELECT tags.name FROM tags JOIN repositories ON repository = id WHERE repositories.name = ?"
        return [name for (name,) in self._connection.execute(query, (repository,))]

    def unread_manifests(self, limit: int) -> list[UnreadManifest]:
        """Return some of the manifests of which nothing is known, the newest first."""
        query = """
            SELECT (
                SELECT repositories.name FROM tags JOIN repositories ON repository = repositories.id
                WHERE manifest = manifests.id AND NOT dangling LIMIT 1
            ), digest FROM manifests WHERE unread ORDER BY manifests.id DESC LIMIT ?
        """
        rows = self._connection.execute(query, (limit,))
        return [UnreadManifest(name or "", Digest.parse(digest)) for name, digest in rows]

    def learned(self, digest: Digest, inside: Inside | None) -> None:
        """Note what is in a manifest; None if it is not there. What lacks anything is looked at again after a scan."""
        number = self._manifest(digest)
        self._connection.execute(
            "UPDATE repositories SET stale = 1 WHERE id IN (SELECT repository FROM tags WHERE manifest = ?)", (number,)
        )
        if inside is None:
            self._connection.execute("UPDATE manifests SET unread = 0, complete = 0 WHERE id = ?", (number,))
            return
        image = inside.image
        self._connection.execute(
            "UPDATE manifests SET unread = 0, complete = ?, media_type = ?, size = ?, platforms = ? WHERE id = ?",
            (inside.complete, image.media_type, image.size, json.dumps(image.platforms), number),
        )
        if image.size is None:  # it was not read to its end
            return
        self._connection.executemany(
            "INSERT OR IGNORE INTO blobs (digest, size) VALUES (?, ?)",
            [(str(blob), size) for blob, size in inside.contents],
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO contents SELECT ?, id FROM blobs WHERE digest = ?",
            [(number, str(blob)) for blob, _ in inside.contents],
        )

    def sum_up(self, limit: int) -> int:
        """Sum up what some repositories have whose tags have changed; return how many they were.

        One has no size as long as that of any of its images is not known, those apart that are not there.
        """
        return self._connection.execute(statements.SUMS, (limit,)).rowcount

    def _repository(self, name: str) -> int:
        """Return the number of a repository, which is there. Those of one lie together, so the last is remembered."""
        if self._last[0] != name:
            values = (name, ordering.of_repository(name), self._generation)
            self._last = (name, self._connection.execute(statements.REPOSITORY, values).fetchone()[0])
        return self._last[1]

    def _manifest(self, digest: Digest) -> int:
        self._connection.execute("INSERT OR IGNORE INTO manifests (digest) VALUES (?)", (str(digest),))
        number: int = self._connection.execute("SELECT id FROM manifests WHERE digest = ?", (str(digest),)).fetchone()[
            0
        ]
        return number

    def _read_again(self, manifest: int) -> None:
        """Let a manifest be read that was not there before, or not all of it, and may be now."""
        self._connection.execute("UPDATE manifests SET unread = 1 WHERE id = ? AND NOT complete", (manifest,))

    def _touch(self, repository: str, tag: str) -> None:
        if self._is_scanning:
            self._connection.execute("INSERT OR IGNORE INTO touched VALUES (?, ?)", (repository, tag))

    def _is_touched(self, repository: str, tag: str) -> bool:
        query = "SELECT 1 FROM touched WHERE repository = ? AND tag = ?"
        return self._connection.execute(query, (repository, tag)).fetchone() is not None

    def _state(self, key: str) -> Any:
        row = self._connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def _note(self, **state: object) -> None:
        self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", state.items())
