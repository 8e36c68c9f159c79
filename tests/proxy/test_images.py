from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.config import Configuration
from registry.config.upstreams import Prefetch, Upstream
from registry.config.values import Maintenance, ReadOnly, Storage
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError, UpstreamSilentError
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag, is_platform
from registry.proxy.images import Wanted, Whole, fetch_image
from registry.proxy.prefetch import Prefetching, jobs, split_image
from registry.proxy.routing import Place
from registry.storage.repository import Repositories
from tests.content import chunk, descriptor, image

if TYPE_CHECKING:
    from registry.ports import Repository, Visitor

HOUR = 3600.0
LATEST = Tag("latest")


def push(repository: Repository, content: bytes, *tags: str) -> bytes:
    manifest = parse_manifest(content)
    repository.manifests.put(manifest, Digest.of(content), [Tag(tag) for tag in tags])
    return content


def push_blob(repository: Repository, content: bytes) -> None:
    digest = Digest.of(content)
    repository.uploads.finish(repository.uploads.start(digest.algorithm), chunk(content), digest)


def filled(repository: Repository) -> Repository:
    """Push latest, an index for two platforms with a signature."""
    entries = []
    for architecture in ("amd64", "arm64"):
        layer = f"a layer for {architecture}".encode()
        for content in (b"{}", layer):
            push_blob(repository, content)
        of = push(repository, image(b"{}", layer))
        platform = {"os": "linux", "architecture": architecture, "variant": "v8"}
        entries.append(descriptor(of, media_types.OCI_MANIFEST, platform=platform))
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
    index = push(repository, json.dumps(document).encode(), "latest")
    push_blob(repository, b"signed")
    push(repository, image(b"{}", b"signed", subject=descriptor(index, media_types.OCI_INDEX)))
    return repository


@pytest.fixture
def upstream() -> Repository:
    """The repository that has all."""
    return filled(Repositories(InMemoryDriver()).open("library/app"))


@pytest.fixture
def kept() -> Repository:
    """What is here of it: nothing."""
    return Repositories(InMemoryDriver()).open("hub/library/app")


def test_all_of_an_image_is_fetched_each_blob_once(upstream: Repository, kept: Repository) -> None:
    size = len(b"{}") + len(b"a layer for amd64") + len(b"a layer for arm64")

    assert fetch_image(upstream, kept, LATEST, Wanted()) == Whole(manifests=3, blobs=3, fetched=size)


def test_what_is_here_is_not_fetched_again(upstream: Repository, kept: Repository) -> None:
    for content in (b"{}", b"a layer for amd64"):
        push_blob(kept, content)

    whole = fetch_image(upstream, kept, LATEST, Wanted())

    assert whole == Whole(manifests=3, blobs=3, fetched=len(b"a layer for arm64"))


@pytest.mark.parametrize("platform", ["linux/arm64", "linux/arm64/v8"])
def test_of_an_index_the_image_for_a_platform_is_fetched(upstream: Repository, kept: Repository, platform: str) -> None:
    whole = fetch_image(upstream, kept, LATEST, Wanted((platform,)))

    assert whole == Whole(manifests=2, blobs=2, fetched=len(b"{}") + len(b"a layer for arm64"))


def test_an_image_that_has_none_of_the_platforms_is_an_error(upstream: Repository, kept: Repository) -> None:
    with pytest.raises(ManifestUnknownError, match="has no image for linux/s390x"):
        fetch_image(upstream, kept, LATEST, Wanted(("linux/s390x",)))


def test_signatures_come_along_if_they_are_wanted(upstream: Repository, kept: Repository) -> None:
    whole = fetch_image(upstream, kept, LATEST, Wanted(referrers=True))

    assert (whole.manifests, whole.blobs) == (4, 4)


