"""Requests that lead to events, or that must not: what clients do, and what none of them does."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from tests.integration.api import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    OCTET_STREAM,
    Api,
    digest_of,
)
from tests.integration.compat.events import Case, Target, push_image
from tests.integration.compat.seeding import CONFIG, DOCKER_IMAGE, LAYER, OCI_CONFIG, OCI_IMAGE, OCI_LAYER

if TYPE_CHECKING:
    from collections.abc import Mapping

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
LAYER_DIGEST = digest_of(LAYER)
SHA512 = f"sha512:{hashlib.sha512(LAYER).hexdigest()}"
IMAGE_DIGEST = digest_of(DOCKER_IMAGE)
BOB = ("bob", "the password of bob")
NOBODY = ("us<er&é\u2028", "pw")
PLATFORM = {
    "architecture": "arm",
    "os": "linux",
    "os.version": "1",
    "os.features": ["f"],
    "variant": "v7",
    "features": ["sse4"],
}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def _descriptor(media_type: str, content: bytes, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def _manifest(**more: object) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _descriptor(OCI_CONFIG, CONFIG),
            "layers": [_descriptor(OCI_LAYER, LAYER)],
            **more,
        }
    ).encode()


def _index(media_type: str, *children: dict[str, object], **more: object) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": children, **more}).encode()


def _put(target: Target, repository: str, reference: str, content: bytes, media_type: str = OCI_MANIFEST) -> None:
    answer = target.api.put_manifest(repository, reference, content, media_type)
    assert answer.status == 201, answer


def _blobs(target: Target, repository: str) -> None:
    target.api.push_blob(repository, CONFIG)
    target.api.push_blob(repository, LAYER)


def _get(target: Target, path: str, **headers: str) -> int:
    return target.api.get(path, **headers).status


def image(target: Target, repository: str) -> None:
    push_image(target.api, repository)
    push_image(target.api, repository)
    _put(target, repository, IMAGE_DIGEST, DOCKER_IMAGE, DOCKER_MANIFEST)
    _put(target, repository, "another", OCI_IMAGE)


def chunks(target: Target, repository: str) -> None:
    api = target.api
    api.push_blob(repository, b"")
    location = api.send_chunk(api.begin_upload(repository).location, 0, b"ab").location
    assert api.finish_upload(location, digest_of(b"abcd"), b"cd").status == 201


def refused(target: Target, repository: str) -> None:
    api = target.api
    upload = api.begin_upload(repository).location
    assert api.finish_upload(upload, digest_of(b"x"), b"y").status == 400
    assert api.delete(api.begin_upload(repository).location).status == 204
    assert api.put_manifest(repository, "v1", OCI_IMAGE).status >= 400  # its blobs are missing
    assert api.delete(f"/v2/{repository}/manifests/{IMAGE_DIGEST}").status == 404
    assert api.delete(f"/v2/{repository}/blobs/{LAYER_DIGEST}").status == 404
    for path in (f"manifests/{IMAGE_DIGEST}", "manifests/v1", f"blobs/{LAYER_DIGEST}", "tags/list"):
        assert _get(target, f"/v2/{repository}/{path}") == 404


def artifact(target: Target, repository: str) -> None:
    _blobs(target, repository)
    target.api.push_blob(repository, b"{}")
    _put(target, repository, "subject", OCI_IMAGE)
    config = _descriptor(EMPTY_TYPE, b"{}", data="e30=")
    layer = _descriptor(
        OCI_LAYER, LAYER, unknown=1, platform=PLATFORM, artifactType="x/y", annotations={"z": "<1>", "a": "é"}
    )
    more: dict[str, object] = {"artifactType": "application/x", "annotations": {"a": "b"}}
    _put(
        target,
        repository,
        "v1",
        _manifest(config=config, layers=[layer, layer], subject=_descriptor(OCI_MANIFEST, OCI_IMAGE), **more),
    )


def empty_members(target: Target, repository: str) -> None:
    _blobs(target, repository)
    empty = _descriptor(OCI_LAYER, LAYER, annotations={}, artifactType="", urls=[], platform={}, data="")
    _put(target, repository, "empty", _manifest(layers=[empty]))
    _put(target, repository, "none", _manifest(layers=[]))
    _put(target, repository, "index", _index(OCI_INDEX), OCI_INDEX)


def index(target: Target, repository: str) -> None:
    _blobs(target, repository)
    _put(target, repository, digest_of(OCI_IMAGE), OCI_IMAGE)
    child = _descriptor(OCI_MANIFEST, OCI_IMAGE)
    more: dict[str, Any] = {"platform": PLATFORM, "artifactType": "q/r", "annotations": {"x": "y", "b": "c"}}
    content = _index(OCI_INDEX, {**child, **more}, child, subject=child)
    _put(target, repository, "v1", content, OCI_INDEX)
    _put(target, repository, digest_of(content), content, OCI_INDEX)
    target.api.manifest(repository, "v1")


def docker_list(target: Target, repository: str) -> None:
    push_image(target.api, repository)
    child = _descriptor(DOCKER_MANIFEST, DOCKER_IMAGE)
    _put(target, repository, "v2", _index(DOCKER_LIST, {**child, "platform": PLATFORM}, child), DOCKER_LIST)
    target.api.manifest(repository, "v2")


def docker_list_unasked(target: Target, repository: str) -> None:
    push_image(target.api, repository)
    platform = {"os": "linux", "architecture": "amd64"}
    child = _descriptor(DOCKER_MANIFEST, DOCKER_IMAGE, platform=platform)
    _put(target, repository, "v2", _index(DOCKER_LIST, child), DOCKER_LIST)
    assert _get(target, f"/v2/{repository}/manifests/v2", Accept=DOCKER_MANIFEST) == 200


def manifests_read(target: Target, repository: str) -> None:
    push_image(target.api, repository)
    for reference in ("v1", IMAGE_DIGEST):
        path = f"/v2/{repository}/manifests/{reference}"
        assert target.api.manifest(repository, reference).status == 200
        assert target.api.head(path).status == 200
        assert _get(target, path, Accept=DOCKER_MANIFEST, If_None_Match=f'"{IMAGE_DIGEST}"') == 304


def image_unasked(target: Target, repository: str) -> None:
    _blobs(target, repository)
    _put(target, repository, "v1", OCI_IMAGE)
    _get(target, f"/v2/{repository}/manifests/v1")  # 404 of the Go registries, and still a pull


def blobs_read(target: Target, repository: str) -> None:
    _blobs(target, repository)
    path = f"/v2/{repository}/blobs/{LAYER_DIGEST}"
    assert _get(target, path) == 200
    assert target.api.head(path).status == 200
    assert _get(target, path, Range="bytes=0-3") == 206
    assert _get(target, path, Range="bytes=0-1,4-5") in {200, 206}
    assert _get(target, path, If_None_Match=f'"{LAYER_DIGEST}"') == 304
    assert _get(target, path, Range="bytes=99999-") == 416


def mounts(target: Target, repository: str) -> None:
    api, to = target.api, f"/v2/{repository}/to/blobs/uploads/"
    _blobs(target, f"{repository}/from")
    for _ in range(2):
        assert api.request("POST", f"{to}?from={repository}/from&mount={LAYER_DIGEST}").status == 201
    for query in (f"from=nowhere&mount={LAYER_DIGEST}", f"from={repository}/from&mount={digest_of(b'unknown')}"):
        assert api.request("POST", f"{to}?{query}").status == 202


def manifest_deleted(target: Target, repository: str) -> None:
    push_image(target.api, repository)
    assert target.api.delete(f"/v2/{repository}/manifests/{IMAGE_DIGEST}").status == 202
    assert target.api.delete(f"/v2/{repository}/blobs/{LAYER_DIGEST}").status == 202


def tags_deleted(target: Target, repository: str) -> None:
    for tag in ("v1", "a", "B", "v10", "1"):
        push_image(target.api, repository, tag)
    _put(target, repository, "kept", OCI_IMAGE)
    assert target.api.delete(f"/v2/{repository}/manifests/{IMAGE_DIGEST}").status == 202


def tag_deleted(target: Target, repository: str) -> None:
    push_image(target.api, repository)
    target.api.delete(f"/v2/{repository}/manifests/v1")  # 2.8 cannot


def user_unchecked(target: Target, repository: str) -> None:
    _blobs(target, repository)
    assert target.api.request("GET", f"/v2/{repository}/blobs/{LAYER_DIGEST}", headers=basic(*NOBODY)).status == 200
    put = f"/v2/{repository}/manifests/v1"
    assert target.api.request("PUT", put, OCI_IMAGE, {"Content-Type": OCI_MANIFEST, **basic(*NOBODY)}).status == 201


def headers_of_clients(target: Target, repository: str) -> None:
    _blobs(target, repository)
    given: list[Mapping[str, str]] = [
        {"User-Agent": 'a<b>&c "q" \\ \t/1'},
        {"User-Agent": "caf\xe9"},
        {"User-Agent": "café".encode().decode("latin-1")},
        {"Host": "UPPER.example.com:99"},
        {"X-Request-Id": "mine"},
        {"X-Forwarded-For": "203.0.113.7, 10.0.0.1"},
        {"X-Real-Ip": "203.0.113.9"},
        {"X-Forwarded-Host": "public.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "8443"},
    ]
    for headers in given:
        status = target.api.request("GET", f"/v2/{repository}/blobs/{LAYER_DIGEST}", headers=headers).status
        assert status == 200, headers


def forwarded(target: Target, repository: str) -> None:
    _blobs(target, repository)
    headers = {"Forwarded": "for=192.0.2.1;host=f.example.com;proto=https"}
    assert target.api.request("GET", f"/v2/{repository}/blobs/{LAYER_DIGEST}", headers=headers).status == 200


def everything(target: Target, repository: str) -> None:
    image(target, repository)
    target.api.manifest(repository, "v1")
    _get(target, f"/v2/{repository}/blobs/{LAYER_DIGEST}")
    mount = f"from={repository}&mount={LAYER_DIGEST}"
    assert target.api.request("POST", f"/v2/{repository}/to/blobs/uploads/?{mount}").status == 201
    assert target.api.delete(f"/v2/{repository}/manifests/{digest_of(OCI_IMAGE)}").status == 202


def one_request(target: Target, repository: str) -> None:
    path = f"/v2/{repository}/blobs/uploads/?digest={digest_of(b'whole')}"
    assert target.api.request("POST", path, b"whole", {"Content-Type": OCTET_STREAM}).status == 201


def tags_in_query(target: Target, repository: str) -> None:
    _blobs(target, repository)
    _put(target, repository, f"{IMAGE_DIGEST}?tag=v1&tag=a&tag=b", DOCKER_IMAGE, DOCKER_MANIFEST)


def by_sha512(target: Target, repository: str) -> None:
    upload = target.api.begin_upload(repository).location
    assert target.api.finish_upload(upload, SHA512, LAYER).status == 201


def as_bob(target: Target, repository: str) -> None:
    everything(target, repository)
    blob = f"/v2/{repository}/blobs/{LAYER_DIGEST}"
    assert Api(target.api.address, target.api.port).get(blob).status == 401


RAW = (
    Case("image", image),
    Case("chunks", chunks),
    Case("refused", refused),
    Case("artifact", artifact),
    Case("empty members", empty_members),
    Case("index", index),
    Case("docker list", docker_list),
    Case("docker list unasked", docker_list_unasked),
    Case("manifests read", manifests_read),
    Case("image unasked", image_unasked),
    Case("blobs read", blobs_read),
    Case("mounts", mounts),
    Case("manifest deleted", manifest_deleted),
    Case("tags deleted", tags_deleted, unordered=frozenset({"changes"})),
    Case("tag deleted", tag_deleted),
    Case("user unchecked", user_unchecked),
    Case("headers of clients", headers_of_clients),
    Case("forwarded", forwarded),
)
OURS = (Case("one request", one_request), Case("tags in query", tags_in_query), Case("by sha512", by_sha512))
"""Requests of which the Go registries take no notice, or which they answer with another digest."""
EVERYTHING = Case("everything", everything)
AS_BOB = Case("as bob", as_bob)
