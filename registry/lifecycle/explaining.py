"""Why a garbage collection keeps a digest, or since when nothing does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from registry.lifecycle.tables import pack, unpack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from registry.oci.digest import Digest


REFERRER: Final = "referrer"
BYTES: Final = "bytes"


class Verdict(StrEnum):
    """What a garbage collection would do with the bytes of a digest.

    They are kept, kept for the age alone of what leads to them, or they may be deleted, because all links to them are
    condemned or nothing leads to them. Or they are not stored.
    """

    KEPT = "kept"
    YOUNG = "young"
    CONDEMNED = "condemned"
    UNREFERENCED = "unreferenced"
    ABSENT = "absent"


class Root(StrEnum):
    """Why the first thing on a path is kept: the rest of the path leads from there to what was asked for."""

    TAG = "tag"
    REVISION = "revision"
    """All manifests of the repository are kept, whether or not tags lead to them."""
    UNREADABLE = "unreadable"
    """The repository has a manifest that cannot be read, so all of it is kept."""
    YOUNG = "young"
    """It was written a short time ago: a manifest, a link to a layer, or the bytes."""


@dataclass(frozen=True, slots=True)
class Step:
    """A digest on a path, and what it is: "index", "image", "manifest" or a registry.oci.manifest.Kind.

    Or what it is to the one before: a REFERRER. The BYTES of a digest lie under
    another one where the Go registry has stored them.
    """

    kind: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class Way:
    """How a digest, the last of `steps`, is reached from a root in a repository; times in seconds since the epoch.

    Where the root is young, `written` says since when, and it is not once it was written before `limit`.
    """

    root: Root
    repository: str
    steps: tuple[Step, ...]
    tag: str = ""
    written: float | None = None
    limit: float | None = None

    def to(self, *steps: Step) -> Way:
        """Return a way that goes on."""
        return replace(self, steps=(*self.steps, *steps))


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict on a digest, and how it is reached. What is not stored may be reached, too.

    Where nothing leads to it, `since` is when the last link to it was condemned, or else when it or that was written.
    """

    digest: Digest
    verdict: Verdict
    way: Way | None = None
    since: float | None = None


def explain(connection: sqlite3.Connection, digest: Digest) -> Explanation:
    """Return why the digest is kept or not, by the tables of a scan that has ended."""
    return _Question(connection, digest).answer()


def losing(connection: sqlite3.Connection, digest: Digest) -> Iterator[tuple[str, str]]:
    """Yield the repositories whose link to a digest may go, each with "layer" or "revision"."""
    yield from connection.execute(_LOSING, {"digest": pack(digest)})


_LOSING: Final = """
    SELECT name, 'layer' FROM loose_layers JOIN repositories ON repository = repositories.id
    WHERE digest = :digest OR target = :digest
    UNION SELECT name, 'revision' FROM loose_revisions JOIN repositories ON repository = repositories.id
    WHERE digest = :digest ORDER BY 1, 2
"""
_NODE: Final = """
    SELECT node FROM reached JOIN nodes ON node = nodes.id
    WHERE young <= :young AND (digest = :digest OR manifest = (SELECT id FROM manifests WHERE digest = :digest))
    ORDER BY young, number LIMIT 1
"""
_NAMING: Final = """
    SELECT node, refs.kind FROM refs JOIN nodes USING (manifest) JOIN reached ON node = nodes.id
    WHERE child = :digest AND young <= :young ORDER BY young, number LIMIT 1
"""
_TAGGED: Final = """
    SELECT name, tag FROM tags JOIN repositories ON repository = repositories.id WHERE target = :digest LIMIT 1
"""
_WHOLE: Final = """
    SELECT name FROM layers JOIN repositories ON repository = repositories.id
    WHERE digest = :digest AND repository IN whole LIMIT 1
"""
_OTHER: Final = """
    SELECT layers.digest FROM layers JOIN marked USING (digest)
    WHERE target = :digest AND young <= :young ORDER BY young LIMIT 1
"""
_YOUNG_LAYER: Final = """
    SELECT name, modified, cutoff FROM policy JOIN layers JOIN repositories ON repository = repositories.id
    WHERE digest = :digest AND modified >= cutoff AND name = coalesce(:name, name) ORDER BY modified DESC LIMIT 1
"""
_STEP: Final = """
    SELECT nodes.digest, media, parent, repository, name, problem, untagged_before, modified, young
    FROM reached JOIN nodes ON node = nodes.id JOIN repositories ON repository = repositories.id
    LEFT JOIN manifests ON manifest = manifests.id WHERE node = :node
"""
_RELATION: Final = """
    SELECT kind FROM refs WHERE manifest = (SELECT manifest FROM nodes WHERE id = :parent) AND child = :digest
"""
_TAG: Final = "SELECT tag FROM tags WHERE repository = :repository AND target = :digest LIMIT 1"
_LOOSE: Final = """
    SELECT modified, links, condemned, cutoff FROM loose_blobs JOIN policy WHERE digest = :digest
"""
_LAST_LINK: Final = """
    SELECT max(modified) FROM (
        SELECT modified FROM loose_layers WHERE digest = :digest OR target = :digest
        UNION ALL SELECT nodes.modified FROM loose_revisions JOIN nodes ON node = nodes.id
        WHERE nodes.digest = :digest OR manifest = (SELECT id FROM manifests WHERE digest = :digest)
    )
"""


