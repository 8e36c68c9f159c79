"""A storage with three repositories, and its configuration, for commands that look at it or delete from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from drivers.filesystem.driver import FilesystemDriver
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.links import write_link
from registry.storage.repository import Repositories
from tests.archive.images import blob, image, manifest
from tests.commands.forked import run_forked

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.archive.images import Descriptor

SHARED = b"a layer of all" * 1000
OWN = b"a layer of one" * 10
CONFIG = json.dumps({"os": "linux", "architecture": "arm64", "variant": "v8"}).encode()


def configure(directory: Path, more: str = "") -> str:
    """Write a configuration of the storage in `directory`/root and return its path."""
    path = directory / "config.yml"
    path.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {directory / 'root'}}}{more}}}\n")
    return str(path)


def stored(directory: Path) -> Repositories:
    return Repositories(FilesystemDriver(str(directory / "root")))


def fill(directory: Path) -> Descriptor:
    """Push ``base:12``, ``team/app`` with the tags v1, v2 and latest of one image, and ``team/web:v1``, an index.

    All share a layer, and app and web have one of their own. The index has a signature. Return the image of app.
    """
    repositories = stored(directory)
    pushed = {}
    for name in ("base", "team/app", "team/web"):
        repository = repositories.open(name)
        layers = [blob(repository, SHARED)] + ([blob(repository, OWN + name.encode())] if "/" in name else [])
        config = blob(repository, CONFIG, media_types.OCI_CONFIG)
        pushed[name] = manifest(repository, {"mediaType": media_types.OCI_MANIFEST, "config": config, "layers": layers})
    web = repositories.open("team/web")
    entry = pushed["team/web"] | {"platform": {"os": "linux", "architecture": "amd64"}}
    index = manifest(web, {"mediaType": media_types.OCI_INDEX, "manifests": [entry]})
    image(web, subject=index, artifactType="application/x.signature")
    for name, tag, descriptor in (
        ("base", "12", pushed["base"]),
        ("team/app", "v1", pushed["team/app"]),
        ("team/app", "v2", pushed["team/app"]),
        ("team/app", "latest", pushed["team/app"]),
        ("team/web", "v1", index),
    ):
        repositories.open(name).tags.point(Tag(tag), Digest.parse(descriptor["digest"]))
    return pushed["team/app"]


def push_schema1(directory: Path, name: str, tag: str) -> Digest:
    """Store an image of schema 1 as registry:2 has, which this registry does not let in."""
    content = b'{"schemaVersion": 1, "name": "a", "fsLayers": [], "signatures": []}'
    digest, driver = Digest.of(content), FilesystemDriver(str(directory / "root"))
    driver.put(paths.blob_data(digest), content)
    write_link(driver, paths.revision_link(name, digest), digest)
    Repositories(driver).open(name).tags.point(Tag(tag), digest)
    return digest


def run(
    *arguments: str, stdin: str | None = None, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of the registry; it must not end with a traceback."""
    done = run_forked(arguments, stdin or "", environ or {})
    assert "Traceback" not in done.stderr, done.stderr
    return done
