"""garbage-collect of ours and of the Go registry, on copies of one tree."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registry.oci.digest import Digest
from registry.storage import paths
from tests.integration.api import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, digest_of
from tests.integration.clients import missing
from tests.integration.compat.seeding import DOCKER_IMAGE, LAYER, OCI_IMAGE, OCI_IMAGE_INDEX, REPOSITORIES, check, seed
from tests.integration.content import CONFIG_TYPE, LAYER_TYPE, Descriptor
from tests.integration.servers import clean_environment, configuration, distribution_v3, ours
from tests.integration.storage_tree import faults, stored

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.api import Api
    from tests.integration.conftest import StartServer
    from tests.integration.servers import Flavour

pytestmark = pytest.mark.timeout(120)


def leave_garbage(api: Api) -> None:
    api.push_blob("a", b"nobody names this")
    for repository in ("a-b", "ab"):
        for manifest in (OCI_IMAGE_INDEX, OCI_IMAGE, DOCKER_IMAGE):
            assert api.delete(f"/v2/{repository}/manifests/{digest_of(manifest)}").status == 202
    seed(api, ("moving",))
    assert api.put_manifest("moving", "oci", DOCKER_IMAGE, DOCKER_MANIFEST).status == 201


def collect(flavour: Flavour, root: Path, *arguments: str) -> set[str]:
    """Run garbage collection on the tree at `root` and return its lines."""
    config = root.with_suffix(".yml")
    config.write_text(yaml.safe_dump(configuration(root, 1, "secret")))
    command = [flavour.command[0], "garbage-collect", *arguments, str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean_environment(), timeout=60)
    return {line for line in done.stdout.splitlines() if "eligible" in line}


@pytest.mark.parametrize("arguments", [(), ("--delete-untagged",), ("-m", "--dry-run")])
def test_it_leaves_what_the_go_registry_leaves(
    start_server: StartServer, go_registry: Flavour, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    server = start_server(go_registry, root=tmp_path / "theirs")
    seed(server.api)
    leave_garbage(server.api)
    server.stop_cleanly()
    shutil.copytree(tmp_path / "theirs", tmp_path / "ours")
    before = stored(tmp_path / "ours")

    theirs = collect(go_registry, tmp_path / "theirs", *arguments)
    mine = collect(ours(), tmp_path / "ours", "--grace=0s", *arguments)

    if go_registry.name == "v3":  # 2.8 leaves links that lead nowhere and deletes the images of an index
        assert stored(tmp_path / "ours") == stored(tmp_path / "theirs")
        assert blobs_of(mine) == blobs_of(theirs)
    assert (stored(tmp_path / "ours") == before) == ("--dry-run" in arguments)
    assert faults(tmp_path / "ours") == []
    again = start_server(go_registry, root=tmp_path / "ours")
    check(again.api, tuple(name for name in REPOSITORIES if name not in {"a-b", "ab"}))
    assert again.api.blob("a", digest_of(LAYER)).status == 200


def blobs_of(lines: set[str]) -> set[str]:
    return {line for line in lines if line.startswith("blob eligible")}


def put(root: Path, path: str, content: bytes) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def put_blob(root: Path, name: str, content: bytes, *, linked: bool = True) -> Descriptor:
    digest = Digest.of(content)
    put(root, paths.blob_data(digest), content)
    if linked:
        put(root, paths.layer_link(name, digest), str(digest).encode())
    return {"mediaType": LAYER_TYPE, "digest": str(digest), "size": len(content)}


def put_manifest(root: Path, name: str, document: dict[str, Any], *, linked: bool = True) -> Descriptor:
    content = json.dumps({"schemaVersion": 2, **document}).encode()
    described = {**put_blob(root, name, content, linked=False), "mediaType": document["mediaType"]}
    if linked:
        put(root, paths.revision_link(name, Digest.of(content)), described["digest"].encode())
    return described


def put_image(root: Path, name: str, layers: list[Descriptor], *, linked: bool = True) -> Descriptor:
    config = {**put_blob(root, name, f"config of {name} with {layers}".encode()), "mediaType": CONFIG_TYPE}
    return put_manifest(root, name, {"mediaType": OCI_MANIFEST, "config": config, "layers": layers}, linked=linked)


def put_tag(root: Path, name: str, tag: str, *history: Descriptor) -> None:
    for each in history:
        put(root, paths.tag_history_link(name, tag, Digest.parse(each["digest"])), each["digest"].encode())
    put(root, paths.tag_link(name, tag), history[-1]["digest"].encode())


def put_odd_repository(root: Path, name: str, odds: random.Random) -> None:
    """Make a repository of which parts are missing; none of its content is in another one."""
    layers = [put_blob(root, name, f"{name} {each}".encode(), linked=odds.random() < 0.8) for each in range(6)]
    manifests: list[Descriptor] = []
    for _ in range(odds.randrange(2, 6)):
        linked = odds.random() < 0.8 or not manifests
        if manifests and odds.random() < 0.5:
            children = odds.sample(manifests, odds.randrange(1, len(manifests) + 1))
            document = {"mediaType": OCI_INDEX, "manifests": children, "annotations": {"of": f"{name} {odds.random()}"}}
            manifests.append(put_manifest(root, name, document, linked=linked))
        else:
            manifests.append(put_image(root, name, odds.sample(layers, odds.randrange(4)), linked=linked))
    linked_ones = [each for each in manifests if (root / link_of(name, each)).exists()]
    for number in range(odds.randrange(1, 3)):
        put_tag(root, name, f"v{number}", *odds.sample(linked_ones, odds.randrange(1, len(linked_ones) + 1)))


def link_of(name: str, described: Descriptor) -> str:
    return paths.revision_link(name, Digest.parse(described["digest"])).lstrip("/")


@pytest.mark.parametrize("arguments", [(), ("--delete-untagged",)])
def test_odd_trees_are_left_as_the_go_registry_leaves_them(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    theirs = distribution_v3()
    if theirs is None:
        missing("the Go registry (v3)")
    assert theirs
    odds = random.Random(15)
    for number in range(60):
        put_odd_repository(tmp_path / "theirs", odds.choice(("team", f"group-{number % 7}")) + f"/app{number}", odds)
    put_blob(tmp_path / "theirs", "", b"that no repository has", linked=False)
    shutil.copytree(tmp_path / "theirs", tmp_path / "ours")
    before = stored(tmp_path / "ours")

    told = collect(theirs, tmp_path / "theirs", *arguments)
    mine = collect(ours(), tmp_path / "ours", "--grace=0s", *arguments)

    assert stored(tmp_path / "ours") == stored(tmp_path / "theirs")
    assert len(stored(tmp_path / "ours")) < len(before)
    # The Go registry names all tags of the repository beside a manifest, ours those that have pointed to it.
    assert {line.partition(" [")[0] for line in mine} == {line.partition(" [")[0] for line in told}


def test_an_index_in_two_repositories_keeps_the_layers_that_the_go_registry_loses(
    go_registry: Flavour, tmp_path: Path
) -> None:
    """It takes what it has seen in the first one for done, where the index has no image any more."""
    root = tmp_path / "theirs"
    layer = put_blob(root, "b", b"layer")
    image = put_image(root, "b", [layer])
    for name in ("a", "b"):
        put_blob(root, name, b"layer")
        put_tag(root, name, "v1", put_manifest(root, name, {"mediaType": OCI_INDEX, "manifests": [image]}))
    shutil.copytree(root, tmp_path / "ours")
    data = paths.blob_data(Digest.parse(layer["digest"])).lstrip("/")

    collect(go_registry, root, "-m")
    collect(ours(), tmp_path / "ours", "-m", "--grace=0s")

    assert (tmp_path / "ours" / data).exists()
    assert not (root / data).exists()
