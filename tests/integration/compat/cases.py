"""The requests to both registries, in this order; each is independent unless its name says otherwise.

In a target, {upload} is the Location of a new upload, {upload5} of one that has 5 bytes; {stale} is the first
Location of an upload that has 5 bytes since, {bare} is {upload5} without its query, {forged} with another state.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tests.integration.api import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    OCTET_STREAM,
    digest_of,
)
from tests.integration.compat.seeding import (
    CONFIG,
    DOCKER_IMAGE,
    DOCKER_INDEX,
    LAYER,
    OCI_IMAGE,
    OCI_IMAGE_INDEX,
)

UNKNOWN = "sha256:" + "0" * 64
MAX_MANIFEST_BYTES = 4 << 20
OCTETS = {"Content-Type": OCTET_STREAM}


@dataclass(frozen=True, slots=True)
class Case:
    """One request."""

    name: str
    method: str
    target: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


def _accept(*types: str) -> dict[str, str]:
    return {"Accept": ", ".join(types)}


def _typed(media_type: str) -> dict[str, str]:
    return {"Content-Type": media_type}


def _changed(manifest: bytes, **fields: object) -> bytes:
    return json.dumps(json.loads(manifest) | fields).encode()


_CONFIG, _LAYER = digest_of(CONFIG), digest_of(LAYER)
_MISSING_LAYER = _changed(OCI_IMAGE, layers=[{"mediaType": OCTET_STREAM, "digest": UNKNOWN, "size": 1}])
_MISSING_CHILD = _changed(OCI_IMAGE_INDEX, manifests=[{"mediaType": OCI_MANIFEST, "digest": UNKNOWN, "size": 1}])
_PADDED = OCI_IMAGE + b" " * (MAX_MANIFEST_BYTES - len(OCI_IMAGE))

BASE = [
    Case("root", "GET", "/"),
    Case("base", "GET", "/v2/"),
    Case("base head", "HEAD", "/v2/"),
    Case("base post", "POST", "/v2/"),
    Case("base without slash", "GET", "/v2"),
    Case("base options", "OPTIONS", "/v2/"),
    Case("no route", "GET", "/v2/a/nothing/here"),
    Case("outside", "GET", "/elsewhere"),
    Case("unclean path", "GET", "/v2//a/tags/list"),
]

CATALOG = [
    Case("catalog", "GET", "/v2/_catalog"),
    Case("catalog first page", "GET", "/v2/_catalog?n=2"),
    Case("catalog next page", "GET", "/v2/_catalog?last=a%2Fb&n=2"),
    Case("catalog last page", "GET", "/v2/_catalog?last=a-b&n=2"),
    Case("catalog after a name that does not exist", "GET", "/v2/_catalog?last=a%2Fzz"),
    Case("catalog whole in one page", "GET", "/v2/_catalog?n=100"),
    Case("catalog of none", "GET", "/v2/_catalog?n=0"),
    Case("catalog n negative", "GET", "/v2/_catalog?n=-1"),
    Case("catalog n not a number", "GET", "/v2/_catalog?n=many"),
    Case("catalog n too large", "GET", "/v2/_catalog?n=100000"),
    Case("catalog slash", "GET", "/v2/_catalog/"),
    Case("catalog post", "POST", "/v2/_catalog"),
]

TAGS = [
    Case("tags", "GET", "/v2/a/tags/list"),
    Case("tags first page", "GET", "/v2/a/tags/list?n=2"),
    Case("tags after one", "GET", "/v2/a/tags/list?last=index"),
    Case("tags of none", "GET", "/v2/a/tags/list?n=0"),
    Case("tags n negative", "GET", "/v2/a/tags/list?n=-1"),
    Case("tags of an unknown repository", "GET", "/v2/unknown/tags/list"),
    Case("tags post", "POST", "/v2/a/tags/list"),
    Case("name upper case", "GET", "/v2/UPPER/tags/list"),
    Case("name with two dots", "GET", "/v2/a..b/tags/list"),
    Case("name too long", "GET", f"/v2/{'n' * 256}/tags/list"),
    Case("name with an encoded slash", "GET", "/v2/a%2fb/tags/list"),
]

MANIFESTS_READ = [
    Case("docker manifest", "GET", "/v2/a/manifests/docker", headers=_accept(DOCKER_MANIFEST)),
    Case("docker manifest head", "HEAD", "/v2/a/manifests/docker", headers=_accept(DOCKER_MANIFEST)),
    Case(
        "docker manifest by digest",
        "GET",
        f"/v2/a/manifests/{digest_of(DOCKER_IMAGE)}",
        headers=_accept(DOCKER_MANIFEST),
    ),
    Case("docker manifest unasked", "GET", "/v2/a/manifests/docker"),
    Case("oci manifest", "GET", "/v2/a/manifests/oci", headers=_accept(OCI_MANIFEST)),
    Case("oci manifest unasked", "GET", "/v2/a/manifests/oci"),
    Case("oci manifest for anything", "GET", "/v2/a/manifests/oci", headers=_accept("*/*")),
    Case("docker list", "GET", "/v2/a/manifests/list", headers=_accept(DOCKER_LIST, DOCKER_MANIFEST)),
    Case("docker list for an old client", "GET", "/v2/a/manifests/list", headers=_accept(DOCKER_MANIFEST)),
    Case("docker list by digest unasked", "GET", f"/v2/a/manifests/{digest_of(DOCKER_INDEX)}"),
    Case("oci index", "GET", "/v2/a/manifests/index", headers=_accept(OCI_INDEX)),
    Case("oci index unasked", "GET", "/v2/a/manifests/index"),
    Case(
        "manifest not modified",
        "GET",
        "/v2/a/manifests/oci",
        headers=_accept(OCI_MANIFEST) | {"If-None-Match": f'"{digest_of(OCI_IMAGE)}"'},
    ),
    Case(
        "manifest not modified unquoted",
        "GET",
        "/v2/a/manifests/oci",
        headers=_accept(OCI_MANIFEST) | {"If-None-Match": digest_of(OCI_IMAGE)},
    ),
    Case("manifest unknown tag", "GET", "/v2/a/manifests/unknown", headers=_accept(OCI_MANIFEST)),
    Case("manifest unknown tag head", "HEAD", "/v2/a/manifests/unknown", headers=_accept(OCI_MANIFEST)),
    Case("manifest unknown digest", "GET", f"/v2/a/manifests/{UNKNOWN}", headers=_accept(OCI_MANIFEST)),
    Case("manifest unknown repository", "GET", "/v2/unknown/manifests/latest", headers=_accept(OCI_MANIFEST)),
    Case("manifest short digest", "GET", "/v2/a/manifests/sha256:abc"),
    Case("manifest unknown algorithm", "GET", f"/v2/a/manifests/md5:{'0' * 32}"),
    Case("manifest post", "POST", "/v2/a/manifests/docker"),
]

MANIFESTS_WRITTEN = [
    Case("put docker manifest", "PUT", "/v2/ab/manifests/new", DOCKER_IMAGE, _typed(DOCKER_MANIFEST)),
    Case("put oci manifest", "PUT", "/v2/ab/manifests/new", OCI_IMAGE, _typed(OCI_MANIFEST)),
    Case(
        "put oci manifest by digest", "PUT", f"/v2/ab/manifests/{digest_of(OCI_IMAGE)}", OCI_IMAGE, _typed(OCI_MANIFEST)
    ),
    Case("put docker list", "PUT", "/v2/ab/manifests/new", DOCKER_INDEX, _typed(DOCKER_LIST)),
    Case("put oci index", "PUT", "/v2/ab/manifests/new", OCI_IMAGE_INDEX, _typed(OCI_INDEX)),
    Case(
        "put type with a parameter", "PUT", "/v2/ab/manifests/new", OCI_IMAGE, _typed(f"{OCI_MANIFEST}; charset=utf-8")
    ),
    Case("put without a type", "PUT", "/v2/ab/manifests/bad", OCI_IMAGE),
    Case("put of another type", "PUT", "/v2/ab/manifests/bad", OCI_IMAGE, _typed("application/json")),
    Case("put of a type unlike the content", "PUT", "/v2/ab/manifests/bad", OCI_IMAGE, _typed(DOCKER_MANIFEST)),
    Case("put no json", "PUT", "/v2/ab/manifests/bad", b"{no json", _typed(OCI_MANIFEST)),
    Case("put nothing", "PUT", "/v2/ab/manifests/bad", b"", _typed(OCI_MANIFEST)),
    Case("put of another digest", "PUT", f"/v2/ab/manifests/{UNKNOWN}", OCI_IMAGE, _typed(OCI_MANIFEST)),
    Case("put with a missing layer", "PUT", "/v2/ab/manifests/bad", _MISSING_LAYER, _typed(OCI_MANIFEST)),
    Case("put with a missing child", "PUT", "/v2/ab/manifests/bad", _MISSING_CHILD, _typed(OCI_INDEX)),
    Case(
        "put schema version 1",
        "PUT",
        "/v2/ab/manifests/bad",
        _changed(OCI_IMAGE, schemaVersion=1),
        _typed(OCI_MANIFEST),
    ),
    Case("put as large as allowed", "PUT", "/v2/ab/manifests/large", _PADDED, _typed(OCI_MANIFEST)),
    Case("put one byte larger", "PUT", "/v2/ab/manifests/bad", _PADDED + b" ", _typed(OCI_MANIFEST)),
    Case("put tag of 128 characters", "PUT", f"/v2/ab/manifests/{'t' * 128}", OCI_IMAGE, _typed(OCI_MANIFEST)),
    Case("put tag of 129 characters", "PUT", f"/v2/ab/manifests/{'t' * 129}", OCI_IMAGE, _typed(OCI_MANIFEST)),
    Case("put tag with a dash first", "PUT", "/v2/ab/manifests/-bad", OCI_IMAGE, _typed(OCI_MANIFEST)),
    Case("delete manifest by tag", "DELETE", "/v2/ab/manifests/new"),
    Case("delete manifest by unknown tag", "DELETE", "/v2/ab/manifests/unknown"),
    Case("delete manifest by digest", "DELETE", f"/v2/ab/manifests/{digest_of(OCI_IMAGE)}"),
    Case("delete manifest by digest again", "DELETE", f"/v2/ab/manifests/{digest_of(OCI_IMAGE)}"),
    Case("tag of the deleted manifest", "GET", "/v2/ab/manifests/oci", headers=_accept(OCI_MANIFEST)),
    Case("delete manifest by unknown digest", "DELETE", f"/v2/ab/manifests/{UNKNOWN}"),
]

BLOBS = [
    Case("blob", "GET", f"/v2/a/blobs/{_LAYER}"),
    Case("blob head", "HEAD", f"/v2/a/blobs/{_LAYER}"),
    Case("blob first bytes", "GET", f"/v2/a/blobs/{_LAYER}", headers={"Range": "bytes=0-3"}),
    Case("blob from a byte on", "GET", f"/v2/a/blobs/{_LAYER}", headers={"Range": "bytes=4000-"}),
    Case("blob last bytes", "GET", f"/v2/a/blobs/{_LAYER}", headers={"Range": "bytes=-3"}),
    Case("blob range beyond its end", "GET", f"/v2/a/blobs/{_LAYER}", headers={"Range": "bytes=4000-9999"}),
    Case("blob range after its end", "GET", f"/v2/a/blobs/{_LAYER}", headers={"Range": "bytes=5000-"}),
    Case("blob range and nothing more", "GET", f"/v2/a/blobs/{_LAYER}", headers={"Range": "bytes=0-3,"}),
    Case("blob range backwards", "GET", f"/v2/a/blobs/{_LAYER}", headers={"Range": "bytes=5-2"}),
    Case("blob range of another unit", "GET", f"/v2/a/blobs/{_LAYER}", headers={"Range": "lines=0-3"}),
    Case("blob head of a range", "HEAD", f"/v2/a/blobs/{_LAYER}", headers={"Range": "bytes=0-3"}),
    Case("blob not modified", "GET", f"/v2/a/blobs/{_LAYER}", headers={"If-None-Match": f'"{_LAYER}"'}),
    Case("blob not modified by weak tag", "GET", f"/v2/a/blobs/{_LAYER}", headers={"If-None-Match": f'W/"{_LAYER}"'}),
    Case("blob no match", "GET", f"/v2/a/blobs/{_LAYER}", headers={"If-Match": '"other"'}),
    Case(
        "blob range if unchanged",
        "GET",
        f"/v2/a/blobs/{_LAYER}",
        headers={"Range": "bytes=0-3", "If-Range": f'"{_LAYER}"'},
    ),
    Case(
        "blob range if another", "GET", f"/v2/a/blobs/{_LAYER}", headers={"Range": "bytes=0-3", "If-Range": '"other"'}
    ),
    Case("blob unknown", "GET", f"/v2/a/blobs/{UNKNOWN}"),
    Case("blob unknown head", "HEAD", f"/v2/a/blobs/{UNKNOWN}"),
    Case("blob short digest", "GET", "/v2/a/blobs/sha256:abc"),
    Case("blob unknown algorithm", "GET", f"/v2/a/blobs/md5:{'0' * 32}"),
    Case("blob of another repository", "GET", f"/v2/unknown/blobs/{_LAYER}"),
    Case("blob post", "POST", f"/v2/a/blobs/{_LAYER}"),
    Case("delete blob", "DELETE", f"/v2/a-b/blobs/{_LAYER}"),
    Case("delete blob again", "DELETE", f"/v2/a-b/blobs/{_LAYER}"),
    Case("delete unknown blob", "DELETE", f"/v2/a-b/blobs/{UNKNOWN}"),
]

UPLOADS = [
    Case("upload", "POST", "/v2/up/blobs/uploads/"),
    Case("upload without slash", "POST", "/v2/up/blobs/uploads"),
    Case("upload of an invalid name", "POST", "/v2/UP/blobs/uploads/"),
    Case("uploads listed", "GET", "/v2/up/blobs/uploads/"),
    Case("mount", "POST", f"/v2/up/blobs/uploads/?mount={_CONFIG}&from=a"),
    Case("mount of an unknown blob", "POST", f"/v2/up/blobs/uploads/?mount={UNKNOWN}&from=a"),
    Case("mount from an unknown repository", "POST", f"/v2/up/blobs/uploads/?mount={_LAYER}&from=unknown"),
    Case("mount from nowhere", "POST", f"/v2/up/blobs/uploads/?mount={_LAYER}"),
    Case("mount of no digest", "POST", "/v2/up/blobs/uploads/?mount=none&from=a"),
    Case("push in one request", "POST", f"/v2/up/blobs/uploads/?digest={digest_of(b'one')}", b"one", OCTETS),
    Case("status of a new upload", "GET", "{upload}"),
    Case("status of 5 bytes", "GET", "{upload5}"),
    Case("status head", "HEAD", "{upload5}"),
    Case("status without a state", "GET", "{bare}"),
    Case("status of an unknown upload", "GET", "/v2/up/blobs/uploads/6b3c9a93-af5d-473f-a4cf-9710022185cd"),
    Case("chunk", "PATCH", "{upload}", b"12345", OCTETS),
    Case("chunk without a type", "PATCH", "{upload}", b"12345"),
    Case("chunk with a range", "PATCH", "{upload5}", b"678", OCTETS | {"Content-Range": "5-7"}),
    Case("chunk too far", "PATCH", "{upload5}", b"678", OCTETS | {"Content-Range": "6-8"}),
    Case("chunk again", "PATCH", "{upload5}", b"12345", OCTETS | {"Content-Range": "0-4"}),
    Case("chunk shorter than its range", "PATCH", "{upload5}", b"678", OCTETS | {"Content-Range": "5-8"}),
    Case("chunk with a malformed range", "PATCH", "{upload5}", b"678", OCTETS | {"Content-Range": "bytes 5-7/8"}),
    Case("chunk of another type", "PATCH", "{upload}", b"12345", {"Content-Type": "text/plain"}),
    Case("chunk with a stale state", "PATCH", "{stale}", b"12345", OCTETS),
    Case("chunk without a state", "PATCH", "{bare}", b"12345", OCTETS),
    Case("chunk with a forged state", "PATCH", "{forged}", b"12345", OCTETS),
    Case("finish", "PUT", "{upload5}&digest=" + digest_of(b"12345")),
    Case("finish with the last bytes", "PUT", "{upload5}&digest=" + digest_of(b"12345678"), b"678", OCTETS),
    Case("finish the empty blob", "PUT", "{upload}&digest=" + digest_of(b"")),
    Case("finish with another digest", "PUT", "{upload5}&digest=" + UNKNOWN),
    Case("finish without a digest", "PUT", "{upload5}"),
    Case("finish with a malformed digest", "PUT", "{upload5}&digest=sha256:abc"),
    Case("finish with an unknown algorithm", "PUT", "{upload5}&digest=md5:" + "0" * 32),
    Case("finish with a forged state", "PUT", "{forged}&digest=" + digest_of(b"12345")),
    Case("cancel", "DELETE", "{upload5}"),
    Case("cancel without a state", "DELETE", "{bare}"),
]

REFERRERS = [
    Case("referrers", "GET", f"/v2/a/referrers/{digest_of(OCI_IMAGE)}"),
]

CASES = [*BASE, *CATALOG, *TAGS, *MANIFESTS_READ, *BLOBS, *UPLOADS, *REFERRERS, *MANIFESTS_WRITTEN]
