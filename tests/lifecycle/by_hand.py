"""A garbage collection in a few lines, which can be stopped before any call to the storage, to try writers beside it.

What the real one does beyond this is to be fast, to be one of several, and to survive its own death.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError
from registry.oci.reference import Tag
from registry.storage import enumeration, paths
from registry.storage.repository import Repositories
from registry.storage.runs import Closed, Phase, Run, Runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

Name = tuple[str, Digest]
"""A repository, and the digest of what it links."""


@dataclass
class Seen:
    """What a scan has found: when each link was written, and what is to be kept."""

    revisions: dict[Name, float] = field(default_factory=dict)
    layers: dict[Name, float] = field(default_factory=dict)
    condemned: dict[Name, float] = field(default_factory=dict)
    reached: set[Name] = field(default_factory=set)


@dataclass(frozen=True)
class CollectionByHand:
    """Collects in `names` what no tag leads to and is older than `grace` seconds."""

    driver: StorageDriver
    names: tuple[str, ...]
    grace: float

    def steps(self) -> Iterator[None]:
        """Do a whole run; yield behind each call that others could notice."""
        runs, seen = Runs(self.driver), Seen()
        run = Run(runs.read().number + 1, Phase.MARKING)
        runs.write(run)
        cutoff = self.driver.stat(paths.GC_RUN).modified - self.grace
        yield
        for name in self.names:
            yield from self._scan(name, seen, cutoff)
        for links, path, moved in (
            (seen.revisions, paths.revision_link, paths.condemned_revision_link),
            (seen.layers, paths.layer_link, paths.condemned_layer_link),
        ):
            for (name, digest), written in links.items():
                if (name, digest) not in seen.reached and written < cutoff:
                    yield from self._close(run, Closed(name))
                    if not self._is_relied_on(digest):
                        yield from self._move(path(name, digest), moved(name, digest), digest, written)
                    runs.write(run)
                    yield
        for blob in [each.digest for each in enumeration.blobs(self.driver)]:
            if self._is_sweepable(blob, seen, cutoff):
                yield from self._close(run, Closed(digests=frozenset([str(blob)])))
                if not self._is_relied_on(blob):
                    yield from self._sweep(blob)
                runs.write(run)
                yield
        runs.write(Run(run.number + 1))

    def _scan(self, name: str, seen: Seen, cutoff: float) -> Iterator[None]:
        digests = [each.digest for each in enumeration.blobs(self.driver)]
        for path, found in (
            (paths.condemned_layer_link, seen.condemned),
            (paths.condemned_revision_link, seen.condemned),
            (paths.layer_link, seen.layers),
            (paths.revision_link, seen.revisions),
        ):
            for digest in digests:
                with suppress(PathNotFoundError):
                    written = self.driver.stat(path(name, digest)).modified
                    found[name, digest] = max(written, found.get((name, digest), written))
            yield
        repository = Repositories(self.driver).open(name)
        roots = [repository.tags.resolve(Tag(tag)) for tag in enumeration.tags(self.driver, name)]
        yield
        for links in (seen.revisions, seen.layers):
            roots += [digest for (at, digest), written in links.items() if at == name and written >= cutoff]
        while roots:
            digest = roots.pop()
            if (name, digest) not in seen.reached:
                seen.reached.add((name, digest))
                with suppress(ManifestUnknownError):
                    roots += [each.digest for _, each in repository.manifests.get(digest).references()]

    def _close(self, run: Run, closed: Closed) -> Iterator[None]:
        Runs(self.driver).write(replace(run, closed=closed))
        yield

    def _is_relied_on(self, digest: Digest) -> bool:
        runs = Runs(self.driver)
        notices = [runs.notice(notice_id) for notice_id in runs.notice_ids()]
        return any(str(digest) in notice.digests for notice in notices if notice)

    def _move(self, path: str, moved: str, digest: Digest, written: float) -> Iterator[None]:
        yield
        self.driver.put(moved, str(digest).encode())
        yield
        with suppress(PathNotFoundError):
            if self.driver.stat(path).modified == written:
                yield
                self.driver.delete(path)
        yield

    def _is_sweepable(self, digest: Digest, seen: Seen, cutoff: float) -> bool:
        """Tell whether nothing leads to the bytes, and an earlier run has condemned all links that did, long ago."""
        names = [(name, digest) for name in self.names]
        if any(name in seen.reached or name in seen.layers or name in seen.revisions for name in names):
            return False
        written = [seen.condemned[name] for name in names if name in seen.condemned]
        with suppress(PathNotFoundError):
            written = written or [self.driver.stat(paths.blob_data(digest)).modified]
        return max(written, default=cutoff) < cutoff

    def _sweep(self, digest: Digest) -> Iterator[None]:
        yield
        gone = [paths.blob_data(digest)]
        for name in self.names:
            gone += [paths.condemned_layer_link(name, digest), paths.condemned_revision_link(name, digest)]
        for path in gone:
            with suppress(PathNotFoundError):
                self.driver.delete(path)
            yield
