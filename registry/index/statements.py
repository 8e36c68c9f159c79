"""The longer statements by which the index is written."""

from __future__ import annotations

from typing import Final

REPOSITORY: Final = """
    INSERT INTO repositories (name, ordering, generation) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET generation = excluded.generation RETURNING id
"""
"""Adds a repository, or says that it is still there; gives its number."""

FOUND_TAG: Final = """
    INSERT INTO tags (repository, name, ordering, pushed, version, unread, generation) VALUES (?, ?, ?, ?, ?, 1, ?)
    ON CONFLICT (repository, name) DO UPDATE SET
        generation = excluded.generation, pushed = excluded.pushed,
        unread = unread OR version IS NOT excluded.version, version = excluded.version
"""
"""Adds a tag that a scan has found; its link is to be read if the storage says that it is another one."""

LOOKED_UP_TAG: Final = """
    INSERT INTO tags (repository, name, ordering, manifest, pushed, generation) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (repository, name) DO UPDATE SET
        generation = excluded.generation, pushed = excluded.pushed, manifest = excluded.manifest,
        unread = 0, version = '', suspect = 0, dangling = 0
"""
"""Adds a tag that the journal has named and whose link was read."""

SUMS: Final = """
    UPDATE repositories SET stale = 0,
        tags = (SELECT count(*) FROM tags WHERE repository = repositories.id),
        pushed = (SELECT max(pushed) FROM tags WHERE repository = repositories.id),
        size = CASE WHEN NOT EXISTS (
            SELECT 1 FROM tags LEFT JOIN manifests ON manifest = manifests.id
            WHERE repository = repositories.id AND NOT dangling AND (
                tags.unread OR iif(media_type IS NULL, manifests.unread, manifests.size IS NULL)
            )
        ) THEN (
            SELECT sum(size) FROM blobs WHERE id IN (
                SELECT blob FROM contents WHERE manifest IN (
                    SELECT manifest FROM tags WHERE repository = repositories.id AND NOT dangling
                )
            )
        ) END
    WHERE id IN (SELECT id FROM repositories WHERE stale LIMIT ?)
"""
"""Sums up some repositories. One has no size as long as that of an image is not known which is there."""

MISSED: Final = """
    UPDATE tags SET suspect = 1 WHERE dangling OR NOT unread AND manifest IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM revisions JOIN manifests USING (digest)
        WHERE revisions.repository = tags.repository AND manifests.id = manifest
    )
"""
"""Suspects the tags of whose manifests the scan has found none in their repositories."""

UNUSED: Final = (
    "DELETE FROM manifests WHERE id NOT IN (SELECT manifest FROM tags WHERE manifest IS NOT NULL)",
    "DELETE FROM contents WHERE manifest NOT IN (SELECT id FROM manifests)",
    "DELETE FROM blobs WHERE id NOT IN (SELECT blob FROM contents)",
)
"""Forget, one after another, what no tag leads to any more."""
