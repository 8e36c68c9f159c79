"""Blobs: GET with ranges, HEAD, DELETE (distribution-spec, "Pulling blobs", "Deleting Blobs")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, request

from drivers.base import PIECE_SIZE
from registry.handlers.conditions import etag, range_header, unmodified
from registry.handlers.context import open_repository, publishing, require_deletable
from registry.handlers.current import services
from registry.handlers.response import Response
from registry.handlers.streaming import Content
from registry.handlers.urls import client_address
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.ranges import ByteRange, parse_range

if TYPE_CHECKING:
    from registry.ports import Blob, Repository

blueprint = Blueprint("blobs", __name__)


@blueprint.get("/v2/<path:name>/blobs/<digest>")
def get_blob(name: str, digest: str) -> Response:
    """Serve a blob or one range of it, by the shortest way that driver and configuration allow."""
    repository = open_repository(name, "pull")
    blob = repository.blobs.serve(Digest.parse(digest))
    if unmodified(blob.digest):
        return Response(status=304, headers=_headers(blob))
    if request.method == "GET":
        handed_over = _redirect(repository, blob) or _accelerated(repository, blob)
        if handed_over:
            return handed_over
    return _served(repository, blob)


@blueprint.delete("/v2/<path:name>/blobs/<digest>")
def delete_blob(name: str, digest: str) -> Response:
    """Take a blob out of the repository."""
    repository = open_repository(name, "delete")
    require_deletable()
    publishing().remove_blob(repository, Digest.parse(digest))
    return Response(status=202)


def _redirect(repository: Repository, blob: Blob) -> Response | None:
    """Send the client to the storage itself (307)."""
    if services().configuration.storage.redirect.disable:
        return None
    url = repository.blobs.redirect_url(blob, client_address())
    return Response(status=307, headers={"Location": url, **_headers(blob)}) if url else None


def _accelerated(repository: Repository, blob: Blob) -> Response | None:
    """Let the front-end server send the blob, from the file or from the object store; it sees to ranges, too."""
    prefix = services().configuration.http.accelredirect.prefix
    # That server does not know the ETag, so conditions on it are judged here.
    if not prefix or request.environ.keys() & {"HTTP_IF_MATCH", "HTTP_IF_RANGE"}:
        return None
    location = repository.blobs.local_name(blob)
    if location is None:
        url = repository.blobs.redirect_url(blob)
        if not url:
            return None
        location = f"/{url.replace('://', '/', 1)}"
    headers = {"X-Accel-Redirect": prefix.rstrip("/") + location, **_headers(blob)}
    # The server that sends the bytes says whether it knows ranges.
    del headers["Accept-Ranges"]
    return Response(headers=headers, content_type=media_types.OCTET_STREAM)


def _served(repository: Repository, blob: Blob) -> Response:
    header = range_header(blob.digest)
    wanted = parse_range(header, blob.size) if header else None
    headers = _headers(blob)
    if wanted:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{blob.size}"
    span = wanted or ByteRange(0, blob.size)
    headers["Content-Length"] = str(span.length)
    response = Response(
        status=206 if wanted else 200,
        headers=headers,
        content_type=media_types.OCTET_STREAM,
        direct_passthrough=True,
    )
    if request.method == "GET" and span.length:
        _attach(response, repository, blob, span)
    return response


def _attach(response: Response, repository: Repository, blob: Blob, span: ByteRange) -> None:
    # Under TLS there is no sendfile(2), and what is wrapped would be read past the end of a range.
    wrap = request.environ.get("wsgi.file_wrapper") if request.environ["wsgi.url_scheme"] == "http" else None
    file = repository.blobs.open_local(blob) if wrap else None
    if wrap and file:
        file.seek(span.start)
        # A server that offers this gives the file to sendfile(2); Content-Length tells it where to stop.
        response.response = wrap(file, PIECE_SIZE)
    else:
        response.response = Content(repository.blobs.read(blob, span.start, span.stop), span.length)


def _headers(blob: Blob) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "Cache-Control": "max-age=31536000",
        "Docker-Content-Digest": str(blob.digest),
        "ETag": etag(blob.digest),
    }
