"""Marking: everything that a repository's tags, or all its manifests, lead to is kept.

A manifest leads to its config, layers and manifests (registry.oci.manifest.Manifest.references), and a subject to its
referrers: if an image is kept, so are its signatures. Each repository is walked for itself, because a manifest that one
repository has, and whose content is to be kept for that reason, may be missing in another.

Damage keeps what it hides. What a tag points to leads on even if its own link is lost. The manifest of a torn link
stays, and a torn tag keeps all that it has pointed to: fsck may repair them. A manifest that cannot be read, also one
whose bytes are missing, keeps all of its repository: nobody knows what it leads to.

What an earlier run has condemned is no reason to keep anything. But if something that is kept leads to it by now, it is
kept, and the link is to be put back: a referrer of an image that was pushed again, or a layer that a manifest names.

It is done in tables. A node is a digest in a repository that has it as a manifest, or names it as a subject: what else
a manifest names leads nowhere, and is marked without being a node.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from registry.lifecycle.tables import unpack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

_log = logging.getLogger(__name__)

_NODES: Final = """
    -- The manifest is NULL where the repository has none of that digest. One that it had until it was condemned has no
    -- revision, but the number of the condemned link.
    CREATE TABLE nodes (
        id INTEGER PRIMARY KEY, repository INTEGER, digest BLOB, manifest INTEGER, revision INTEGER, modified REAL,
        condemned INTEGER
    );
    INSERT INTO nodes (repository, digest, manifest, revision, modified)
    SELECT repository, revisions.digest, manifests.id, revisions.rowid, max(modified)
    FROM revisions JOIN manifests ON manifests.digest = coalesce(target, revisions.digest)
    GROUP BY repository, revisions.digest;
    CREATE UNIQUE INDEX nodes_by_digest ON nodes (repository, digest);
    INSERT OR IGNORE INTO nodes (repository, digest, manifest, condemned)
    SELECT repository, condemned.digest, manifests.id, condemned.rowid
    FROM condemned JOIN manifests ON manifests.digest = coalesce(target, condemned.digest)
    WHERE kind = 'condemned revision';
    -- What a tag points to leads on without a link of its own, which may have been lost.
    INSERT OR IGNORE INTO nodes (repository, digest, manifest)
    SELECT DISTINCT tags.repository, target, manifests.id FROM tags JOIN manifests ON manifests.digest = target;
    INSERT OR IGNORE INTO nodes (repository, digest)
    SELECT DISTINCT repository, subject FROM nodes JOIN subjects USING (manifest);

    CREATE TABLE edges (source INTEGER, target INTEGER, PRIMARY KEY (source, target)) WITHOUT ROWID;
    INSERT INTO edges
    SELECT source.id, target.id FROM nodes AS source JOIN refs USING (manifest)
    JOIN nodes AS target ON target.repository = source.repository AND target.digest = child
    UNION
    SELECT subject.id, referrer.id FROM nodes AS referrer JOIN subjects USING (manifest)
    JOIN nodes AS subject ON subject.repository = referrer.repository AND subject.digest = subjects.subject;

    -- Repositories all of whose manifests and layers are kept.
    CREATE TABLE whole (repository INTEGER PRIMARY KEY);
    INSERT INTO whole SELECT DISTINCT repository FROM nodes JOIN manifests ON manifest = manifests.id
    WHERE problem IS NOT NULL AND condemned IS NULL;

    -- In the order in which they are reached; the parent is the node that leads to it, NULL for a root.
    CREATE TABLE reached (number INTEGER PRIMARY KEY, node INTEGER UNIQUE, parent INTEGER, young INTEGER);
"""
_ROOTS: Final = """
    INSERT OR IGNORE INTO reached (node, parent, young)
    SELECT id, NULL, 0 FROM tags JOIN nodes USING (repository) WHERE nodes.digest = tags.target;
    INSERT OR IGNORE INTO reached (node, parent, young)
    SELECT id, NULL, 0 FROM torn_revisions JOIN nodes USING (repository, digest);
    INSERT OR IGNORE INTO reached (node, parent, young)
    SELECT nodes.id, NULL, 0 FROM nodes JOIN repositories ON repository = repositories.id
    WHERE untagged_before IS NULL AND revision IS NOT NULL;
    INSERT OR IGNORE INTO reached (node, parent, young)
    SELECT id, NULL, 0 FROM nodes WHERE repository IN whole AND revision IS NOT NULL;
    INSERT OR IGNORE INTO reached (node, parent, young)
    SELECT id, NULL, 0 FROM layers JOIN nodes USING (repository)
    WHERE repository IN whole AND nodes.digest = layers.digest;
