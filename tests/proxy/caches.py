"""A storage with what was fetched and pushed, each some time ago by the clock of the storage."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from drivers.inmemory import InMemoryDriver
from registry.config.cached import Cached
from registry.config.upstreams import Upstream, UpstreamCache
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.proxy.eviction.evicting import Eviction
from registry.proxy.freshness import TagState
from registry.proxy.pushed_manifests import mark_fetched
from registry.storage import paths
from registry.storage.links import read_link
from registry.storage.repository import Repositories
from tests.content import image

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from registry.proxy.eviction.outcomes import Outcome

HOUR = 3600.0
DAY = 24 * HOUR
CONFIG = b"{}"


def upstream(
    name: str = "hub",
    prefix: str = "hub",
    *,
    ttl: float = 7 * DAY,
    size: int = 0,
    keep: tuple[str, ...] = (),
    push: Literal["deny", "allow"] = "deny",
    classic: bool = False,
) -> Upstream:
    cache = UpstreamCache(ttl_seconds=ttl, size=size, keep=keep)
    return Upstream(name=name, prefix="" if classic else prefix, cache=cache, push=push, classic=classic)


@dataclass
class Stored:
    """What is stored, in memory, and how it is put there."""

    driver: InMemoryDriver = field(default_factory=InMemoryDriver)

    def __post_init__(self) -> None:
        self.repositories = Repositories(self.driver)

    def blob(self, repository: str, content: bytes, *, age: float = 0) -> Digest:
        """Let a repository have a blob, since `age` seconds."""
        digest = Digest.of(content)
        self.driver.put(paths.blob_data(digest), content)
        self._put(paths.layer_link(repository, digest), str(digest).encode(), age)
        return digest

    def manifest(
        self, repository: str, content: bytes, *tags: str, age: float = 0, fetched: bool = True, mixed: bool = False
    ) -> Digest:
        """Let a repository have a manifest and tags; others may push to one that is `mixed`."""
        digest = Digest.of(content)
        before = {found.path for found in self.driver.walk(paths.repository(repository))}
        self.repositories.open(repository).manifests.put(parse_manifest(content), digest, [Tag(tag) for tag in tags])
        after = {found.path for found in self.driver.walk(paths.repository(repository))}
        written = {paths.revision_link(repository, digest), *(paths.tag_link(repository, tag) for tag in tags)}
        for path in (after - before) | written:
            self.age(path, age)
        for tag in tags if fetched else ():
            self._put(paths.proxied_tag(repository, tag), TagState(digest, 0.0).encode(), age)
        if fetched and mixed:
            mark_fetched(self.driver, repository, digest)
        return digest

    def image(
        self,
        repository: str,
        *tags: str,
        layers: tuple[bytes, ...] = (b"layer",),
        age: float = 0,
        fetched: bool = True,
        mixed: bool = False,
        **more: object,
    ) -> Digest:
        """Let a repository have an image with its layers."""
        for content in (CONFIG, *layers):
            self.blob(repository, content, age=age)
        content = image(CONFIG, *layers, **more)
        return self.manifest(repository, content, *tags, age=age, fetched=fetched, mixed=mixed)

    def age(self, path: str, seconds: float) -> None:
        """Let what lies at `path` have been written so many seconds before now."""
        objects = self.driver._store.objects
        objects[path] = replace(objects[path], modified=self.now() - seconds)

    def now(self) -> float:
        """Return what the clock of the storage says."""
        self.driver.put("/now", b"")
        return self.driver.stat("/now").modified

    def has_layer(self, repository: str, content: bytes) -> bool:
        return read_link(self.driver, paths.layer_link(repository, Digest.of(content))) is not None

    def has_bytes(self, content: bytes) -> bool:
        return self.driver.holds(paths.blob_data(Digest.of(content)).removesuffix("/data"))

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        return read_link(self.driver, paths.revision_link(repository, digest)) is not None

    def tags(self, repository: str) -> list[str]:
        return list(self.driver.list_prefixes(paths.tags(repository), limit=1000))

    def eviction(self, *upstreams: Upstream) -> Eviction:
        return Eviction(self.driver, self.repositories, Cached(upstreams), pause=lambda _: None)

    def sweep(self, *upstreams: Upstream) -> list[Outcome]:
        """Evict as the upstreams say."""
        return self.eviction(*upstreams).sweep()

    def evict(self, chosen: Callable[[str], bool], *upstreams: Upstream) -> list[Outcome]:
        return self.eviction(*upstreams).evict(chosen)

    def _put(self, path: str, content: bytes, age: float) -> None:
        self.driver.put(path, content)
        self.age(path, age)
