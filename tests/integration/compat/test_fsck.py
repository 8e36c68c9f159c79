"""``registry fsck`` on trees as the Go registries leave them: nothing of them is damaged, however they came about."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.integration.api import DOCKER_MANIFEST, OCI_MANIFEST, digest_of
from tests.integration.compat.seeding import DOCKER_IMAGE, OCI_IMAGE_INDEX, seed
from tests.integration.pages import PROGRAMS
from tests.integration.servers import clean_environment, configuration

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.api import Api
    from tests.integration.conftest import StartServer
    from tests.integration.servers import Flavour

pytestmark = pytest.mark.timeout(120)


def fsck(root: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    config = root.with_suffix(".yml")
    config.write_text(yaml.safe_dump(configuration(root, 1, "secret")))
    command = [str(PROGRAMS / "registry"), "fsck", "--json", *arguments, str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(), timeout=60)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def push_by_sha512(api: Api) -> None:
    """Push a layer, and a manifest that names it, by sha512, which the Go registries keep under its sha256."""
    layer = b"pushed by sha512"
    digest = f"sha512:{hashlib.sha512(layer).hexdigest()}"
    api.push_blob("longer", b"{}")
    assert api.finish_upload(api.begin_upload("longer").location, digest, layer).status == 201
    described = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(layer)}
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"{}"), "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [described]}
    assert api.put_manifest("longer", "v1", json.dumps(manifest).encode(), OCI_MANIFEST).status == 201


def leave_what_clients_leave(api: Api) -> None:
    """Move and delete tags and manifests, delete a blob and begin uploads, as clients do."""
    seed(api, ("moving",))
    assert api.put_manifest("moving", "oci", DOCKER_IMAGE, DOCKER_MANIFEST).status == 201
    assert api.delete(f"/v2/a-b/manifests/{digest_of(OCI_IMAGE_INDEX)}").status == 202
    api.push_blob("a", b"nobody names this")
    assert api.delete(f"/v2/a/blobs/{digest_of(b'nobody names this')}").status == 202
    api.push_blob("only/blobs", b"of a repository without a manifest")
    for _ in range(2):
        assert api.begin_upload("never/finished").status == 202


def test_a_tree_that_a_go_registry_has_made_is_not_damaged(
    start_server: StartServer, go_registry: Flavour, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    server = start_server(go_registry, root=root)
    seed(server.api)
    leave_what_clients_leave(server.api)
    push_by_sha512(server.api)
    server.stop_cleanly()

    status, told = fsck(root, "--deep")

    assert [each for each in told["findings"] if each["damage"]] == []
    assert status == 0
    assert told["summary"]["manifests"] > 5
    status, again = fsck(root, "--deep", "--prune")
    assert (status, again["summary"]["damaged"]) == (0, 0)
    server.start()
    assert server.api.manifest("longer", "v1").status == 200


def test_a_tree_after_a_collection_of_the_go_registry_has_lost_at_most_what_that_loses(
    start_server: StartServer, go_registry: Flavour, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    server = start_server(go_registry, root=root)
    seed(server.api)
    leave_what_clients_leave(server.api)
    server.stop_cleanly()
    command = [go_registry.command[0], "garbage-collect", str(root.with_suffix(".yml"))]
    root.with_suffix(".yml").write_text(yaml.safe_dump(configuration(root, 1, "secret")))
    subprocess.run(command, capture_output=True, check=True, env=clean_environment(), timeout=60)

    status, told = fsck(root, "--deep")

    # Both leave links of repositories without a manifest, to bytes that they delete.
    assert {each["kind"] for each in told["findings"] if each["damage"]} == {"unused-link"}, told
    assert status == 3
    assert fsck(root, "--repair")[0] == 0
    assert fsck(root, "--deep")[1]["summary"]["damaged"] == 0
