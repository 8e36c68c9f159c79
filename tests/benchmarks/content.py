"""What the registries serve while they are measured: pushed through the API, or planted where that would take hours."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.connection import Connection, with_digest
from tests.integration.api import OCI_MANIFEST
from tests.integration.content import CONFIG_TYPE, LAYER_TYPE, Layout

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.peers import Server

REPOSITORY = "bench/image"
TAG = "latest"
KIB = 1024
MIB = 1024 * KIB
_TAIL_BYTES = 32
_LAYERS = 8
_TREE = "docker/registry/v2"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything; sizes in bytes."""

    seconds: float
    requests: int
    large: int
    huge: int
    chunked: int
    tags: int
    repositories: int
    idle: int


FULL = Scale(4.0, 6400, 200 * MIB, 1024 * MIB, 64 * MIB, 50_000, 20_000, 256)
SHORT = Scale(0.3, 64, 8 * MIB, 16 * MIB, 4 * MIB, 1_000, 200, 64)


@dataclass(frozen=True, slots=True)
class Samples:
    """Blobs by size, a manifest, and files that pushes vary: see tests.benchmarks.pushing."""

    directory: Path
    blobs: dict[int, str]
    manifest: bytes
    scale: Scale

    @property
    def manifest_digest(self) -> str:
        """The digest of the manifest that TAG points to."""
        return digest_of(self.manifest)

    @property
    def manifest_path(self) -> Path:
        """The file that holds the manifest."""
        return self.directory / "manifest.json"

    def push_file(self, size: int) -> Path:
        """Return a file that makes a blob of `size` bytes together with the tail that each push gives it."""
        return _file(self.directory / f"push-{size}", size - _TAIL_BYTES)

    def blob_file(self, size: int) -> Path:
        """Return the file of a blob that every registry serves."""
        return self.directory / f"blob-{size}"


def make_samples(directory: Path, scale: Scale) -> Samples:
    """Make everything that is pushed to each registry before it is measured."""
    directory.mkdir(parents=True, exist_ok=True)
    blobs = {}
    for size in (4 * KIB, MIB, scale.large):
        with _file(directory / f"blob-{size}", size).open("rb") as file:
            blobs[size] = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    layers = [{"mediaType": LAYER_TYPE, "digest": blobs[4 * KIB], "size": 4 * KIB}] * _LAYERS
    config = {"mediaType": CONFIG_TYPE, "digest": blobs[4 * KIB], "size": 4 * KIB}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
    samples = Samples(directory, blobs, json.dumps(document).encode(), scale)
    samples.manifest_path.write_bytes(samples.manifest)
    return samples


def push_samples(server: Server, samples: Samples) -> None:
    """Give the registry the blobs and the manifest."""
    with Connection("127.0.0.1", server.site.port) as connection:
        for size, digest in samples.blobs.items():
            location = connection.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", expected=202).location
            with samples.blob_file(size).open("rb") as file:
                connection.request("PUT", with_digest(location, digest), expected=201, file=file)
        target = f"/v2/{REPOSITORY}/manifests/{TAG}"
        connection.request("PUT", target, expected=201, body=samples.manifest, media_type=OCI_MANIFEST)


def plant_tags(root: Path, repository: str, number: int, digest: str) -> None:
    """Write `number` tags of a repository into a distribution registry's tree."""
    base = root / _TREE / "repositories" / repository / "_manifests" / "tags"
    for index in range(number):
        current = base / f"tag-{index:06}" / "current"
        current.mkdir(parents=True)
        (current / "link").write_text(digest)


def plant_repositories(root: Path, number: int, digest: str) -> None:
    """Write `number` repositories with one tag each into a distribution registry's tree."""
    for index in range(number):
        plant_tags(root, f"catalog-{index // 1000:03}/image-{index % 1000:03}", 1, digest)


def forget_pushed(root: Path, since: float) -> None:
    """Delete the bytes of blobs that were pushed after `since`, so that the medium does not fill up."""
    tree = root / _TREE / "blobs"
    for path in (tree if tree.is_dir() else root).rglob("*"):
        status = path.lstat()
        if path.is_file() and status.st_size >= MIB and status.st_mtime >= since:
            path.unlink()


def make_image(directory: Path, sizes: tuple[int, ...]) -> Layout:
    """Make an OCI layout with one image, tagged, whose layers no registry has seen before."""
    layout = Layout.create(directory)
    layers = [layout.add(LAYER_TYPE, os.urandom(size)) for size in sizes]
    layout.tag(TAG, layout.add_image(layers, [layer["digest"] for layer in layers], "amd64"))
    return layout


def digest_of(content: bytes) -> str:
    """Return the sha256 digest of `content`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _file(path: Path, size: int) -> Path:
    """Return a file of `size` random bytes at `path`."""
    if not path.exists():
        with path.open("wb") as file:
            for start in range(0, size, MIB):
                file.write(os.urandom(min(MIB, size - start)))
    return path
