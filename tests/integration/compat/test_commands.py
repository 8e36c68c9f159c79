"""``registry ls``, ``tags``, ``du`` and ``rm`` at the URL of the Go registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import digest_of
from tests.integration.clients import finish
from tests.integration.compat.seeding import DOCKER_IMAGE, OCI_IMAGE, OCI_IMAGE_INDEX, seed
from tests.integration.pages import PROGRAMS

if TYPE_CHECKING:
    import subprocess

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Flavour, Server

pytestmark = pytest.mark.timeout(120)


def registry(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = finish(PROGRAMS / "registry", *arguments, "--url", server.url)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def seeded(start_server: StartServer, go_registry: Flavour) -> Server:
    server = start_server(go_registry)
    seed(server.api, ("a", "a/b"))
    for tag in ("also", "oci2"):
        assert server.api.put_manifest("a", tag, OCI_IMAGE).status == 201
    return server


def test_it_is_listed_and_measured(seeded: Server) -> None:
    assert registry(seeded, "ls").stdout == "a\na/b\n"
    tags = registry(seeded, "ls", "a/b").stdout.split()
    rows = json.loads(registry(seeded, "tags", "a/b", "--json").stdout)
    assert [f"{row['repository']}:{row['tag']}" for row in rows] == tags
    digests = {row["tag"]: row["digest"] for row in rows}
    assert digests["docker"] == digest_of(DOCKER_IMAGE)
    assert digests["oci"] == digest_of(OCI_IMAGE)
    assert digests["index"] == digest_of(OCI_IMAGE_INDEX)
    assert all(row["size"] > 0 for row in rows)
    usage = json.loads(registry(seeded, "du", "--json").stdout)
    sizes = {row["name"]: row for row in usage["repositories"]}
    assert sizes["a"]["unique"] == sizes["a/b"]["unique"] == 0
    assert usage["total"] == sizes["a"]["total"] == sizes["a/b"]["total"]


def test_a_tag_goes_alone_or_not_at_all(seeded: Server) -> None:
    done = registry(seeded, "rm", "a:oci")
    left = registry(seeded, "ls", "a").stdout.split()
    if seeded.flavour.name == "v3":
        assert (done.returncode, done.stdout) == (0, "deleted a:oci\n")
        assert "a:oci" not in left
    else:
        assert (done.returncode, done.stdout) == (1, "")
        assert f"--all-tags deletes {digest_of(OCI_IMAGE)}, which also has the tags also, oci2\n" in done.stderr
        assert "a:oci" in left
    assert {"a:also", "a:oci2"} <= set(left)


def test_a_manifest_and_a_repository_go_with_their_tags(seeded: Server) -> None:
    done = registry(seeded, "rm", "a:also", "--all-tags", "--yes")
    assert (done.returncode, done.stdout.split(" with ")[0]) == (0, f"deleted a@{digest_of(OCI_IMAGE)}")
    assert not {"a:also", "a:oci", "a:oci2"} & set(registry(seeded, "ls", "a").stdout.split())
    assert registry(seeded, "rm", "a", "--yes").returncode == 0
    assert registry(seeded, "ls", "a").stdout == ""
    for digest in map(digest_of, (DOCKER_IMAGE, OCI_IMAGE, OCI_IMAGE_INDEX)):
        assert seeded.api.manifest("a", digest).status == 404
        assert seeded.api.manifest("a/b", digest).status == 200


def test_a_registry_that_deletes_nothing_is_told_of(start_server: StartServer, go_registry: Flavour) -> None:
    server = start_server(go_registry, settings={"storage": {"delete": {"enabled": False}}})
    seed(server.api, ("a",))
    done = registry(server, "rm", f"a@{digest_of(OCI_IMAGE)}", "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not deleted: 405: storage.delete.enabled is false there" in done.stderr
