"""Manifests, descriptors and chunks to push."""

from __future__ import annotations

import json
from typing import Any

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.uploads import Chunk

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
ABSENT = Digest("sha256", "0" * 64)
"""The digest of nothing that anybody pushes."""


def descriptor(content: bytes, media_type: str = media_types.OCTET_STREAM, **more: object) -> dict[str, Any]:
    """Return the descriptor of `content`; `more` fields replace or add to it."""
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content), **more}


def image(config: bytes = b"{}", /, *layers: bytes, **more: object) -> bytes:
    """Return an OCI image manifest; `more` fields replace or add to it."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(config, media_types.OCI_CONFIG),
        "layers": [descriptor(layer, LAYER_TYPE) for layer in layers],
        **more,
    }
    return json.dumps(document).encode()


def index(*manifests: bytes, **more: object) -> bytes:
    """Return an OCI image index of OCI image manifests."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [descriptor(each, media_types.OCI_MANIFEST) for each in manifests],
        **more,
    }
    return json.dumps(document).encode()


def docker_image(config: bytes = b"{}", /, *layers: bytes, **more: object) -> bytes:
    """Return a Docker image manifest, schema 2."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.DOCKER_MANIFEST,
        "config": descriptor(config, media_types.DOCKER_CONFIG),
        "layers": [descriptor(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip") for layer in layers],
        **more,
    }
    return json.dumps(document).encode()


def chunk(*pieces: bytes) -> Chunk:
    """Return a request's contribution to an upload, without a range."""
    return Chunk(pieces, length=sum(map(len, pieces)))
