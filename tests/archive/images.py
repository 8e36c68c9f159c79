"""Repositories with an index of two images, a signature on it, and a layer that need not be stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.oci.uploads import Chunk

if TYPE_CHECKING:
    from registry.storage.repository import Repository

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
Descriptor = dict[str, Any]


class Quiet:
    def advance(self, size: int, what: str) -> None:
        pass


def blob(repository: Repository, content: bytes, media_type: str = LAYER) -> Descriptor:
    digest = Digest.of(content)
    repository.uploads.finish(repository.uploads.start(), Chunk([content]), digest)
    return {"mediaType": media_type, "digest": str(digest), "size": len(content)}


def manifest(repository: Repository, document: dict[str, Any]) -> Descriptor:
    content = json.dumps({"schemaVersion": 2, **document}).encode()
    digest = Digest.of(content)
    repository.manifests.put(parse_manifest(content), digest)
    return {"mediaType": document["mediaType"], "digest": str(digest), "size": len(content)}


def image(repository: Repository, *layers: Descriptor, **others: Any) -> Descriptor:
    config = blob(repository, b"{}", media_types.OCI_CONFIG)
    return manifest(repository, {"mediaType": media_types.OCI_MANIFEST, "config": config, "layers": layers, **others})


def fill(repository: Repository, *, layer_bytes: int = 3_000_000) -> Descriptor:
    """Push a multi-architecture image, tagged v1 and latest, with a signature that has a signature; return it."""
    shared = blob(repository, b"shared" * (layer_bytes // 6))
    absent = {"mediaType": FOREIGN, "digest": str(Digest.of(b"absent")), "size": 6, "urls": ["https://x.example/l"]}
    images = [
        image(repository, shared, blob(repository, b"amd64" * 1000)),
        image(repository, shared, blob(repository, b"arm64" * 1000), absent),
    ]
    index = manifest(repository, {"mediaType": media_types.OCI_INDEX, "manifests": images})
    signature = image(repository, blob(repository, b"signature"), subject=index, artifactType="application/x.signature")
    image(repository, blob(repository, b"countersignature"), subject=signature)
    for tag in ("v1", "latest"):
        repository.tags.point(Tag(tag), Digest.parse(index["digest"]))
    return index
