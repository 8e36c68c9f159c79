"""A repository that caches one of a registry which a test serves, without the server around it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from registry.config.upstreams import Network, UpstreamCache
from registry.config.upstreams import Upstream as Settings
from registry.proxy.caching import Caching
from registry.proxy.freshness import Freshness
from registry.proxy.manifests import ProxiedManifests
from registry.proxy.referrers import ProxiedReferrers
from registry.proxy.remote import Remote
from registry.proxy.tags import ProxiedTags
from registry.storage.passage import Passage
from registry.storage.repository import Repositories
from registry.storage.runs import Runs
from registry.upstream.client import Upstream
from tests.proxy.cache import Counts

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from drivers.base import StorageDriver
    from registry import ports
    from registry.oci.digest import Digest
    from registry.oci.reference import Tag
    from tests.upstreams import Registry

NAME = "hub/team/app"
REMOTE = "team/app"
START = 1_000_000_000.0
OPENED: list[Upstream] = []
"""Clients of upstreams that a test has opened, and does not close."""


class Clock:
    """A clock that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Guest:
    """A visitor who notes what it is told."""

    via = "1.1 somewhere"

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def waiting(self) -> AbstractContextManager[None]:
        return nullcontext()

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@dataclass
class Opened:
    """A repository, opened for one client; it is one of registry.ports."""

    local: ports.Repository
    manifests: ProxiedManifests
    tags: ProxiedTags
    referrers: ProxiedReferrers
    guest: Guest

    @property
    def name(self) -> str:
        return self.local.name

    @property
    def blobs(self) -> ports.BlobStore:
        return self.local.blobs

    @property
    def uploads(self) -> ports.UploadStore:
        return self.local.uploads

    def delete(self) -> None:
        self.local.delete()

    def pull(self, tag: Tag) -> tuple[Digest, bytes]:
        """Return what a client gets that asks for a manifest by tag."""
        digest = self.tags.serve(tag)
        return digest, self.manifests.serve(digest).content


@dataclass
class Cache:
    """A process of a registry that caches `registry` in `driver`, with these settings."""

    registry: Registry
    driver: StorageDriver
    clock: Clock = field(default_factory=Clock)
    settings: UpstreamCache = field(default_factory=UpstreamCache)
    push: bool = False
    read_only: bool = False

    def __post_init__(self) -> None:
        network = Network(httpproxy="none", private="allow", answertimeout_seconds=2.0, stalltimeout_seconds=2.0)
        self.upstream = Upstream(
            Settings(name="hub", remoteurl=self.registry.url, cache=self.settings, network=network)
        )
        OPENED.append(self.upstream)
        self.meter = Counts()
        self.freshness = Freshness(self.driver, read_only=self.read_only, clock=self.clock, meter=self.meter)
        self.repositories = Repositories(self.driver, read_only=self.read_only)
        self.caching = None if self.read_only else Caching(Passage(Runs(self.driver)))

    def another(self, driver: StorageDriver | None = None) -> Cache:
        """Return another process over the same storage, or one like it over `driver`."""
        return replace(self, driver=driver or self.driver)

    def open(self, name: str = NAME) -> Opened:
        guest = Guest()
        local = self.repositories.open(name)
        remote = Remote(self.upstream, name.removeprefix("hub/"), guest, self.freshness.missing, pushable=self.push)
        manifests = ProxiedManifests(local, remote, self.freshness, self.caching)
        tags = ProxiedTags(local, remote, self.freshness, self.caching, manifests)
        return Opened(local, manifests, tags, ProxiedReferrers(local, remote, self.freshness), guest)

    def pull(self, tag: Tag) -> tuple[Digest, bytes]:
        """Return what a new client gets that asks for a manifest by tag."""
        return self.open().pull(tag)

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds


def asked(registry: Registry) -> list[tuple[str, str]]:
    """Return method and last part of the path of each request that came, and forget them."""
    found = [(each.method, each.path.rpartition("/")[2]) for each in registry.asked]
    registry.asked.clear()
    return found
