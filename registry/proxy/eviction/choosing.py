"""What of the cached content goes: what was not used for long, and what there is no room for.

The last use of a link is its time (`last_use.py`), and that of a tag the time of its link or of what is known of it
upstream, whichever is later. A manifest is used when one of its tags is, or a layer that only it names; and what leads
to something makes that used: an index its images, an image its layers, a subject its referrers. So no layer goes before
all images that name it, and an image goes with what only it has.

What was pushed does not go (`usage.py`), nor does what it leads to, nor what ``cache.keep`` names. What a pushed
manifest leads to that cannot be read is not known: then nothing of its repository goes.
"""

from __future__ import annotations

from functools import partial
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from drivers.base import Found
from registry.oci.digest import Digest
from registry.oci.errors import ManifestInvalidError
from registry.oci.manifest import MAX_SIZE
from registry.oci.stored import read_stored
from registry.proxy.eviction.tables import SIZES
from registry.storage import paths
from registry.storage.links import FoundLink
from registry.storage.parts import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drivers.base import StorageDriver
    from registry.config.upstreams import Upstream
    from registry.proxy.eviction.usage import Usage

T = TypeVar("T")

_AT_ONCE: Final = 500
_USED_BY_TAGS: Final = """
    UPDATE links SET used = max(used, coalesce((
        SELECT max(tags.used) FROM tags WHERE tags.repository = links.repository AND target = digest
    ), used)) WHERE kind = 'revision'
"""
_NAMED_ONCE: Final = """
    SELECT layer.repository AS repository, min(source) AS digest, layer.used AS used
    FROM links AS layer JOIN edges ON edges.target = layer.digest
    JOIN links AS manifest
    ON manifest.repository = layer.repository AND manifest.kind = 'revision' AND manifest.digest = source
    WHERE layer.kind = 'layer' GROUP BY layer.id HAVING count(*) = 1
"""
_USED_BY_OWN_LAYERS: Final = f"""
    CREATE TEMP TABLE own AS SELECT repository, digest, max(used) AS used FROM ({_NAMED_ONCE}) GROUP BY 1, 2;
    CREATE INDEX temp.own_by_digest ON own (repository, digest);
    UPDATE links SET used = max(used, coalesce((
        SELECT own.used FROM own WHERE own.repository = links.repository AND own.digest = links.digest
    ), used)) WHERE kind = 'revision';
    DROP TABLE own;
"""  # noqa: S608 - ours
_LEADING: Final = """
    FROM edges JOIN links AS source
    ON source.digest = edges.source AND source.repository = links.repository AND source.kind = 'revision'
    WHERE edges.target = links.digest AND source.used > links.used
"""
_USED_BY_WHAT_LEADS_TO_IT: Final = f"""
    UPDATE links SET used = (SELECT max(source.used) {_LEADING}) WHERE EXISTS (SELECT 1 {_LEADING})
"""  # noqa: S608 - ours
_KEPT: Final = """
    WITH RECURSIVE kept (repository, digest) AS (
        SELECT repository, target FROM tags WHERE pushed
        UNION SELECT repository, digest FROM links JOIN repositories ON repositories.id = repository
        WHERE kind = 'revision' AND mixed AND digest NOT IN (
            SELECT fetched.digest FROM fetched WHERE fetched.repository = links.repository
        )
        UNION SELECT kept.repository, edges.target FROM kept JOIN edges ON source = kept.digest
        WHERE EXISTS (SELECT 1 FROM links WHERE links.digest = target AND links.repository = kept.repository)
    )
    UPDATE links SET kept = 1 WHERE (repository, digest) IN (SELECT repository, digest FROM kept)
"""
_KEPT_WHOLE: Final = """
    UPDATE repositories SET kept = 1 WHERE id IN (
        SELECT repository FROM links WHERE kept AND kind = 'revision' AND target IN (SELECT digest FROM unreadable)
        UNION SELECT repository FROM tags WHERE pushed AND NOT EXISTS (
            SELECT 1 FROM links
            WHERE links.repository = tags.repository AND kind = 'revision' AND digest = tags.target
        )
    );
    UPDATE links SET kept = 1 WHERE repository IN (SELECT id FROM repositories WHERE kept);
    UPDATE tags SET pushed = 1 WHERE repository IN (SELECT id FROM repositories WHERE kept);
"""
_OLD: Final = "EXISTS (SELECT 1 FROM {0} WHERE {0}.repository = repositories.id AND {0}.used < :before)"
_CHOOSE: Final = """
    UPDATE {0} SET chosen = 1 FROM repositories WHERE repositories.id = repository AND is_read AND {1}
"""
_UNUSED: Final = "upstream = :upstream AND used < :before"
_OLDEST: Final = """
    SELECT links.id, target, used FROM links JOIN repositories ON repositories.id = repository
    WHERE upstream = :upstream AND is_read AND NOT links.kept AND NOT chosen AND used < :before
    ORDER BY used, links.kind DESC, links.id
"""
_LET_GO: Final = """
    UPDATE holding SET links = links - 1 WHERE upstream = ? AND target = ? RETURNING links, size
"""
_TAGS_OF_CHOSEN: Final = """
    UPDATE tags SET chosen = 1 WHERE NOT pushed AND EXISTS (
        SELECT 1 FROM links WHERE chosen AND kind = 'revision'
        AND links.repository = tags.repository AND digest = tags.target
    )
"""


