"""Clients end at once at a quota that has no room, and say why."""

from __future__ import annotations

import io
import tarfile
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import finish, require_program, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.engine import Engine
    from tests.integration.servers import Server

# One engine for all tests that need one, whatever other tests run in parallel.
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("docker")]

MIB = 1024 * 1024
LAYER = 8 * MIB
AT_ONCE_SECONDS = 30
"""docker tries a push that may succeed later five times, with pauses of 5, 10, 15 and 20 s."""
LIMITS = pytest.mark.parametrize("free", [0, LAYER // 2], ids=["full", "too small"])


@pytest.fixture
def limited(start_server: StartServer) -> Callable[[int], Server]:
    """Give a server whose quota for team/** has so many bytes free."""

    def start(free: int) -> Server:
        quota = {"repositories": "team/**", "limit": f"{free + 1000}", "warn": 0}
        server = start_server(settings={"storage": {"maintenance": {"quotas": [quota]}}, "http": {"workers": 1}})
        server.api.push_blob("team/other", bytes(1000))
        return server

    return start


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file system of an image whose layer cannot be compressed."""
    path = tmp_path_factory.mktemp("quotas") / "layer.tar"
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("content")
        entry.size = LAYER
        tar.addfile(entry, io.BytesIO(Random(7).randbytes(LAYER)))
    return path


def assert_refused(server: Server, *command: str | Path) -> None:
    began = time.monotonic()
    finished = finish(*command)
    seconds = time.monotonic() - began

    said = finished.stdout + finished.stderr
    assert finished.returncode, said
    assert "the quota of team/** has no room: " in said
    assert seconds < AT_ONCE_SECONDS, said
    # That of the config, which crane pushes at the same time, may be left.
    left = server.root.glob("docker/registry/v2/repositories/team/app/_uploads/*/data")
    assert sum(path.stat().st_size for path in left) < MIB
    assert server.api.request("GET", "/v2/team/app/manifests/v1").status == 404


@LIMITS
def test_docker_ends_at_once_and_shows_the_quota(
    engine: Engine, limited: Callable[[int], Server], archive: Path, free: int
) -> None:
    server = limited(free)
    name = f"{server.host}/team/app:v1"
    engine.docker("import", archive, name)
    try:
        assert_refused(server, engine.client, "--host", engine.socket, "push", name)
        elsewhere = f"{server.host}/other/app:v1"
        engine.docker("tag", name, elsewhere)
        engine.docker("push", elsewhere)
        # Pulls and what is there already know no quota.
        engine.docker("pull", elsewhere)
    finally:
        engine.docker("image", "rm", "--force", name)


@LIMITS
def test_skopeo_ends_at_once_and_shows_the_quota(
    limited: Callable[[int], Server], archive: Path, tmp_path: Path, free: int
) -> None:
    skopeo, server = require_program("skopeo"), limited(free)
    push = skopeo, "--insecure-policy", "copy", "--dest-tls-verify=false"
    source = f"oci:{made_layout(archive, tmp_path)}:v1"

    assert_refused(server, *push, source, f"docker://{server.host}/team/app:v1")
    run(*push, source, f"docker://{server.host}/other/app:v1")


@LIMITS
def test_crane_ends_at_once_and_shows_the_quota(limited: Callable[[int], Server], archive: Path, free: int) -> None:
    crane, server = require_program("crane"), limited(free)
    append = crane, "--insecure", "append", "--oci-empty-base", "--new_layer", archive, "--new_tag"

    assert_refused(server, *append, f"{server.host}/team/app:v1")
    run(*append, f"{server.host}/other/app:v1")


def made_layout(archive: Path, directory: Path) -> Path:
    """Return an OCI image layout with an image of that layer, under the tag v1."""
    crane, layout = require_program("crane"), directory / "layout"
    image = directory / "image.tar"
    run(crane, "append", "--oci-empty-base", "--new_layer", archive, "--new_tag", "team/app:v1", "--output", image)
    run(require_program("skopeo"), "--insecure-policy", "copy", f"docker-archive:{image}", f"oci:{layout}:v1")
    return layout
