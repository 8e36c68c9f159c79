"""garbage-collect of ours and of the Go registry, on copies of one tree."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.integration.api import DOCKER_MANIFEST, digest_of
from tests.integration.compat.seeding import DOCKER_IMAGE, LAYER, OCI_IMAGE, OCI_IMAGE_INDEX, REPOSITORIES, check, seed
from tests.integration.servers import clean_environment, configuration, ours
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