class Choice:
    """Chooses in the tables of `usage`, which has found all.

    judge() says what of, conclude() comes then, and then what chooses.
    """

    def __init__(self, driver: StorageDriver, usage: Usage) -> None:
        self._driver = driver
        self._usage = usage
        self._connection = usage.connection

    def judge(self, upstream: Upstream, *, before: float | None = None) -> None:
        """Look at what is held of an upstream: conclude() reads its manifests, and tells when each was used last.

        Given `before`, only repositories are looked at in which anything may have been used last before then.
        """
        condition = "" if before is None else f"AND ({_OLD.format('links')} OR {_OLD.format('tags')})"
        query = f"UPDATE repositories SET is_read = 1 WHERE upstream = :upstream AND NOT kept {condition}"  # noqa: S608 - ours
        self._connection.execute(query, {"upstream": upstream.name, "before": before})

    def conclude(self) -> None:
        """Work out what judge() has asked for."""
        self._read_manifests()
        self._connection.execute(_USED_BY_TAGS)
        self._connection.executescript(_USED_BY_OWN_LAYERS)
        while self._connection.execute(_USED_BY_WHAT_LEADS_TO_IT).rowcount > 0:
            pass
        self._connection.execute(_KEPT)
        self._connection.executescript(_KEPT_WHOLE)

    def choose_all(self, repository: str) -> None:
        """Choose all of a repository that may go, which was judged."""
        row = {"name": repository}
        self._connection.execute(_CHOOSE.format("links", "NOT links.kept AND name = :name"), row)
        self._connection.execute(_CHOOSE.format("tags", "NOT pushed AND name = :name"), row)
        self._connection.executescript(SIZES)

    def choose_unused(self, upstream: str, before: float) -> None:
        """Choose what of an upstream was used last before then."""
        row = {"upstream": upstream, "before": before}
        self._connection.execute(_CHOOSE.format("links", f"NOT links.kept AND {_UNUSED}"), row)
        self._connection.execute(_CHOOSE.format("tags", f"NOT pushed AND {_UNUSED}"), row)
        self._connection.executescript(SIZES)

    def choose_oldest(self, upstream: str, most: int, before: float) -> int:
        """Choose what of an upstream was used longest ago, until `most` bytes are left; return how many are.

        What was used at or after `before` stays.
        """
        left = self._usage.size_of(upstream)
        last = 0.0
        self._connection.execute("CREATE TEMP TABLE picked (id INTEGER PRIMARY KEY)")
        rows = self._connection.execute(_OLDEST, {"upstream": upstream, "before": before})
        for number, target, used in rows:
            if left <= most and used != last:
                break
            last = used
            self._connection.execute("INSERT INTO picked VALUES (?)", (number,))
            freed = self._connection.execute(_LET_GO, (upstream, target)).fetchall()
            left -= sum(size for links, size in freed if links == 0)
        rows.close()
        self._connection.executescript("UPDATE links SET chosen = 1 WHERE id IN picked; DROP TABLE picked")
        self._connection.executescript(SIZES)
        return left

    def chosen_tags(self) -> Iterator[tuple[str, list[tuple[str, Digest]]]]:
        """Yield the tags that go, by repository, some at once: those that are chosen, and those of chosen manifests."""
        self._connection.execute(_TAGS_OF_CHOSEN)
        query = """
            SELECT name, tag, target FROM tags JOIN repositories ON repositories.id = repository
            WHERE chosen ORDER BY name, tag
        """
        rows = self._connection.execute(query)
        return _grouped(((name, (tag, Digest.parse(target))) for name, tag, target in rows))

    def repositories(self) -> Iterator[str]:
        """Yield the repositories of which links are chosen."""
        query = "SELECT DISTINCT name FROM links JOIN repositories ON repositories.id = repository WHERE chosen"
        return (name for (name,) in self._connection.execute(query))

    def chosen_links(self) -> Iterator[tuple[str, list[FoundLink]]]:
        """Yield the links that are chosen, by repository, some at once; indexes before images, these before layers."""
        query = """
            SELECT name, kind, digest, target, size, modified, version
            FROM links JOIN repositories ON repositories.id = repository
            WHERE chosen ORDER BY name, kind DESC, used, links.id
        """
        return _grouped((row[0], _link(*row)) for row in self._connection.execute(query))

    def _read_manifests(self) -> None:
        """Note what the manifests of all repositories lead to that are looked at."""
        query = """
            SELECT DISTINCT digest, target FROM links JOIN repositories ON repositories.id = repository
            WHERE is_read AND kind = 'revision' ORDER BY digest
        """
        for rows in iter(partial(self._connection.execute(query).fetchmany, _AT_ONCE), []):
            targets = [Digest.parse(target) for _, target in rows]
            contents = self._driver.get_each([paths.blob_data(each) for each in targets], limit=MAX_SIZE)
            for (digest, _), target, content in zip(rows, targets, contents, strict=True):
                self._note_manifest(digest, target, content)

    def _note_manifest(self, digest: str, target: Digest, content: bytes | None) -> None:
        is_sound = content is not None and Digest.of(content, target.algorithm) == target
        try:
            manifest = read_stored(content) if content and is_sound else None
        except ManifestInvalidError:
            manifest = None
        if manifest is None:
            self._connection.execute("INSERT OR IGNORE INTO unreadable VALUES (?)", (str(target),))
            return
        leads = ((digest, str(each.digest)) for _, each in manifest.references())
        follows = ((str(each.digest), digest) for each in manifest.subjects)
        self._connection.executemany("INSERT OR IGNORE INTO edges VALUES (?, ?)", chain(leads, follows))


def _link(name: str, kind: str, digest: str, target: str, *stat: Any) -> FoundLink:
    of, parsed = Kind(kind), Digest.parse(digest)
    path = paths.revision_link if of is Kind.REVISION else paths.layer_link
    return FoundLink(of, parsed, Found(path(name, parsed), *stat), Digest.parse(target))


def _grouped(rows: Iterable[tuple[str, T]]) -> Iterator[tuple[str, list[T]]]:
    """Yield what comes with the same name together, at most _AT_ONCE at a time."""
    for name, group in groupby(rows, key=itemgetter(0)):
        values = (value for _, value in group)
        while some := list(islice(values, _AT_ONCE)):
            yield name, some
