"""Which tags of a repository stay, and why.

The tags lie in tables on disk, so that memory does not grow with their number. A tag that is not read is not judged
by what it points to: digests are read where a rule asks for pulls, and of tags that go.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Final

from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError
from registry.retention import restored
from registry.retention.history import HOUR_SECONDS
from registry.retention.signatures import subject_of
from registry.retention.versions import precedence
from registry.storage import enumeration, paths
from registry.storage.names import is_tag
from registry.storage.parts import leaf_in

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from drivers.base import StorageDriver
    from registry.retention.history import History
    from registry.retention.rules import Entry, Rule

TABLES: Final = f"""{restored.TABLES}
CREATE TABLE tag (
    name TEXT PRIMARY KEY, pushed REAL NOT NULL, written REAL NOT NULL, version TEXT, subject TEXT, digest TEXT,
    because TEXT
) WITHOUT ROWID;
CREATE TABLE candidate (name TEXT PRIMARY KEY, pushed REAL NOT NULL, version TEXT) WITHOUT ROWID;
CREATE TABLE revision (digest TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_PULLED: Final = (
    "EXISTS (SELECT 1 FROM pull"
    " WHERE repository = :repository AND reference IN (tag.name, tag.digest) AND hour >= :hour)"
)
_AT_ONCE: Final = 1000
_LINK_BYTES: Final = 512
_SIGNATURE_SECONDS: Final = 3600.0
"""How long a signature stays whose manifest is not there: programs that copy a repository may push it first."""


class Kind(StrEnum):
    """What is counted apart, of the tags of a repository."""

    TAGS = "tags"
    SIGNATURES = "signatures"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A tag that was `pushed` then, in seconds since the epoch, and stays for what `because` says, or goes: "".

    Its link was `written` as it was pushed, or given back later on. `digest` is where it points, "" where that was not
    read.
    """

    tag: str
    pushed: float
    written: float
    digest: str
    because: str

    @property
    def kind(self) -> Kind:
        """Whether it is a signature, or a tag like others."""
        return Kind.TAGS if subject_of(self.tag) is None else Kind.SIGNATURES


class Judge:
    """Judges the tags of one repository after the other, `now` being the time in seconds since the epoch.

    `connection` is to a database with TABLES and that of `history`.
    """

    def __init__(self, driver: StorageDriver, connection: sqlite3.Connection, history: History, now: float) -> None:
        self._driver = driver
        self._connection = connection
        self._history = history
        self._now = now

    def judge(self, repository: str, rule: Rule) -> None:
        """Judge the tags of `repository` by a rule that has entries; what is told below is told of them then.

        Raises:
            DriverError: the storage failed.
        """
        self._connection.execute("DELETE FROM tag")
        self._insert(repository)
        self._date_restored(repository)
        self._keep_signatures(repository)
        if any(entry.keep.pulledwithin_seconds is not None for entry in rule.entries):
            self._read_digests(repository, "digest IS NULL")
        for entry in rule.entries:
            self._keep(repository, entry)
        self._read_digests(repository, "because IS NULL AND digest IS NULL")
        self._connection.execute("UPDATE tag SET because = 'it leads nowhere' WHERE because IS NULL AND digest = ''")

    def verdicts(self) -> Iterator[Verdict]:
        """Yield the verdict on each tag, in byte order."""
        return self._verdicts("")

    def going(self) -> Iterator[Verdict]:
        """Yield the verdict on each tag that goes, in byte order."""
        return self._verdicts("AND because IS NULL")

    def counts(self, kind: Kind) -> tuple[int, int]:
        """Return how many tags of a `kind` there are, and how many of them go."""
        query = "SELECT count(*), count(*) FILTER (WHERE because IS NULL) FROM tag WHERE (subject IS NULL) = ?"
        total, going = self._connection.execute(query, (kind is Kind.TAGS,)).fetchone()
        return total, going

    def _verdicts(self, where: str) -> Iterator[Verdict]:
        # Whoever is given them may have the tables changed meanwhile, so that no query is left open.
        after = ""
        columns = "name, pushed, written, digest, because"
        query = f"SELECT {columns} FROM tag WHERE name > ? {where} ORDER BY name LIMIT {_AT_ONCE}"  # noqa: S608  ours
        while rows := self._connection.execute(query, (after,)).fetchall():
            for name, pushed, written, digest, because in rows:
                yield Verdict(name, pushed, written, digest or "", because or "")
            after = rows[-1][0]

    def _insert(self, repository: str) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO tag (name, pushed, written, version, subject) VALUES (?, ?, ?, ?, ?)",
            (
                (tag, written, written, precedence(tag), subject_of(tag))
                for tag, written in _tags(self._driver, repository)
            ),
        )

    def _date_restored(self, repository: str) -> None:
        """Take for when a tag was pushed that has come back what is noted of that, if it was not pushed since."""
        notes = "SELECT tag FROM restored WHERE repository = :repository"
        if not self._connection.execute(notes, {"repository": repository}).fetchone():
            return
        self._read_digests(repository, f"digest IS NULL AND name IN ({notes})")
        # A listing may tell fractions of a second where a look at one object, which was noted, does not.
        self._connection.execute(
            "UPDATE tag SET pushed = coalesce((SELECT restored.pushed FROM restored"
            " WHERE restored.repository = ? AND restored.tag = tag.name AND restored.digest = tag.digest"
            " AND restored.written IN (tag.written, CAST(tag.written AS INTEGER))), pushed) WHERE digest IS NOT NULL",
            (repository,),
        )

    def _keep_signatures(self, repository: str) -> None:
        """Keep the signatures of manifests that are there or may still come, and those of another repository's."""
        if not self._connection.execute("SELECT 1 FROM tag WHERE subject IS NOT NULL LIMIT 1").fetchone():
            return
        self._connection.execute("DELETE FROM revision")
        self._connection.executemany(
            "INSERT OR IGNORE INTO revision VALUES (?)",
            ((str(digest),) for digest in enumeration.revisions(self._driver, repository)),
        )
        # No digit of a digest sorts behind f.
        self._connection.execute(
            "UPDATE tag SET because = 'the manifest that it is about is there' WHERE subject IS NOT NULL AND EXISTS"
            " (SELECT 1 FROM revision WHERE revision.digest >= tag.subject AND revision.digest < tag.subject || 'g')"
        )
        self._connection.execute(
            "UPDATE tag SET because = 'it is young, and the manifest that it is about may come'"
            " WHERE subject IS NOT NULL AND because IS NULL AND pushed >= ?",
            (self._now - _SIGNATURE_SECONDS,),
        )
        # COSIGN_REPOSITORY names a repository for the signatures of others: what they are about never was in it.
        self._connection.execute(
            "UPDATE tag SET because = 'there are only signatures here: what they are about may be elsewhere'"
            " WHERE because IS NULL AND NOT EXISTS (SELECT 1 FROM tag WHERE subject IS NULL)"
        )

    def _keep(self, repository: str, entry: Entry) -> None:
        """Let the tags stay that `entry` keeps, whatever others keep."""
        because = self._note_candidates(repository, entry)
        keep = entry.keep
        kept = ["name IN (SELECT name FROM candidate)"]
        if keep.newest is not None:
            kept.append("name IN (SELECT name FROM candidate ORDER BY pushed DESC, name DESC LIMIT :newest)")
        if keep.newestversions is not None:
            kept.append("version IN (SELECT DISTINCT version FROM candidate ORDER BY version DESC LIMIT :versions)")
        self._connection.execute(
            f"UPDATE tag SET because = :because WHERE because IS NULL AND {' AND '.join(kept)}",  # noqa: S608  ours
            {"because": because, "newest": keep.newest, "versions": keep.newestversions},
        )

    def _note_candidates(self, repository: str, entry: Entry) -> str:
        """Note the tags that meet the conditions of `entry`, but for those that count; return what is said of them."""
        keep, because = entry.keep, str(entry)
        self._connection.create_function("named", 1, entry.names, deterministic=True)
        meets, values = ["named(name)"], {}
        if entry.counts:
            meets.append("subject IS NULL")
        if keep.pushedwithin_seconds is not None:
            meets.append("pushed >= :pushed")
            values["pushed"] = self._now - keep.pushedwithin_seconds
        if keep.pulledwithin_seconds is not None:
            pulled = self._now - keep.pulledwithin_seconds
            if self._history.reaches(pulled):
                meets.append(_PULLED)
                values["hour"] = pulled // HOUR_SECONDS
            else:
                because += "; pulls are not known for so long"
        self._connection.execute("DELETE FROM candidate")
        self._connection.execute(
            f"INSERT INTO candidate SELECT name, pushed, version FROM tag WHERE {' AND '.join(meets)}",  # noqa: S608  ours
            {"repository": repository, **values},
        )
        return because

    def _read_digests(self, repository: str, where: str) -> None:
        """Read where the tags point that `where` means; "" is nowhere."""
        query = f"SELECT name FROM tag WHERE name > :after AND {where} ORDER BY name LIMIT {_AT_ONCE}"  # noqa: S608  ours
        after = ""
        while names := [
            name for (name,) in self._connection.execute(query, {"after": after, "repository": repository})
        ]:
            links = self._driver.get_each([paths.tag_link(repository, name) for name in names], limit=_LINK_BYTES)
            self._connection.executemany(
                "UPDATE tag SET digest = ? WHERE name = ?", zip(map(_target, links), names, strict=True)
            )
            after = names[-1]


def _tags(driver: StorageDriver, repository: str) -> Iterator[tuple[str, float]]:
    """Yield each tag with the time when it was pointed to a manifest the last time, by the clock of the storage."""
    for found in driver.walk(paths.tags(repository), leaf_in=leaf_in):
        tag = paths.tag_at(repository, found.path)
        if tag is not None and is_tag(tag):
            yield tag, found.modified


def _target(content: bytes | None) -> str:
    try:
        return str(Digest.parse((content or b"").decode("ascii")))
    except (DigestInvalidError, UnicodeDecodeError):
        return ""


def batches(verdicts: Iterable[Verdict]) -> Iterator[list[Verdict]]:
    """Yield `verdicts`, at most 1,000 at once."""
    rest = iter(verdicts)
    while batch := list(islice(rest, _AT_ONCE)):
        yield batch