class _Question:
    def __init__(self, connection: sqlite3.Connection, digest: Digest) -> None:
        self._connection = connection
        self._digest = digest

    def answer(self) -> Explanation:
        """Return the verdict on the digest, and how it is reached."""
        packed = pack(self._digest)
        is_stored = self._one("SELECT 1 FROM blobs WHERE digest = :digest LIMIT 1", digest=packed) is not None
        marked = self._one("SELECT young FROM marked WHERE digest = :digest", digest=packed)
        if not is_stored:
            way = self._way(packed, marked[0]) if marked else None
            return Explanation(self._digest, Verdict.ABSENT, way)
        if marked:
            verdict = Verdict.YOUNG if marked[0] else Verdict.KEPT
            return Explanation(self._digest, verdict, self._way(packed, marked[0]))
        return self._unmarked(packed)

    def _unmarked(self, packed: bytes) -> Explanation:
        written, links, condemned, cutoff = self._one(_LOOSE, digest=packed) or ()
        if written >= cutoff:
            way = Way(Root.YOUNG, "", (Step("blob", self._digest),), written=written, limit=cutoff)
            return Explanation(self._digest, Verdict.YOUNG, way)
        if links == "condemned":
            return Explanation(self._digest, Verdict.CONDEMNED, since=condemned)
        (linked,) = self._one(_LAST_LINK, digest=packed) or (None,)
        return Explanation(self._digest, Verdict.UNREFERENCED, since=max(written, linked or written))

    def _way(self, packed: bytes, young: int) -> Way:
        """Return how a marked digest is reached, over nothing that is young if it is not marked as such."""
        digest = unpack(packed)
        if node := self._one(_NODE, digest=packed, young=young):
            way = self._way_to_node(*node)
            return way if way.steps[-1].digest == digest else way.to(Step(BYTES, digest))
        if naming := self._one(_NAMING, digest=packed, young=young):
            node_number, kind = naming
            return self._way_to_node(node_number).to(Step(kind, digest))
        if tagged := self._one(_TAGGED, digest=packed):
            name, tag = tagged
            return Way(Root.TAG, name, (Step("manifest", digest),), tag)
        if whole := self._one(_WHOLE, digest=packed):
            return Way(Root.UNREADABLE, whole[0], (Step("blob", digest),))
        if other := self._one(_OTHER, digest=packed, young=young):
            return self._way(other[0], young).to(Step(BYTES, digest))
        return self._young_layer(packed)

    def _way_to_node(self, number: int) -> Way:
        steps: list[Step] = []
        while True:
            packed, media, parent, *rest = self._one(_STEP, node=number) or ()
            if parent is None:
                break
            relation = self._one(_RELATION, parent=parent, digest=packed)
            steps.append(Step(_kind(relation, media), unpack(packed)))
            number = parent
        steps.append(Step(media or "manifest", unpack(packed)))
        return replace(self._root(packed, *rest), steps=tuple(reversed(steps)))

    def _root(  # noqa: PLR0913, PLR0917 - the columns of a node
        self,
        packed: bytes,
        repository: int,
        name: str,
        problem: str | None,
        untagged_before: float | None,
        modified: float | None,
        young: int,
    ) -> Way:
        tag = self._one(_TAG, repository=repository, digest=packed)
        if tag:
            return Way(Root.TAG, name, (), *tag)
        if young:
            if modified is not None and untagged_before is not None and modified >= untagged_before:
                return Way(Root.YOUNG, name, (), written=modified, limit=untagged_before)
            return self._young_layer(packed, name)
        is_kept_anyway = untagged_before is None and modified is not None and not problem
        return Way(Root.REVISION if is_kept_anyway else Root.UNREADABLE, name, ())

    def _young_layer(self, packed: bytes, name: str | None = None) -> Way:
        holder, written, cutoff = self._one(_YOUNG_LAYER, digest=packed, name=name) or ()
        return Way(Root.YOUNG, holder, (Step("blob", unpack(packed)),), written=written, limit=cutoff)

    def _one(self, query: str, **values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return row


def _kind(relation: tuple[str] | None, media: str | None) -> str:
    """Return what a node is that another names as `relation`, or has for its subject if that is None."""
    if relation is None:
        return REFERRER
    return media if media and relation[0] in {"manifest", "entry"} else relation[0]
