"""Engines that reach a registry by a cache of ours, as each is configured for it, and what they do when it fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.clients import require_program, run
from tests.integration.containerd import Containerd
from tests.integration.engine import Engine
from tests.integration.servers import Server, free_port, ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.content import Samples
    from tests.integration.servers import Flavour

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("docker")]

REGISTRY = "hub.example"
"""What clients call the registry that is cached. Nobody knows an address of it."""


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory, debian_flavour: Flavour, samples: Samples) -> Iterator[Server]:
    """A registry with images, of which one counts what it is asked by its log."""
    directory = tmp_path_factory.mktemp("upstream")
    running = Server(debian_flavour, directory / "root", directory).start()
    try:
        samples.layout.push(running.api, "library/small", samples.multi, "v1")
        samples.layout.push(running.api, "library/debian", samples.debian, "v1")
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory, upstream: Server) -> Iterator[Server]:
    """A cache of all of the upstream, as the Go registry is configured."""
    yield from _running(tmp_path_factory.mktemp("classic"), {"proxy": {"remoteurl": upstream.url}})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, upstream: Server) -> Iterator[Server]:
    """A registry that has one of its own repositories and caches the upstream beside them."""
    yield from _running(tmp_path_factory.mktemp("cache"), {"proxies": [_entry(upstream.url)]})


def _entry(url: str) -> dict[str, Any]:
    return {"name": "hub", "remoteurl": url, "prefix": "hub", "namespaces": [REGISTRY]}


def _running(directory: Path, settings: dict[str, Any]) -> Iterator[Server]:
    running = Server(ours(), directory / "root", directory, settings=settings).start()
    try:
        yield running
        running.stop_cleanly()
    finally:
        if running.is_running():
            running.kill()


@pytest.fixture(scope="module")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    daemon, client = require_program("containerd"), require_program("ctr")
    running = Containerd(daemon, client, tmp_path_factory.mktemp("containerd"))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def podman(short_directory: Path) -> Callable[..., str]:
    """Give podman with a storage of its own, and a first argument that names its registries.conf."""
    program = require_program("podman")
    stores = ("--root", short_directory / "root", "--runroot", short_directory / "run", "--storage-driver=vfs")

    def podman(registries: Path, *arguments: str) -> str:
        return run(program, *stores, *arguments, env={"CONTAINERS_REGISTRIES_CONF": str(registries)})

    return podman


def test_docker_pulls_by_a_registry_mirror_and_again_while_the_upstream_is_down(
    tmp_path_factory: pytest.TempPathFactory, debian_flavour: Flavour, samples: Samples, tmp_path: Path
) -> None:
    source = Server(debian_flavour, tmp_path / "source", tmp_path).start()
    samples.layout.push(source.api, "library/debian", samples.debian, "v1")
    mirror = Server(ours(), tmp_path / "root", tmp_path, settings={"proxy": {"remoteurl": source.url}}).start()
    directory = tmp_path_factory.mktemp("engine")
    engine = Engine(require_program("docker"), require_program("dockerd"), directory, mirror.url)
    try:
        engine.start()
        engine.docker("pull", "debian:v1")
        expected = [f"debian@{samples.debian['digest']}"]
        assert json.loads(engine.docker("image", "inspect", "debian:v1"))[0]["RepoDigests"] == expected

        source.kill()
        engine.docker("rmi", "debian:v1")
        engine.docker("pull", "debian:v1")
        assert json.loads(engine.docker("image", "inspect", "debian:v1"))[0]["RepoDigests"] == expected
        mirror.stop_cleanly()
    finally:
        engine.stop()
        for each in (source, mirror):
            if each.is_running():
                each.kill()


def test_containerd_pulls_by_the_namespace_of_the_registry(
    containerd: Containerd, cache: Server, samples: Samples
) -> None:
    containerd.mirror(REGISTRY, [cache.url], f"http://127.0.0.1:{free_port()}")
    containerd.pull(f"{REGISTRY}/library/small:v1")

    assert f"{REGISTRY}/library/small:v1 " in containerd.ctr("images", "list")
    assert samples.multi["digest"] in containerd.ctr("images", "list")
    assert cache.api.get("/v2/hub/library/small/tags/list").json()["tags"] == ["v1"]
    containerd.forget()


def test_containerd_fetches_a_large_image_by_a_classic_cache(
    containerd: Containerd, classic: Server, samples: Samples
) -> None:
    containerd.mirror(REGISTRY, [classic.url], f"http://127.0.0.1:{free_port()}")
    containerd.pull(f"{REGISTRY}/library/debian:v1")
    held = set(containerd.ctr("content", "list", "--quiet").split())
    document = samples.layout.document(samples.debian["digest"])
    assert {layer["digest"] for layer in document["layers"]} <= held
    containerd.forget()


def test_containerd_falls_back_to_the_registry_itself_where_the_cache_cannot_help(
    containerd: Containerd, upstream: Server, samples: Samples, tmp_path: Path
) -> None:
    dead = {"proxies": [_entry(f"http://127.0.0.1:{free_port()}")]}
    for broken in _running(tmp_path, dead):
        containerd.mirror(REGISTRY, [broken.url], upstream.url)
        containerd.pull(f"{REGISTRY}/library/small:v1")

        assert samples.multi["digest"] in containerd.ctr("images", "list")
        assert "ns=hub.example" in broken.log
    containerd.forget()


def test_podman_pulls_by_a_mirror_in_registries_conf(
    podman: Callable[..., str], cache: Server, samples: Samples, tmp_path: Path
) -> None:
    registries = _registries_conf(tmp_path, [f"{cache.host}/hub"], f"127.0.0.1:{free_port()}")
    pulled = podman(registries, "pull", "--quiet", f"{REGISTRY}/library/small:v1").split()[-1]

    digests = podman(registries, "image", "inspect", "--format={{.Digest}}", pulled).strip()
    assert digests in {samples.multi["digest"], samples.amd64["digest"]}
    podman(registries, "rmi", "--force", pulled)


def test_podman_falls_back_to_the_registry_itself_where_the_cache_cannot_help(
    podman: Callable[..., str], upstream: Server, tmp_path: Path
) -> None:
    dead = {"proxies": [_entry(f"http://127.0.0.1:{free_port()}")]}
    for broken in _running(tmp_path, dead):
        registries = _registries_conf(tmp_path, [f"{broken.host}/hub"], upstream.host)
        pulled = podman(registries, "pull", "--quiet", f"{REGISTRY}/library/small:v1").split()[-1]

        assert "/v2/hub/library/small/manifests/v1" in broken.log
        podman(registries, "rmi", "--force", pulled)


def _registries_conf(directory: Path, mirrors: list[str], registry: str) -> Path:
    path = directory / "registries.conf"
    mirrored = "".join(f'[[registry.mirror]]\nlocation = "{each}"\ninsecure = true\n' for each in mirrors)
    path.write_text(f'[[registry]]\nprefix = "{REGISTRY}"\nlocation = "{registry}"\ninsecure = true\n{mirrored}')
    return path


def test_an_index_of_which_one_image_was_pulled_is_served_whole_and_the_rest_comes_on_demand(
    cache: Server, samples: Samples
) -> None:
    answer = cache.api.manifest("hub/library/small", "v1")
    assert answer.digest == samples.multi["digest"]
    for child in samples.layout.document(samples.multi["digest"])["manifests"]:
        assert cache.api.manifest("hub/library/small", child["digest"]).digest == child["digest"]
