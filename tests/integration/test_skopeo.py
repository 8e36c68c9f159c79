from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import DOCKER_MANIFEST, OCI_MANIFEST
from tests.integration.clients import finish, require_program, run
from tests.integration.content import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.content import Samples
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def skopeo() -> str:
    return require_program("skopeo")


def push(skopeo: str, source: str, target: str, *options: str) -> None:
    run(skopeo, "--insecure-policy", "copy", "--dest-tls-verify=false", *options, source, f"docker://{target}")


def pull(skopeo: str, source: str, target: str, *options: str) -> None:
    run(skopeo, "--insecure-policy", "copy", "--src-tls-verify=false", *options, f"docker://{source}", target)


def test_debian_image_keeps_its_digest_through_push_and_pull(
    skopeo: str, server: Server, samples: Samples, tmp_path: Path
) -> None:
    push(skopeo, f"oci:{samples.layout.path}:debian", f"{server.host}/skopeo/debian:v1")
    assert server.api.manifest("skopeo/debian", "v1").digest == samples.debian["digest"]

    pull(skopeo, f"{server.host}/skopeo/debian:v1", f"oci:{tmp_path}/pulled:v1")
    pulled = Layout(tmp_path / "pulled")
    assert pulled.tagged("v1")["digest"] == samples.debian["digest"]
    layers = {layer["digest"] for layer in samples.layout.document(samples.debian["digest"])["layers"]}
    assert layers < pulled.digests()


@pytest.mark.parametrize("form", ["v2s2", "oci"])
def test_image_is_served_in_the_format_it_was_pushed_in(
    skopeo: str, server: Server, samples: Samples, tmp_path: Path, form: str
) -> None:
    target = f"{server.host}/skopeo/formats:{form}"
    push(skopeo, f"oci:{samples.layout.path}:amd64", target, f"--format={form}")
    stored = server.api.manifest("skopeo/formats", form)
    assert stored.headers["Content-Type"] == {"v2s2": DOCKER_MANIFEST, "oci": OCI_MANIFEST}[form]

    pull(skopeo, target, f"dir:{tmp_path}/pulled", "--preserve-digests")
    assert (tmp_path / "pulled/manifest.json").read_bytes() == stored.body


def test_index_is_copied_with_all_its_architectures(
    skopeo: str, server: Server, samples: Samples, tmp_path: Path
) -> None:
    push(skopeo, f"oci:{samples.layout.path}:multi", f"{server.host}/skopeo/multi:v1", "--all")
    assert server.api.manifest("skopeo/multi", "v1").digest == samples.multi["digest"]

    pull(skopeo, f"{server.host}/skopeo/multi:v1", f"oci:{tmp_path}/pulled:v1", "--all")
    pulled = Layout(tmp_path / "pulled")
    assert pulled.tagged("v1")["digest"] == samples.multi["digest"]
    children = {child["digest"] for child in samples.layout.document(samples.multi["digest"])["manifests"]}
    assert children < pulled.digests()


def test_tags_are_listed_and_an_image_inspected_and_deleted(skopeo: str, server: Server, samples: Samples) -> None:
    repository = f"{server.host}/skopeo/tags"
    for tag in ("one", "two"):
        push(skopeo, f"oci:{samples.layout.path}:amd64", f"{repository}:{tag}")
    listed = json.loads(run(skopeo, "list-tags", "--tls-verify=false", f"docker://{repository}"))
    assert listed["Tags"] == ["one", "two"]
    inspected = json.loads(run(skopeo, "inspect", "--tls-verify=false", f"docker://{repository}:one"))
    assert inspected["Digest"] == samples.amd64["digest"]
    assert inspected["Architecture"] == "amd64"

    run(skopeo, "delete", "--tls-verify=false", f"docker://{repository}:one")
    gone = finish(skopeo, "inspect", "--tls-verify=false", f"docker://{repository}:one")
    assert gone.returncode != 0
    assert "manifest unknown" in gone.stderr


def test_second_repository_mounts_the_layers_of_the_first(skopeo: str, server: Server, samples: Samples) -> None:
    push(skopeo, f"oci:{samples.layout.path}:amd64", f"{server.host}/skopeo/origin:v1")
    run(
        skopeo,
        "--insecure-policy",
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        f"docker://{server.host}/skopeo/origin:v1",
        f"docker://{server.host}/skopeo/copy:v1",
    )
    assert server.api.manifest("skopeo/copy", "v1").digest == samples.amd64["digest"]


def test_sync_mirrors_a_repository_into_a_directory(
    skopeo: str, server: Server, samples: Samples, tmp_path: Path
) -> None:
    push(skopeo, f"oci:{samples.layout.path}:multi", f"{server.host}/skopeo/sync:v1", "--all")
    source = f"{server.host}/skopeo/sync"
    options = ("--all", "--src-tls-verify=false", "--src=docker", "--dest=dir")
    run(skopeo, "--insecure-policy", "sync", *options, source, tmp_path)
    manifest = tmp_path / "sync:v1/manifest.json"
    assert manifest.read_bytes() == server.api.manifest("skopeo/sync", "v1").body


def test_what_was_copied_within_the_registry_is_pulled_whole(
    skopeo: str, start_server: StartServer, samples: Samples, tmp_path: Path
) -> None:
    server = start_server(settings={"http": {"extensions": {"enabled": True}}})
    push(skopeo, f"oci:{samples.layout.path}:multi", f"{server.host}/skopeo/multi:v1", "--all")
    body = json.dumps({"from": "skopeo/multi:v1", "tag": "stable"}).encode()
    headers = {"Content-Type": "application/json"}

    answer = server.api.request("POST", "/v2/other/place/_registry/tags/copy", body=body, headers=headers)

    assert answer.status == 201
    pull(skopeo, f"{server.host}/other/place:stable", f"oci:{tmp_path}/pulled:v1", "--all")
    pulled = Layout(tmp_path / "pulled")
    assert pulled.tagged("v1")["digest"] == samples.multi["digest"] == answer.digest
    children = {child["digest"] for child in samples.layout.document(samples.multi["digest"])["manifests"]}
    assert children < pulled.digests()
