"""The same content on both servers, known to the last byte."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.integration.api import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, digest_of

if TYPE_CHECKING:
    from tests.integration.api import Api

CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
LAYER = bytes(range(256)) * 16
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def _bytes(document: Any) -> bytes:
    return json.dumps(document, indent=3).encode()


def _descriptor(media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "size": len(content), "digest": digest_of(content), **more}


def _image(media_type: str, config_type: str, layer_type: str) -> bytes:
    return _bytes(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": _descriptor(config_type, CONFIG),
            "layers": [_descriptor(layer_type, LAYER)],
        }
    )


def _index(media_type: str, child_type: str, child: bytes) -> bytes:
    platform = {"architecture": "amd64", "os": "linux"}
    children = [_descriptor(child_type, child, platform=platform)]
    return _bytes({"schemaVersion": 2, "mediaType": media_type, "manifests": children})


DOCKER_IMAGE = _image(DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER)
OCI_IMAGE = _image(OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
DOCKER_INDEX = _index(DOCKER_LIST, DOCKER_MANIFEST, DOCKER_IMAGE)
OCI_IMAGE_INDEX = _index(OCI_INDEX, OCI_MANIFEST, OCI_IMAGE)

# Children before what refers to them.
MANIFESTS = {
    "docker": (DOCKER_MANIFEST, DOCKER_IMAGE),
    "oci": (OCI_MANIFEST, OCI_IMAGE),
    "list": (DOCKER_LIST, DOCKER_INDEX),
    "index": (OCI_INDEX, OCI_IMAGE_INDEX),
}
# Names whose order by components differs from their order by bytes.
REPOSITORIES = ("a", "a-b", "a/b", "a/b/c", "ab")


@dataclass(frozen=True, slots=True)
class Content:
    """A tagged manifest of a repository."""

    repository: str
    tag: str
    media_type: str
    manifest: bytes


def everything(repositories: tuple[str, ...] = REPOSITORIES) -> list[Content]:
    return [Content(name, tag, *typed) for name in repositories for tag, typed in MANIFESTS.items()]


def seed(api: Api, repositories: tuple[str, ...] = REPOSITORIES) -> None:
    """Push all manifests and their blobs into each of the repositories."""
    for repository in repositories:
        api.push_blob(repository, CONFIG)
        api.push_blob(repository, LAYER)
    for content in everything(repositories):
        answer = api.put_manifest(content.repository, content.tag, content.manifest, content.media_type)
        assert answer.status == 201, answer


def check(api: Api, repositories: tuple[str, ...] = REPOSITORIES) -> None:
    """Pull everything that `seed` pushed, by tag and by digest."""
    for content in everything(repositories):
        for reference in (content.tag, digest_of(content.manifest)):
            answer = api.manifest(content.repository, reference)
            assert (answer.status, answer.body) == (200, content.manifest), (content.repository, reference)
            assert answer.headers["Content-Type"] == content.media_type
            assert answer.digest == digest_of(content.manifest)
    for repository in repositories:
        for blob in (CONFIG, LAYER):
            assert api.blob(repository, digest_of(blob)).body == blob
        assert sorted(api.get(f"/v2/{repository}/tags/list").json()["tags"]) == sorted(MANIFESTS)
