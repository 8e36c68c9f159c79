"""Intended differences of our answers to requests that read from those of registry 2.8, and why.

The order of authority is the OCI specification, what distribution documents, what distribution does.
"""

from __future__ import annotations

from tests.integration.api import OCI_INDEX, digest_of
from tests.integration.compat.difference import JSON, Difference, Fields, client_error, in_json, invalid, wrong_method
from tests.integration.compat.seeding import DOCKER_IMAGE, DOCKER_INDEX, LAYER, MANIFESTS, OCI_IMAGE

_LAYER = digest_of(LAYER)
_REPOSITORIES = '{"repositories": ["a", "a/b", "a/b/c", "a-b", "ab"]}'
_TAGS = '{"name": "a", "tags": ["docker", "index", "list", "oci"]}'


def _content(content: bytes) -> str:
    return f"content {digest_of(content)[:19]}"


def _served_instead_of(status: str, error: str, tag: str) -> Fields:
    media_type, manifest = MANIFESTS[tag]
    return {
        "status": (status, "200"),
        "body": (f"errors {error}", _content(manifest)),
        "Content-Length": (None, str(len(manifest))),
        "Content-Type": (JSON, media_type),
        "Docker-Content-Digest": (None, digest_of(manifest)),
        "ETag": (None, f'"{digest_of(manifest)}"'),
    }


_ROUTING = {
    "base post": Difference(
        "/v2/ has nothing to post to",
        {"status": ("200", "405"), "body": ("{}", "errors UNSUPPORTED"), "Allow": (None, "GET, HEAD, OPTIONS")},
    ),
    "base without slash": Difference(
        "an answer instead of a redirect to one",
        {
            "status": ("301", "200"),
            "body": ("text", "{}"),
            "Content-Type": ("text/html", JSON),
            "Location": ("/v2/", None),
        },
    ),
    "base options": Difference(
        "OPTIONS says which methods there are",
        {
            "status": ("200", "204"),
            "body": ("{}", "empty"),
            "Allow": (None, "GET, HEAD, OPTIONS"),
            "Content-Type": (JSON, None),
        },
    ),
    "no route": Difference("errors are JSON", in_json("NAME_UNKNOWN")),
    "outside": Difference("errors are JSON", in_json("NAME_UNKNOWN")),
    "unclean path": Difference(
        "no path is guessed",
        {
            "status": ("301", "404"),
            "body": ("empty", "errors NAME_UNKNOWN"),
            "Content-Type": (None, JSON),
            "Location": ("/v2/a/tags/list", None),
        },
    ),
    "catalog post": Difference("errors are JSON", wrong_method("GET", "GET, HEAD, OPTIONS")),
    "tags post": Difference("errors are JSON", wrong_method("GET", "GET, HEAD, OPTIONS")),
    "manifest post": Difference(
        "errors are JSON", wrong_method("DELETE, GET, HEAD, PUT", "DELETE, GET, HEAD, OPTIONS, PUT")
    ),
    "blob post": Difference("errors are JSON", wrong_method("DELETE, GET, HEAD", "DELETE, GET, HEAD, OPTIONS")),
    "name upper case": Difference("an invalid name is 400 with its code", invalid("NAME_INVALID")),
    "name with two dots": Difference("an invalid name is 400 with its code", invalid("NAME_INVALID")),
    "name too long": Difference(
        "an invalid name is the client's fault",
        client_error("NAME_INVALID"),
    ),
}

_LISTS = {
    "catalog slash": Difference(
        "an answer instead of a redirect to one",
        {
            "status": ("301", "200"),
            "body": ("text", _REPOSITORIES),
            "Content-Type": ("text/html", JSON),
            "Location": ("/v2/_catalog", None),
        },
    ),
    "catalog n negative": Difference(
        "as registry 3", {"status": ("200", "400"), "body": (_REPOSITORIES, "errors PAGINATION_NUMBER_INVALID")}
    ),
    "catalog n not a number": Difference(
        "as registry 3", {"status": ("200", "400"), "body": (_REPOSITORIES, "errors PAGINATION_NUMBER_INVALID")}
    ),
    "catalog n too large": Difference(
        "a page may be smaller than asked for; tags do the same",
        {"status": ("400", "200"), "body": ("errors PAGINATION_NUMBER_INVALID", _REPOSITORIES)},
    ),
    "tags first page": Difference(
        "tags have pages, as in registry 3",
        {
            "body": (_TAGS, '{"name": "a", "tags": ["docker", "index"]}'),
            "Link": (None, '</v2/a/tags/list?last=index&n=2>; rel="next"'),
        },
    ),
    "tags after one": Difference(
        "tags have pages, as in registry 3", {"body": (_TAGS, '{"name": "a", "tags": ["list", "oci"]}')}
    ),
    "tags of none": Difference("tags have pages, as in registry 3", {"body": (_TAGS, '{"name": "a", "tags": []}')}),
    "tags n negative": Difference(
        "as registry 3", {"status": ("200", "400"), "body": (_TAGS, "errors PAGINATION_NUMBER_INVALID")}
    ),
    "referrers": Difference(
        "the specification's referrers API",
        {
            "status": ("404", "200"),
            "Content-Length": (None, "88"),
            "Content-Type": ("text/plain", OCI_INDEX),
            "body": ("text", _content(b'{"schemaVersion":2,"mediaType":"%b","manifests":[]}' % OCI_INDEX.encode())),
        },
    ),
}

