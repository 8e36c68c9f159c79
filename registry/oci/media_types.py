"""Media types that a registry must tell apart; all others pass through it untouched."""

from __future__ import annotations

import re
from typing import Final

OCTET_STREAM: Final = "application/octet-stream"
JSON: Final = "application/json"

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT: Final = "application/vnd.oci.artifact.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"

DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_PLUGIN: Final = "application/vnd.docker.plugin.v1+json"

SCHEMA1: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    },
)
"""Docker's first manifests, which carry no digests of their own; registry:3 dropped them and so do we."""

INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
IMAGES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
MANIFESTS: Final = IMAGES | INDEXES | {OCI_ARTIFACT}
"""What can only be a manifest, and never a blob, where an index names it."""

NON_DISTRIBUTABLE: Final = frozenset(
    {
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    },
)
"""Layers that may be named by a manifest without being stored: clients fetch them from their `urls`."""

_RESTRICTED_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(f"{_RESTRICTED_NAME}/{_RESTRICTED_NAME}")


def is_media_type(text: str) -> bool:
    """Tell whether `text` is a media type without parameters (RFC 6838 section 4.2), fit for a Content-Type."""
    return _MEDIA_TYPE.fullmatch(text) is not None