def test_progress_tells_each_byte(upstream: Repository, kept: Repository) -> None:
    told: list[int] = []

    whole = fetch_image(upstream, kept, LATEST, Wanted(), lambda size, _: told.append(size))

    assert sum(told) > whole.fetched


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hub/app", ("hub/app", "latest")),
        ("hub/app:v1", ("hub/app", "v1")),
        ("app:v1", ("app", "v1")),
        ("hub/app@sha256:00", ("hub/app", "sha256:00")),
        ("hub/app:v1@sha256:00", ("hub/app", "sha256:00")),
    ],
)
def test_an_image_is_named_as_clients_name_it(text: str, parts: tuple[str, str]) -> None:
    assert split_image(text) == parts


def test_platforms_are_spelled_in_lower_case_with_a_slash() -> None:
    assert all(map(is_platform, ("linux/amd64", "linux/arm/v7")))
    assert not any(map(is_platform, ("linux", "amd64/", "Linux/amd64", "linux/arm/v7/x")))


@dataclass
class Hub:
    """Opens repositories of an upstream, or says that it is silent."""

    repositories: Repositories = field(default_factory=lambda: Repositories(InMemoryDriver()))
    asked: list[str] = field(default_factory=list)
    is_silent: bool = False

    def place(self, name: str, host: str, namespace: str, *, pushes: bool) -> Place:
        assert (host, namespace, pushes) == ("", "", False)
        return Place(name, "hub", name.removeprefix("hub/"))

    def open(self, place: Place, visitor: Visitor) -> Repository:
        del visitor
        self.asked.append(place.remote)
        if self.is_silent:
            raise UpstreamSilentError("hub does not answer")
        return self.repositories.open(place.remote)


def prefetching(hub: Hub, driver: InMemoryDriver, *, images: tuple[str, ...], now: float = 0.0) -> Prefetching:
    entry = Prefetch(images=images, interval_seconds=6 * HOUR)
    upstream = Upstream(name="hub", prefix="hub", prefetch=(entry,))
    at = driver_time(driver) + now
    return Prefetching(driver, Repositories(driver), hub, [(upstream, entry)], now=lambda: at)


def driver_time(driver: InMemoryDriver) -> float:
    driver.put("/now", b"")
    return driver.stat("/now").modified


def test_an_image_is_prefetched_each_interval_by_one_of_the_hosts() -> None:
    hub, driver = Hub(), InMemoryDriver()
    filled(hub.repositories.open("library/app"))
    images = ("library/app:latest",)

    prefetching(hub, driver, images=images).run()
    assert hub.asked == ["library/app"]
    pause = prefetching(hub, driver, images=images, now=5 * HOUR).run()
    assert hub.asked == ["library/app"]
    assert pause <= 600
    prefetching(hub, driver, images=images, now=6 * HOUR + 1).run()
    assert len(hub.asked) == 2


def test_an_image_that_cannot_be_prefetched_is_a_line_of_the_log_and_keeps_no_other_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub, driver = Hub(), InMemoryDriver()
    filled(hub.repositories.open("library/app"))

    prefetching(hub, driver, images=("library/none:v1", "library/app:latest")).run()

    assert hub.asked == ["library/none", "library/app"]
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
        "library/none:v1 of hub is not prefetched: manifest unknown"
    ]
    hub.is_silent = True
    prefetching(hub, InMemoryDriver(), images=("library/app:latest",)).run()
    assert "hub does not answer" in caplog.text


def test_prefetching_is_a_job_where_something_is_named_and_can_be_kept() -> None:
    entry = Upstream(name="hub", remoteurl="https://hub.example", prefetch=(Prefetch(images=("app:v1",)),))
    driver = InMemoryDriver()

    def names(entry: Upstream, *, readonly: bool = False) -> list[str]:
        storage = Storage("inmemory", {}, maintenance=Maintenance(readonly=ReadOnly(enabled=readonly)))
        told = Configuration("0.1", storage, proxies=(entry,))
        return [job.name for job in jobs(told, driver, Repositories(driver), Hub(), lambda: False)]

    assert names(entry) == ["prefetch"]
    assert names(entry, readonly=True) == []
    assert names(Upstream(name="hub", remoteurl="https://hub.example")) == []
