from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import DOCKER_MANIFEST, OCI_MANIFEST
from tests.integration.clients import require_program, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.content import Samples
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def buildah(short_directory: Path) -> Callable[..., str]:
    program = require_program("buildah")
    stores = ("--root", short_directory / "root", "--runroot", short_directory / "run", "--storage-driver=vfs")
    return lambda *arguments: run(program, *stores, *arguments)


@pytest.mark.parametrize(("form", "media_type"), [("docker", DOCKER_MANIFEST), ("oci", OCI_MANIFEST)])
def test_image_built_from_scratch_comes_back_the_same(
    buildah: Callable[..., str], server: Server, tmp_path: Path, form: str, media_type: str
) -> None:
    image = f"{server.host}/buildah/{form}:v1"
    (tmp_path / "file").write_text("built here")
    container = buildah("from", "scratch").strip()
    buildah("add", container, tmp_path / "file", "/file")
    buildah("commit", "--quiet", f"--format={form}", container, image)
    buildah("push", "--quiet", "--tls-verify=false", "--digestfile", tmp_path / "digest", image)
    stored = server.api.manifest(f"buildah/{form}", "v1")
    assert stored.headers["Content-Type"] == media_type
    assert stored.digest == (tmp_path / "digest").read_text()

    built = json.loads(buildah("inspect", "--type=image", image))["FromImageID"]
    buildah("rm", container)
    buildah("rmi", "--force", built)
    buildah("pull", "--quiet", "--tls-verify=false", image)
    assert json.loads(buildah("inspect", "--type=image", image))["FromImageID"] == built


def test_build_takes_its_base_from_the_registry_and_adds_a_layer(
    buildah: Callable[..., str], server: Server, samples: Samples, tmp_path: Path
) -> None:
    samples.layout.push(server.api, "buildah/base", samples.debian, "v1")
    (tmp_path / "Containerfile").write_text(f"FROM {server.host}/buildah/base:v1\nCOPY note /note\n")
    (tmp_path / "note").write_text("on top of Debian")
    image = f"{server.host}/buildah/derived:v1"
    buildah("build", "--quiet", "--layers", "--tls-verify=false", "--tag", image, tmp_path)
    buildah("push", "--quiet", "--tls-verify=false", image)

    base = samples.layout.document(samples.debian["digest"])["layers"]
    derived = server.api.manifest("buildah/derived", "v1").json()["layers"]
    assert [layer["digest"] for layer in derived[:-1]] == [layer["digest"] for layer in base]


def test_manifest_list_is_pushed_with_all_its_images(
    buildah: Callable[..., str], server: Server, samples: Samples
) -> None:
    samples.layout.push(server.api, "buildah/parts", samples.multi)
    buildah("manifest", "create", "together")
    for child in samples.layout.document(samples.multi["digest"])["manifests"]:
        part = f"docker://{server.host}/buildah/parts@{child['digest']}"
        buildah("manifest", "add", "--tls-verify=false", "together", part)
    target = f"docker://{server.host}/buildah/together:v1"
    buildah("manifest", "push", "--all", "--quiet", "--tls-verify=false", "together", target)
    assert len(server.api.manifest("buildah/together", "v1").json()["manifests"]) == 2