_MANIFESTS_READ = {
    "docker manifest unasked": Difference(
        "schema 1 is gone, and the manifest is what there is", _served_instead_of("400", "MANIFEST_INVALID", "docker")
    ),
    "oci manifest unasked": Difference(
        "what exists is served, whatever Accept says", _served_instead_of("404", "MANIFEST_UNKNOWN", "oci")
    ),
    "oci manifest for anything": Difference(
        "anything includes an OCI manifest", _served_instead_of("404", "MANIFEST_UNKNOWN", "oci")
    ),
    "oci index unasked": Difference("as registry 3", _served_instead_of("404", "MANIFEST_UNKNOWN", "index")),
    "docker list for an old client": Difference(
        "a tag names one manifest, whoever asks",
        {
            "body": (_content(DOCKER_IMAGE), _content(DOCKER_INDEX)),
            "Content-Length": (str(len(DOCKER_IMAGE)), str(len(DOCKER_INDEX))),
            "Content-Type": (MANIFESTS["docker"][0], MANIFESTS["list"][0]),
            "Docker-Content-Digest": (digest_of(DOCKER_IMAGE), digest_of(DOCKER_INDEX)),
            "ETag": (f'"{digest_of(DOCKER_IMAGE)}"', f'"{digest_of(DOCKER_INDEX)}"'),
        },
    ),
    **{
        name: Difference(
            "304 repeats the headers that 200 has (RFC 9110)",
            {
                "Docker-Content-Digest": (None, digest_of(OCI_IMAGE)),
                "ETag": (None, f'"{digest_of(OCI_IMAGE)}"'),
            },
        )
        for name in ("manifest not modified", "manifest not modified unquoted")
    },
    **{
        name: Difference(
            "an invalid digest is the client's fault",
            client_error("DIGEST_INVALID"),
        )
        for name in ("manifest short digest", "manifest unknown algorithm")
    },
}

# The Go registry announces the blob's length, sends a line of text and hangs up, and leaves the blob's headers in.
_CUT: Fields = {
    "complete": ("no", None),
    "Cache-Control": ("max-age=31536000", None),
    "Docker-Content-Digest": (_LAYER, None),
    "ETag": (f'"{_LAYER}"', None),
}
_RANGE_INJSON = _CUT | in_json("RANGE_INVALID")

_BLOBS = {
    "blob range after its end": Difference("an error is not the blob, and is JSON", _RANGE_INJSON),
    "blob range backwards": Difference(
        "an error is not the blob, and is JSON",
        _RANGE_INJSON | {"Content-Range": (None, f"bytes */{len(LAYER)}")},
    ),
    "blob range of another unit": Difference(
        "an unknown unit is ignored (RFC 9110)",
        {
            "status": ("416", "200"),
            "body": ("text", _content(LAYER)),
            "complete": ("no", None),
            "Accept-Ranges": (None, "bytes"),
            "Content-Length": (None, str(len(LAYER))),
            "Content-Type": ("text/plain", "application/octet-stream"),
        },
    ),
    "blob head of a range": Difference(
        "Range is for GET alone (RFC 9110)",
        {
            "status": ("206", "200"),
            "Content-Length": ("4", str(len(LAYER))),
            "Content-Range": (f"bytes 0-3/{len(LAYER)}", None),
        },
    ),
    "blob not modified": Difference("harmless", {"Accept-Ranges": (None, "bytes")}),
    "blob not modified by weak tag": Difference("harmless", {"Accept-Ranges": (None, "bytes")}),
    "blob no match": Difference(
        "an error is not the blob, and is JSON",
        _CUT | {"body": ("empty", "errors UNKNOWN"), "Content-Type": ("application/octet-stream", JSON)},
    ),
}

READING = _ROUTING | _LISTS | _MANIFESTS_READ | _BLOBS
