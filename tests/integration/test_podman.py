from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import require_program, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.content import Samples
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def podman() -> Iterator[Callable[..., str]]:
    program = require_program("podman")
    storage = Path(tempfile.mkdtemp())  # the directory of a test may have more than the 50 characters that it takes

    def command(*arguments: str | Path) -> str:
        stores = ("--root", storage / "root", "--runroot", storage / "run", "--storage-driver=vfs")
        return run(program, *stores, *arguments)

    yield command
    shutil.rmtree(storage, ignore_errors=True)


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
