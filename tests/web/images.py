"""Images whose pages are looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from registry.oci import media_types
from registry.oci.digest import Digest
from tests.content import image
from tests.handlers.pushing import push_blob, push_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask.testing import FlaskClient

CONFIG: Mapping[str, Any] = {
    "os": "linux",
    "architecture": "amd64",
    "created": "2026-03-09T14:00:00Z",
    "config": {
        "Entrypoint": ["/bin/app", "a b"],
        "Env": ["PATH=/bin", "LANG=C"],
        "ExposedPorts": {"8080/tcp": {}},
        "Labels": {"maintainer": "the team"},
    },
    "history": [
        {"created_by": "ADD base.tar /"},
        {"created_by": "ENV LANG=C", "empty_layer": True},
        {"created_by": "RUN make install"},
    ],
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64, "sha256:" + "2" * 64]},
}
LAYERS = (b"the base", b"what make has installed")


def push_whole_image(
    client: FlaskClient, name: str, *tags: str, config: Mapping[str, Any] = CONFIG, **more: object
) -> Digest:
    """Push an image of two layers under each of `tags`."""
    encoded = json.dumps(config).encode()
    for blob in (encoded, *LAYERS):
        push_blob(client, name, blob)
    content = image(encoded, *LAYERS, **more)
    for tag in tags or (str(Digest.of(content)),):
        push_manifest(client, name, tag, content, content_type=media_types.OCI_MANIFEST)
    return Digest.of(content)


def push_artifact(client: FlaskClient, name: str, artifact_type: str, subject: Digest) -> Digest:
    """Push an artifact that refers to a manifest of the repository."""
    push_blob(client, name, b"{}")
    named = {"mediaType": media_types.OCI_MANIFEST, "digest": str(subject), "size": 100}
    content = image(b"{}", artifactType=artifact_type, subject=named)
    return push_manifest(client, name, str(Digest.of(content)), content, content_type=media_types.OCI_MANIFEST)
