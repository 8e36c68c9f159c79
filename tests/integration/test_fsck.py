"""``registry fsck`` beside a server that takes pushes: what was acknowledged stays, and what was damaged is healed."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.digest import Digest
from registry.storage import paths
from tests.integration.api import OCI_MANIFEST, digest_of
from tests.integration.clients import require_program, run
from tests.integration.pages import PROGRAMS
from tests.integration.servers import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.api import Api
    from tests.integration.conftest import StartServer

pytestmark = pytest.mark.timeout(300)

CONFIG = b'{"architecture":"amd64","os":"linux"}'
SHARED = b"a layer that every image has" * 1000
ROUNDS = 12


def image(number: int) -> tuple[bytes, bytes]:
    """Return a layer, and the manifest of an image that has it and the shared one."""
    layer = b"layer %d" % number
    named = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(each), "size": len(each)}
        for each in (SHARED, layer)
    ]
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(CONFIG), "size": len(CONFIG)}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": named}
    return layer, json.dumps(document).encode()


def push(api: Api, repository: str, number: int) -> bool:
    """Push an image with all its blobs; tell whether it was taken."""
    layer, manifest = image(number)
    for each in (CONFIG, SHARED, layer):
        api.push_blob(repository, each)
    return api.put_manifest(repository, f"v{number}", manifest).status == 201


def fsck(config: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    command = [str(PROGRAMS / "registry"), "fsck", "--json", *arguments, str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(), timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def damage(driver: FilesystemDriver, number: int) -> None:
    """Damage what a push, or a crash of another registry, may have left: a tag, a manifest, a blob, a link."""
    layer, manifest = image(number)
    name = f"team/app{number % 3}"
    ways = [
        lambda: driver.put(paths.tag_link(name, f"v{number}"), b""),
        lambda: driver.delete(paths.revision_link(name, Digest.parse(digest_of(manifest)))),
        lambda: driver.put(paths.blob_data(Digest.of(layer)), b"torn"),
        lambda: driver.delete(paths.layer_link(name, Digest.of(SHARED))),
        lambda: driver.put(paths.blob_data(Digest.of(manifest)), b"torn"),
    ]
    ways[number % len(ways)]()


def test_beside_pushes_nothing_acknowledged_is_lost_and_all_damage_is_found(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    config = next(tmp_path.glob("*.yml"))
    driver = FilesystemDriver(str(server.root))
    pushed: list[tuple[str, int]] = []
    stop = threading.Event()

    def push_on(start: int) -> None:
        number = start
        while not stop.is_set():
            number += 3
            if push(server.api, f"new/app{start}", number):
                pushed.append((f"new/app{start}", number))

    pushers = [threading.Thread(target=push_on, args=(start,)) for start in range(1000, 1003)]
    for number in range(ROUNDS):
        assert push(server.api, f"team/app{number % 3}", number)
    for each in pushers:
        each.start()
    try:
        for number in range(ROUNDS):
            damage(driver, number)
            status, _ = fsck(config, "--deep", "--repair", "--relink")
            assert status in {0, 3}
            assert push(server.api, f"team/app{number % 3}", number)
    finally:
        stop.set()
        for each in pushers:
            each.join()

    assert len(pushed) > ROUNDS
    status, told = fsck(config, "--deep")
    assert (status, told["findings"]) == (0, [])
    for repository, number in [*pushed, *((f"team/app{number % 3}", number) for number in range(ROUNDS))]:
        layer, manifest = image(number)
        assert server.api.manifest(repository, f"v{number}").body == manifest
        assert server.api.get(f"/v2/{repository}/blobs/{digest_of(layer)}").body == layer


def test_after_a_repair_a_push_stores_a_damaged_layer_again(start_server: StartServer, tmp_path: Path) -> None:
    crane = require_program("crane")
    server = start_server()
    config = next(tmp_path.glob("*.yml"))
    assert push(server.api, "team/app", 1)
    run(crane, "pull", "--insecure", "--format", "oci", f"{server.host}/team/app:v1", tmp_path / "layout")
    layer = Digest.of(image(1)[0])
    FilesystemDriver(str(server.root)).put(paths.blob_data(layer), b"LAYER 1")

    def push_again() -> None:
        # This client asks for the tag's manifest first. Where that is there, it asks for nothing else.
        run(crane, "push", "--insecure", tmp_path / "layout", f"{server.host}/team/app:again")

    push_again()
    assert fsck(config, "--deep")[0] == 3, "the client was told that the layer is there"
    assert fsck(config, "--deep", "--repair")[0] == 3
    assert server.api.delete("/v2/team/app/manifests/again").status == 202
    push_again()

    assert fsck(config, "--deep")[0] == 0