"""
_YOUNG_ROOTS: Final = """
    INSERT OR IGNORE INTO reached (node, parent, young)
    SELECT nodes.id, NULL, 1 FROM nodes JOIN repositories ON repository = repositories.id
    WHERE revision IS NOT NULL AND modified >= untagged_before;
    INSERT OR IGNORE INTO reached (node, parent, young)
    SELECT id, NULL, 1 FROM layers JOIN nodes USING (repository)
    WHERE layers.modified >= (SELECT cutoff FROM policy) AND nodes.digest = layers.digest;
"""
_FOLLOW: Final = """
    INSERT OR IGNORE INTO reached (node, parent, young)
    SELECT target, source, :young FROM reached JOIN edges ON source = node
    WHERE number > :after AND number <= :last
"""
_MARKS: Final = """
    CREATE TABLE kept (manifest INTEGER PRIMARY KEY, young INTEGER, repository INTEGER);
    INSERT INTO kept SELECT manifest, min(young), min(repository)
    FROM reached JOIN nodes ON node = nodes.id WHERE manifest IS NOT NULL GROUP BY manifest;

    -- Marked is what is to be kept. It is young where nothing but its age, or the age of what leads to it, keeps it.
    CREATE TABLE marked (digest BLOB PRIMARY KEY, young INTEGER, repository INTEGER) WITHOUT ROWID;
    INSERT INTO marked SELECT digest, min(young), min(repository) FROM (
        SELECT digest, young, repository FROM reached JOIN nodes ON node = nodes.id
        UNION ALL SELECT digest, young, repository FROM kept JOIN manifests ON manifest = manifests.id
        UNION ALL SELECT child, young, repository FROM kept JOIN refs USING (manifest)
        UNION ALL SELECT target, 0, repository FROM tags
        UNION ALL SELECT digest, 0, repository FROM layers WHERE repository IN whole
        UNION ALL SELECT digest, 1, repository FROM layers WHERE modified >= (SELECT cutoff FROM policy)
    ) GROUP BY digest ORDER BY digest;
    -- The Go registry keeps the bytes of what was pushed by sha512 under their sha256, which the link holds.
    INSERT INTO marked SELECT layers.target, young, marked.repository FROM layers JOIN marked USING (digest)
    WHERE layers.target IS NOT NULL
    ON CONFLICT (digest) DO UPDATE SET young = min(young, excluded.young);
"""
_LOOSE: Final = """
    CREATE TABLE loose_layers AS SELECT * FROM layers
    WHERE NOT EXISTS (SELECT 1 FROM marked WHERE marked.digest = layers.digest)
    AND (target IS NULL OR NOT EXISTS (SELECT 1 FROM marked WHERE marked.digest = target));
    CREATE INDEX loose_layers_by_repository ON loose_layers (repository, digest);

    CREATE TABLE loose_revisions (node INTEGER PRIMARY KEY, repository INTEGER, digest BLOB, revision INTEGER);
    INSERT INTO loose_revisions SELECT id, repository, digest, revision FROM nodes
    WHERE revision IS NOT NULL AND NOT EXISTS (SELECT 1 FROM reached WHERE node = nodes.id);
    CREATE INDEX loose_revisions_by_repository ON loose_revisions (repository, digest);
    CREATE INDEX condemned_by_digest ON condemned (repository, digest);
    CREATE TABLE loose_history AS SELECT history.repository, history.digest, tag FROM history
    WHERE EXISTS (
        SELECT 1 FROM loose_revisions AS gone
        WHERE gone.repository = history.repository AND gone.digest = history.digest
    ) OR (
        -- A manifest that an earlier run has condemned.
        EXISTS (
            SELECT 1 FROM condemned WHERE kind = 'condemned revision'
            AND condemned.repository = history.repository AND condemned.digest = history.digest
        ) AND NOT EXISTS (
            SELECT 1 FROM nodes WHERE (revision IS NOT NULL OR id IN (SELECT node FROM reached))
            AND nodes.repository = history.repository AND nodes.digest = history.digest
        )
    );
    CREATE INDEX loose_history_by_digest ON loose_history (repository, digest);

    -- Of what is not marked: digests that links lead to which stand yet.
    CREATE TABLE live (digest BLOB PRIMARY KEY) WITHOUT ROWID;
    INSERT OR IGNORE INTO live SELECT digest FROM loose_layers
    UNION SELECT target FROM loose_layers WHERE target IS NOT NULL
    UNION SELECT digest FROM loose_revisions
    UNION SELECT target FROM loose_revisions JOIN revisions ON revision = revisions.rowid WHERE target IS NOT NULL;
    CREATE INDEX condemned_by_bytes ON condemned (coalesce(target, digest));
    CREATE INDEX condemned_elsewhere ON condemned (digest) WHERE target IS NOT NULL;

    -- Which links lead to a blob: live ones, condemned ones only, none; and when the last one of these was condemned.
    CREATE TABLE loose_blobs (
        digest BLOB PRIMARY KEY, size INTEGER, modified REAL, version TEXT, links TEXT, condemned REAL
    ) WITHOUT ROWID;
    INSERT OR IGNORE INTO loose_blobs
    SELECT digest, size, modified, version,
    CASE WHEN digest IN live THEN 'live' WHEN condemned IS NULL THEN 'none' ELSE 'condemned' END, condemned
    FROM (
        SELECT *, (SELECT max(modified) FROM condemned WHERE coalesce(target, digest) = blobs.digest) AS condemned
        FROM blobs WHERE digest NOT IN (SELECT digest FROM marked)
    ) ORDER BY digest;
