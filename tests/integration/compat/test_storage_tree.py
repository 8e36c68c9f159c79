"""One storage tree, opened by our registry and by the Go registry in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.api import digest_of
from tests.integration.compat.seeding import CONFIG, LAYER, OCI_IMAGE, REPOSITORIES, check, seed
from tests.integration.servers import ours
from tests.integration.storage_tree import faults, stored

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Flavour

pytestmark = pytest.mark.timeout(120)

LATER = ("later", "later/still")


def test_tree_written_by_ours_has_the_files_that_the_go_registry_writes(
    start_server: StartServer, go_registry: Flavour, tmp_path: Path
) -> None:
    trees = []
    for flavour in (go_registry, ours()):
        server = start_server(flavour, root=tmp_path / flavour.name)
        seed(server.api)
        assert server.api.put_manifest("a", "moved", OCI_IMAGE).status == 201
        assert server.api.request("POST", f"/v2/mounted/blobs/uploads/?mount={digest_of(LAYER)}&from=a").status == 201
        trees.append(stored(server.root))
    assert trees[0] == trees[1]


@pytest.mark.parametrize("ours_first", [True, False])
def test_tree_is_read_and_continued_by_the_other_registry_and_read_back(
    start_server: StartServer, go_registry: Flavour, tmp_path: Path, *, ours_first: bool
) -> None:
    root = tmp_path / "shared"
    first, second = (ours(), go_registry) if ours_first else (go_registry, ours())

    writer = start_server(first, root=root)
    seed(writer.api)
    writer.stop_cleanly()
    assert faults(root) == []

    other = start_server(second, root=root)
    check(other.api)
    assert other.api.get("/v2/_catalog").json()["repositories"] == ["a", "a/b", "a/b/c", "a-b", "ab"]
    seed(other.api, LATER)
    digest = digest_of(OCI_IMAGE)
    assert other.api.delete(f"/v2/ab/manifests/{digest}").status == 202
    assert other.api.delete(f"/v2/a-b/blobs/{digest_of(CONFIG)}").status == 202
    other.stop_cleanly()
    assert [fault for fault in faults(root) if "/a-b/" not in fault] == []

    again = start_server(first, root=root)
    check(again.api, ("a", "a/b", "a/b/c", *LATER))
    assert again.api.manifest("ab", digest).status == 404
    assert again.api.manifest("ab", "oci").status == 404
    assert again.api.manifest("ab", "docker").status == 200
    assert again.api.blob("a-b", digest_of(CONFIG)).status == 404
    assert again.api.blob("a-b", digest_of(LAYER)).status == 200


def test_both_registries_serve_one_tree_at_the_same_time(
    start_server: StartServer, go_registry: Flavour, tmp_path: Path
) -> None:
    servers = [start_server(flavour, root=tmp_path / "shared") for flavour in (go_registry, ours())]
    for number, repository in enumerate(REPOSITORIES):
        seed(servers[number % 2].api, (repository,))
    for server in servers:
        check(server.api)
    assert faults(tmp_path / "shared") == []
