from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import finish, missing, require_program, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.content import Samples
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def podman(short_directory: Path) -> Callable[..., str]:
    program = require_program("podman")
    stores = ("--root", short_directory / "root", "--runroot", short_directory / "run", "--storage-driver=vfs")
    return lambda *arguments: run(program, *stores, *arguments)


def test_debian_image_comes_back_as_the_image_that_was_pushed(
    podman: Callable[..., str], server: Server, samples: Samples, tmp_path: Path
) -> None:
    image = f"{server.host}/podman/debian:v1"
    loaded = podman("pull", "--quiet", f"oci:{samples.layout.path}:debian").split()[-1]
    podman("push", "--tls-verify=false", "--digestfile", tmp_path / "digest", loaded, image)
    pushed = (tmp_path / "digest").read_text()
    assert server.api.manifest("podman/debian", "v1").digest == pushed

    podman("rmi", "--force", loaded)
    pulled = podman("pull", "--quiet", "--tls-verify=false", image).split()[-1]
    assert pulled == loaded, "the image id is the digest of the configuration"
    assert podman("image", "inspect", "--format={{.Digest}}", pulled).strip() == pushed


def test_image_of_an_index_is_pulled_with_its_files(
    podman: Callable[..., str], server: Server, samples: Samples
) -> None:
    samples.layout.push(server.api, "podman/small", samples.multi, "v1")
    image = f"{server.host}/podman/small:v1"
    podman("pull", "--quiet", "--tls-verify=false", image)
    assert podman("image", "inspect", "--format={{.Digest}}", image).strip() in {
        samples.multi["digest"],
        samples.amd64["digest"],
    }
    mounted = podman("image", "mount", image).strip()
    assert run("cat", f"{mounted}/etc/architecture") == "amd64"
    podman("image", "unmount", image)


def test_manifest_list_is_pushed_with_all_its_images(
    podman: Callable[..., str], server: Server, samples: Samples
) -> None:
    samples.layout.push(server.api, "podman/parts", samples.multi)
    podman("manifest", "create", "together")
    for child in samples.layout.document(samples.multi["digest"])["manifests"]:
        part = f"docker://{server.host}/podman/parts@{child['digest']}"
        podman("manifest", "add", "--tls-verify=false", "together", part)
    podman(
        "manifest",
        "push",
        "--all",
        "--tls-verify=false",
        "together",
        f"docker://{server.host}/podman/together:v1",
    )

    pushed = server.api.manifest("podman/together", "v1").json()
    architectures = {child["platform"]["architecture"] for child in pushed["manifests"]}
    assert architectures == {"amd64", "arm64"}


def test_search_lists_repositories_and_tags(podman: Callable[..., str], server: Server, samples: Samples) -> None:
    samples.layout.push(server.api, "podman/found", samples.amd64, "a")
    samples.layout.push(server.api, "podman/found", samples.amd64, "b")
    query = ("search", "--tls-verify=false", "--format=json")
    repositories = json.loads(podman(*query, f"{server.host}/podman/found"))
    assert [found["Name"] for found in repositories] == [f"{server.host}/podman/found"]
    tags = json.loads(podman(*query, "--list-tags", f"{server.host}/podman/found"))
    assert sorted(tags[0]["Tags"]) == ["a", "b"]


def test_of_a_layer_of_which_most_is_there_podman_fetches_the_rest(server: Server, tmp_path: Path) -> None:
    files, image = tmp_path / "image/files", f"{server.host}/podman/chunked"
    files.mkdir(parents=True)
    (tmp_path / "image/Dockerfile").write_text("FROM scratch\nCOPY files /files\n")
    for number in range(40):
        (files / str(number)).write_bytes(os.urandom(50_000))
    with _overlay_storage(tmp_path) as podman:
        for version in ("v1", "v2"):
            podman("build", "--isolation=chroot", "--quiet", "--tag", f"{image}:{version}", tmp_path / "image")
            podman("push", "--tls-verify=false", "--compression-format=zstd:chunked", f"{image}:{version}")
            for number in (3, 17, 30):
                (files / str(number)).write_bytes(os.urandom(50_000))
        podman("rmi", "--all", "--force")
        podman("pull", "--quiet", "--tls-verify=false", f"{image}:v1")
        before = _blob_bytes_sent(server)
        podman("pull", "--quiet", "--tls-verify=false", f"{image}:v2")

        assert 3 * 50_000 < _blob_bytes_sent(server) - before < 4 * 50_000
        mounted = podman("image", "mount", f"{image}:v2").strip()
        unchanged = [number for number in range(40) if number not in {3, 17, 30}]
        for number in unchanged:
            assert Path(mounted, "files", str(number)).read_bytes() == (files / str(number)).read_bytes()
        podman("image", "unmount", f"{image}:v2")


@contextmanager
def _overlay_storage(directory: Path) -> Iterator[Callable[..., str]]:
    """Give podman with a storage that puts layers together from parts, which vfs cannot."""
    storage, settings = Path(tempfile.mkdtemp()), directory / "storage.conf"
    settings.write_text(
        f"""
        [storage]
        driver = "overlay"
        graphroot = "{storage}/root"
        runroot = "{storage}/run"
        [storage.options]
        pull_options = {{enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}}
        """
    )
    program = require_program("podman")
    environment = {"CONTAINERS_STORAGE_CONF": str(settings)}
    if finish(program, "info", env=environment).returncode:
        missing("a file system on which podman has overlays")
    try:
        yield lambda *arguments: run(program, *arguments, env=environment)
    finally:
        finish("umount", storage / "root/overlay")
        shutil.rmtree(storage, ignore_errors=True)


def _blob_bytes_sent(server: Server) -> int:
    """Return how many bytes of blobs the server has sent so far."""
    lines = [line for line in server.log.splitlines() if "/blobs/" in line and "http.request.method=GET" in line]
    return sum(int(size) for line in lines for size in re.findall(r"http\.response\.written=(\d+)", line))