"""
_RESTORABLE: Final = """
    -- Condemned links to which something leads that is kept; what a manifest leads to has a higher number, or none.
    CREATE TABLE restorable (condemned INTEGER PRIMARY KEY, number INTEGER);
    INSERT INTO restorable SELECT condemned, number FROM nodes JOIN reached ON node = nodes.id
    WHERE condemned IS NOT NULL;
    CREATE TABLE kept_layers (repository INTEGER, digest BLOB, condemned INTEGER);
    INSERT INTO kept_layers SELECT repository, digest, rowid FROM condemned
    WHERE kind = 'condemned layer' AND EXISTS (SELECT 1 FROM marked WHERE marked.digest = condemned.digest);
    CREATE INDEX kept_layers_by_digest ON kept_layers (repository, digest);
    INSERT OR IGNORE INTO restorable
    SELECT kept_layers.condemned, NULL FROM reached JOIN nodes ON node = nodes.id JOIN refs USING (manifest)
    CROSS JOIN kept_layers ON kept_layers.repository = nodes.repository AND kept_layers.digest = child
    WHERE EXISTS (SELECT 1 FROM kept_layers);
"""


def mark(connection: sqlite3.Connection, cutoff: float, untagged_before: Callable[[str], float | None]) -> None:
    """Mark what is kept in the tables that a scan has filled, and gather what is not.

    What is kept for its age alone is followed last, so that it can be told from what is kept for another reason.
    """
    for number, name in connection.execute("SELECT id, name FROM repositories"):
        before = untagged_before(name)
        if before is not None:
            row = (min(before, cutoff), number)
            connection.execute("UPDATE repositories SET untagged_before = ? WHERE id = ?", row)
    connection.execute("INSERT INTO policy VALUES (?)", (cutoff,))
    connection.executescript(_NODES)
    _warn_of_unreadable(connection)
    connection.executescript(_ROOTS)
    after = _follow(connection, 0, young=False)
    connection.executescript(_YOUNG_ROOTS)
    _follow(connection, after, young=True)
    connection.executescript(_MARKS)
    connection.executescript(_LOOSE)
    connection.executescript(_RESTORABLE)


def _follow(connection: sqlite3.Connection, after: int, *, young: bool) -> int:
    """Reach what those lead to that were reached after number `after`; return the last number."""
    last: int
    while (last := connection.execute("SELECT coalesce(max(number), 0) FROM reached").fetchone()[0]) > after:
        connection.execute(_FOLLOW, {"young": young, "after": after, "last": last})
        after = last
    return after


def _warn_of_unreadable(connection: sqlite3.Connection) -> None:
    query = """
        SELECT name, nodes.digest, problem FROM manifests JOIN nodes ON manifest = manifests.id
        JOIN repositories ON repository = repositories.id
        WHERE problem IS NOT NULL AND revision IS NOT NULL ORDER BY name
    """
    for name, digest, problem in connection.execute(query):
        _log.warning(
            "%s: manifest %s cannot be read (%s): all blobs of this repository are kept", name, unpack(digest), problem
        )
