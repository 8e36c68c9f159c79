"""A registry that caches others, put together: what its clients get of an upstream, and what that is asked for it."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from drivers.base import PathNotFoundError
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.oci.digest import Digest
from registry.oci.media_types import OCI_MANIFEST
from registry.ports import Nobody
from registry.proxy.repositories import Proxied
from registry.proxy.routing import Place
from registry.services import build_services
from registry.storage import paths
from registry.storage.passage import Passage
from registry.storage.repository import Repositories
from registry.storage.runs import Runs
from tests.config.forms import configure
from tests.content import ABSENT, image
from tests.ports.conformance import RepositoriesConformance
from tests.upstreams import Registry, registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

    from registry import ports

CONFIG, LAYER = b"{}", b"a layer" * 100
MANIFEST = image(CONFIG, LAYER)
NETWORK = "network: {httpproxy: none, private: allow}"


@pytest.fixture
def upstream() -> Iterator[Registry]:
    with registry() as serving:
        yield serving


def serve(upstream: Registry, name: str) -> Digest:
    """Have the upstream serve an image as NAME:v1."""
    for content in (CONFIG, LAYER):
        upstream.put_blob(name, content)
    return upstream.put_manifest(name, MANIFEST, "v1")


class Registries:
    """A registry that caches `upstream` under the prefix ``up``, or classically, and clients of it."""

    def __init__(self, upstream: Registry, entry: str = "") -> None:
        text = f"proxies: [{{name: up, remoteurl: '{upstream.url}', {NETWORK}, {entry}}}]"
        self.services = build_services(configure(text), driver=InMemoryDriver())

    def client(self) -> FlaskClient:
        return create_app(self.services).test_client()

    def close(self) -> None:
        self.services.close()


@pytest.fixture
def cache(upstream: Registry) -> Iterator[Registries]:
    made = Registries(upstream, "hosts: [mirror.example], namespaces: [up.example]")
    yield made
    made.close()


def test_an_image_is_pulled_through_once_and_then_served_from_here(upstream: Registry, cache: Registries) -> None:
    digest, client = serve(upstream, "a/b"), cache.client()
    layer = json.loads(MANIFEST)["layers"][0]["digest"]
    for name, headers, query in (
        ("up/a/b", {}, ""),
        ("a/b", {"Host": "mirror.example"}, ""),
        ("a/b", {}, "?ns=up.example"),
    ):
        by_tag = client.get(f"/v2/{name}/manifests/v1{query}", headers=headers)
        assert (by_tag.status_code, by_tag.data) == (200, MANIFEST)
        assert by_tag.headers["Docker-Content-Digest"] == str(digest)
        assert client.get(f"/v2/{name}/manifests/{digest}{query}", headers=headers).data == MANIFEST
        assert client.get(f"/v2/{name}/blobs/{layer}{query}", headers=headers).data == LAYER
        cache.client().head(f"/v2/{name}/blobs/{layer}{query}", headers=headers)
    assert upstream.count("GET", "/manifests/") == 1
    assert upstream.count("GET", "/blobs/") == 1
    assert client.get("/v2/_catalog").json == {"repositories": ["up/a/b"]}


def test_what_upstream_is_told_says_who_asks_and_for_whom(upstream: Registry, cache: Registries) -> None:
    serve(upstream, "a/b")
    cache.client().get("/v2/up/a/b/manifests/v1", headers={"Via": "1.1 front"})
    (asked,) = upstream.asked
    pseudonym = cache.services.instance.id
    assert re.fullmatch(rf"1\.1 front, 1\.1 {pseudonym}", asked.headers["via"])
    looped = cache.client().get("/v2/up/a/b/manifests/v1", headers={"Via": f"1.1 front, 1.1 {pseudonym}"})
    assert looped.status_code == 502
    assert len(upstream.asked) == 1


def test_nothing_of_what_the_client_brings_goes_upstream(upstream: Registry, cache: Registries) -> None:
    serve(upstream, "a/b")
    brought = {"Authorization": "Basic c2VjcmV0OnM=", "Cookie": "a=secret", "X-Forwarded-For": "10.9.8.7"}
    cache.client().get("/v2/up/a/b/manifests/v1", headers=brought)
    (asked,) = upstream.asked
    assert not {"authorization", "cookie", "x-forwarded-for"} & asked.headers.keys()


@pytest.mark.parametrize("path", ["manifests/v1", f"manifests/{ABSENT}", f"blobs/{ABSENT}", "tags/list"])
def test_what_upstream_does_not_have_is_unknown(upstream: Registry, cache: Registries, path: str) -> None:
    assert cache.client().get(f"/v2/up/a/b/{path}").status_code == 404
    assert upstream.asked


def test_a_cache_that_is_read_only_passes_on_what_it_does_not_keep(upstream: Registry) -> None:
    base = "version: 0.1\nstorage: {inmemory: , maintenance: {readonly: {enabled: true}}}\n"
    driver = InMemoryDriver()
    text = f"proxies: [{{name: up, remoteurl: '{upstream.url}', {NETWORK}}}]"
    services = build_services(configure(text, base=base), driver=driver)
    serve(upstream, "a/b")
    client, layer = create_app(services).test_client(), json.loads(MANIFEST)["layers"][0]["digest"]
    assert client.get("/v2/up/a/b/manifests/v1").data == MANIFEST
    assert client.get(f"/v2/up/a/b/blobs/{layer}").data == LAYER
    assert driver.list("/docker", limit=1) == []
    services.close()


def test_what_is_pushed_over_an_upstream_may_build_upon_it(upstream: Registry) -> None:
    cache = Registries(upstream, "push: allow")
    serve(upstream, "a/b")
    client = cache.client()
    pushed = client.put("/v2/up/a/b/manifests/mine", data=MANIFEST, content_type=OCI_MANIFEST)
    assert pushed.status_code == 201, pushed.text
    assert client.get("/v2/up/a/b/manifests/mine").data == MANIFEST
    cache.close()


def test_what_is_pushed_is_never_taken_for_what_was_fetched(upstream: Registry) -> None:
    digest = serve(upstream, "a/b")
    mark = paths.fetched_manifest("up/a/b", digest)
    fetched, pushed = Registries(upstream, "push: allow"), Registries(upstream, "push: allow")
    fetched.client().get("/v2/up/a/b/manifests/v1")
    assert fetched.services.driver.get(mark, limit=1) == b""
    for each in (fetched, pushed):
        answer = each.client().put("/v2/up/a/b/manifests/mine", data=MANIFEST, content_type=OCI_MANIFEST)
        assert answer.status_code == 201
    assert pushed.client().get("/v2/up/a/b/manifests/v1").data == MANIFEST
    for each in (fetched, pushed):
        with pytest.raises(PathNotFoundError):
            each.services.driver.stat(mark)
        each.close()


def test_where_nothing_can_be_pushed_nothing_is_marked(upstream: Registry, cache: Registries) -> None:
    digest = serve(upstream, "a/b")
    assert cache.client().get("/v2/up/a/b/manifests/v1").data == MANIFEST
    with pytest.raises(PathNotFoundError):
        cache.services.driver.stat(paths.fetched_manifest("up/a/b", digest))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_given_to_a_client_was_used_now(upstream: Registry, tmp_path: Path, method: str) -> None:
    digest, layer = serve(upstream, "a/b"), Digest.of(LAYER)
    text = f"proxies: [{{name: up, remoteurl: '{upstream.url}', {NETWORK}}}]"
    links = [paths.revision_link("up/a/b", digest), paths.layer_link("up/a/b", layer)]
    for _ in range(2):
        # A process looks at a link once a day: each round is a process.
        services = build_services(configure(text), driver=FilesystemDriver(str(tmp_path)))
        client = create_app(services).test_client()
        client.open(f"/v2/up/a/b/manifests/{digest}", method=method)
        client.get(f"/v2/up/a/b/blobs/{layer}").close()
        services.close()
        ages = [services.driver.stat(link).modified for link in links]
        for link in links:
            os.utime(f"{tmp_path}{link}", (1, 1))
    assert min(ages) > 1


class Opening(Repositories):
    """Repositories of an upstream that has none of them."""

    def __init__(self, driver: InMemoryDriver, url: str) -> None:
        super().__init__(driver)
        configuration = configure(f"proxies: [{{name: up, remoteurl: '{url}', cache: {{deleted: serve}}, {NETWORK}}}]")
        passage = Passage(Runs(driver))
        self.proxied = Proxied(configuration, driver, Repositories(driver), passage, pseudonym="pseudonym")

    def open(self, name: str) -> ports.Repository:  # type: ignore[override]  # it is one of registry.ports, too
        return self.proxied.open(Place(name, "up", name), Nobody())


class TestOverAnEmptyUpstream(RepositoriesConformance):
    @pytest.fixture
    def repositories(self, upstream: Registry) -> Iterator[ports.Repositories]:
        made = Opening(InMemoryDriver(), upstream.url)
        yield made
        made.proxied.close()
