"""Intended differences of our answers to requests that write from those of registry 2.8, and why.

The order of authority is the OCI specification, what distribution documents, what distribution does.
"""

from __future__ import annotations

from tests.integration.api import digest_of
from tests.integration.compat.difference import JSON, UPLOAD, Difference, Fields, client_error, invalid
from tests.integration.compat.seeding import LAYER, OCI_IMAGE

_LAYER = digest_of(LAYER)
_ONE = digest_of(b"one")


def _refused_range(theirs: str, last: str) -> Fields:
    return {
        "status": ("202", "416"),
        "body": ("empty", "errors RANGE_INVALID"),
        "Content-Length": ("0", None),
        "Content-Type": (None, JSON),
        "Range": (theirs, last),
    }


def _done_at_once(digest: str) -> Fields:
    return {
        "status": ("202", "201"),
        "Docker-Content-Digest": (None, digest),
        "Docker-Upload-UUID": ("<id>", None),
        "Location": (UPLOAD, f"/v2/up/blobs/{digest}"),
        "Range": ("0-0", None),
    }


def _accepted_chunk(status: str, error: str, last: str) -> Fields:
    return {
        "status": (status, "202"),
        "body": (f"errors {error}", "empty"),
        "Content-Length": (None, "0"),
        "Content-Type": (JSON, None),
        "Docker-Upload-UUID": (None, "<id>"),
        "Location": (None, UPLOAD),
        "Range": (None, last),
    }


_MANIFESTS_WRITTEN = {
    "put without a type": Difference(
        "the manifest says what it is",
        {
            "status": ("400", "201"),
            "body": ("errors MANIFEST_INVALID", "empty"),
            "Content-Length": (None, "0"),
            "Content-Type": (JSON, None),
            "Docker-Content-Digest": (None, digest_of(OCI_IMAGE)),
            "Location": (None, f"/v2/ab/manifests/{digest_of(OCI_IMAGE)}"),
        },
    ),
    "put schema version 1": Difference(
        "an invalid manifest is the client's fault",
        client_error("MANIFEST_INVALID"),
    ),
    "put one byte larger": Difference("413 is the specification's status", {"status": ("400", "413")}),
    "put tag of 129 characters": Difference("an invalid tag is 400 with its code", invalid("TAG_INVALID")),
    "put tag with a dash first": Difference("an invalid tag is 400 with its code", invalid("TAG_INVALID")),
    "delete manifest by tag": Difference(
        "the specification deletes tags, as registry 3 does",
        {
            "status": ("400", "202"),
            "body": ("errors DIGEST_INVALID", "empty"),
            "Content-Length": (None, "0"),
            "Content-Type": (JSON, None),
        },
    ),
    "delete manifest by unknown tag": Difference(
        "the specification deletes tags, as registry 3 does",
        {"status": ("400", "404"), "body": ("errors DIGEST_INVALID", "errors MANIFEST_UNKNOWN")},
    ),
}

_UPLOADS = {
    "upload of an invalid name": Difference("an invalid name is 400 with its code", invalid("NAME_INVALID")),
    "upload without slash": Difference(
        "a client would follow a redirect with GET",
        {
            "status": ("301", "202"),
            "Content-Length": (None, "0"),
            "Docker-Upload-UUID": (None, "<id>"),
            "Location": ("/v2/up/blobs/uploads/", UPLOAD),
            "Range": (None, "0-0"),
        },
    ),
    "uploads listed": Difference(
        "there is no list of uploads",
        {
            "status": ("404", "405"),
            "body": ("errors BLOB_UPLOAD_UNKNOWN", "errors UNSUPPORTED"),
            "Allow": (None, "OPTIONS, POST"),
        },
    ),
    "mount from nowhere": Difference("the specification's anonymous mount", _done_at_once(_LAYER)),
    "push in one request": Difference("the specification's single POST", _done_at_once(_ONE)),
    "status without a state": Difference(
        "as registry 3: a client that has lost the Location may ask",
        {
            "status": ("404", "204"),
            "body": ("errors BLOB_UPLOAD_INVALID", "empty"),
            "Content-Type": (JSON, None),
            "Docker-Upload-UUID": (None, "<id>"),
            "Location": (None, UPLOAD),
            "Range": (None, "0-4"),
        },
    ),
    "status of an unknown upload": Difference(
        "as registry 3", {"body": ("errors BLOB_UPLOAD_INVALID", "errors BLOB_UPLOAD_UNKNOWN")}
    ),
    "chunk too far": Difference("a chunk belongs where the upload stands", _refused_range("0-7", "0-4")),
    "chunk again": Difference("a chunk belongs where the upload stands", _refused_range("0-9", "0-4")),
    "chunk shorter than its range": Difference(
        "as registry 3: what is announced twice must be the same twice",
        {
            "status": ("202", "400"),
            "body": ("empty", "errors SIZE_INVALID"),
            "Content-Length": ("0", None),
            "Content-Type": (None, JSON),
            "Docker-Upload-UUID": ("<id>", None),
            "Location": (UPLOAD, None),
            "Range": ("0-7", None),
        },
    ),
    "chunk of another type": Difference("bytes are bytes", _accepted_chunk("500", "UNKNOWN", "0-4")),
    "chunk with a stale state": Difference(
        "416 says where the upload stands, and the upload goes on",
        {
            "status": ("404", "416"),
            "body": ("errors BLOB_UPLOAD_INVALID", "errors RANGE_INVALID"),
            "Docker-Upload-UUID": (None, "<id>"),
            "Location": (None, UPLOAD),
            "Range": (None, "0-4"),
        },
    ),
    "chunk without a state": Difference(
        "some clients drop query strings; the storage knows", _accepted_chunk("404", "BLOB_UPLOAD_INVALID", "0-9")
    ),
    "cancel without a state": Difference(
        "some clients drop query strings; the storage knows",
        {
            "status": ("404", "204"),
            "body": ("errors BLOB_UPLOAD_INVALID", "empty"),
            "Content-Type": (JSON, None),
            "Docker-Upload-UUID": (None, "<id>"),
        },
    ),
}

WRITING = _MANIFESTS_WRITTEN | _UPLOADS
