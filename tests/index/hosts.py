"""A registry over a storage, and a host that keeps an index of it, as its job does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drivers.inmemory import InMemoryDriver
from registry.config import Configuration
from registry.config.ui import UI, Index
from registry.config.values import Storage
from registry.index import jobs, schema
from registry.index.consumer import IndexConsumer
from registry.index.jobs import Keeping
from registry.index.reader import Index as Reader
from registry.journal.entry import Instance
from registry.journal.recorder import Recorder
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.publishing import Operator, Publishing
from registry.storage import paths
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests.content import chunk, image

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver
    from registry.browsing.shapes import RepositoriesPage, TagRow

MOST_RUNS = 100_000
IDLE = frozenset({jobs._POLL_SECONDS, jobs._SLOW_POLL_SECONDS})
"""How long the job pauses when it has nothing to do."""


def everything(name: str) -> bool:
    """Show every repository."""
    del name
    return True


@dataclass
class Registry:
    """What clients push to; each change is told to the journal, unless it is `silent` as the Go registry is."""

    driver: StorageDriver = field(default_factory=InMemoryDriver)
    silent: bool = False

    def __post_init__(self) -> None:
        self.repositories = Repositories(self.driver)
        recorder = Recorder(self.driver.log(paths.JOURNAL), [IndexConsumer()], Instance())
        policy = ValidationPolicy(enabled=False)
        self.publishing = Publishing(policy, Operator(), None if self.silent else recorder)

    def push(self, name: str, *tags: str, content: str = "", layers: tuple[bytes, ...] = (b"layer",)) -> Digest:
        """Push an image for linux/amd64 that has `content` in its config, under each of `tags`."""
        config = b'{"os": "linux", "architecture": "amd64", "config": {"Labels": {"of": "%s"}}}' % content.encode()
        repository = self.repositories.open(name)
        for blob in (config, *layers):
            self.publishing.finish_upload(repository, repository.uploads.start(), chunk(blob), Digest.of(blob))
        return self.push_manifest(name, image(config, *layers), *tags)

    def push_manifest(self, name: str, content: bytes, *tags: str) -> Digest:
        manifest = parse_manifest(content)
        digest = Digest.of(content)
        self.publishing.push_manifest(self.repositories.open(name), manifest, digest, [Tag(tag) for tag in tags])
        return digest

    def remove_tag(self, name: str, tag: str) -> None:
        self.publishing.remove_tag(self.repositories.open(name), Tag(tag))

    def remove_manifest(self, name: str, digest: Digest) -> None:
        self.publishing.remove_manifest(self.repositories.open(name), digest)

    def remove_repository(self, name: str) -> None:
        self.publishing.remove_repository(self.repositories.open(name))


@dataclass
class Host:
    """A host with an index in `directory`, of the storage that `driver` has."""

    directory: Path
    driver: StorageDriver
    reconcile_seconds: float = 24 * 3600.0
    parameters: dict[str, Any] = field(default_factory=dict)
    secret: bytes = b"a secret"

    def __post_init__(self) -> None:
        section = Index(str(self.directory), self.reconcile_seconds)
        self.configuration = Configuration(
            "0.1", Storage("inmemory", self.parameters), ui=UI(enabled=True, index=section)
        )
        repositories = Repositories(self.driver)
        self.keeping = Keeping(self.configuration, self.driver, repositories, hold_seconds=lambda: 0.0)
        self.path = schema.path_in(str(self.directory))
        self.index = Reader(self.path, schema.identity_of(self.configuration), self.secret)

    def catch_up(self) -> None:
        """Do all that there is to do now."""
        for _ in range(MOST_RUNS):
            if self.keeping.run() in IDLE:
                return
        raise TimeoutError("the index is not done")

    def catch_up_until(self, what: str, seconds: float = 20.0) -> None:
        """Run the job until the index has a tag ``repository:tag``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.keeping.run()
            if what in self.tags():
                return
        raise TimeoutError(f"{what} is not in the index")

    def repositories(self, sort: str = "name") -> list[str]:
        return [row.name for row in self.page(sort).rows]

    def page(self, sort: str = "name") -> RepositoriesPage:
        page = self.index.repositories(sort, everything, limit=1000)
        assert page is not None
        return page

    def tags(self) -> list[str]:
        """Return all tags in the index, each as ``repository:tag``."""
        return [f"{name}:{row.name}" for name in self.repositories() for row in self.rows(name)]

    def rows(self, name: str, sort: str = "name") -> list[TagRow]:
        page = self.index.tags(name, sort, limit=1000)
        assert page is not None
        assert page.following is None
        return list(page.rows)

    def search(self, text: str) -> list[str]:
        hits = self.index.search(text, everything)
        assert hits is not None
        return [f"{hit.repository}:{hit.tag}" if hit.tag else hit.repository for hit in hits.rows]
