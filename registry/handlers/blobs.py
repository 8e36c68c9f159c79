"""Blobs: GET with ranges, HEAD, DELETE (distribution-spec, "Pulling blobs", "Deleting Blobs")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from drivers.base import PIECE_SIZE
from registry.handlers.byteranges import Multipart, content_range
from registry.handlers.conditions import etag, precondition, range_header, unmodified
from registry.handlers.context import open_repository, publishing, require_deletable
from registry.handlers.current import services
from registry.handlers.flask_internals import current_request
from registry.handlers.pulled import note_blob
from registry.handlers.response import Response
from registry.handlers.streaming import Content
from registry.handlers.urls import claimed_address
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.ranges import ByteRange, parse_ranges, parse_span

if TYPE_CHECKING:
    from registry.ports import Blob, Repository

blueprint = Blueprint("blobs", __name__)

_CONDITIONS = {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_RANGE"}
"""What may make an answer another one than the content that is asked for."""


@blueprint.get("/v2/<path:name>/blobs/<digest>")
def get_blob(name: str, digest: str) -> Response:
    """Serve a blob or ranges of it, by the shortest way that driver and configuration allow."""
    repository = open_repository(name, "pull")
    blob = _look_up(repository, Digest.parse(digest))
    # As in the Go registry, whatever comes of it: 304, 416 and a client that hangs up are pulls, too.
    note_blob(repository.name, blob)
    if unmodified(blob.digest):
        return Response(status=304, headers=_headers(blob))
    ranges = range_header(blob.digest)
    # Object stores answer a request for several ranges with the whole object.
    if current_request().method == "GET" and not (ranges and "," in ranges):
        handed_over = _redirect(repository, blob) or _accelerated(repository, blob)
        if handed_over:
            return handed_over
    return _served(repository, blob, parse_ranges(ranges, blob.size) if ranges else ())


@blueprint.delete("/v2/<path:name>/blobs/<digest>")
def delete_blob(name: str, digest: str) -> Response:
    """Take a blob out of the repository."""
    repository = open_repository(name, "delete")
    require_deletable()
    target, condition = Digest.parse(digest), precondition()
    # It is either there or not, and never another one.
    if condition and repository.blobs.has(target):
        condition.require(target)
    publishing().remove_blob(repository, target)
    return Response(status=202)


def _look_up(repository: Repository, digest: Digest) -> Blob:
    """Return the blob; where all of it or one range is to be streamed, with that opened at the same time."""
    blobs, environ = repository.blobs, current_request().environ
    if environ["REQUEST_METHOD"] != "GET":
        return blobs.describe(digest)
    configuration = services().configuration
    is_streamed = configuration.storage.redirect.disable and not configuration.http.accelredirect.prefix
    if not is_streamed or environ.keys() & _CONDITIONS:
        return blobs.serve(digest)
    span = parse_span(environ.get("HTTP_RANGE", "bytes=0-"))
    return blobs.serve_range(digest, *span) if span else blobs.serve(digest)


def _redirect(repository: Repository, blob: Blob) -> Response | None:
    """Send the client to the storage itself (307)."""
    if services().configuration.storage.redirect.disable:
        return None
    url = repository.blobs.redirect_url(blob, claimed_address())
    return Response(status=307, headers={"Location": url, **_headers(blob)}) if url else None


def _accelerated(repository: Repository, blob: Blob) -> Response | None:
    """Let the front-end server send the blob, from the file or from the object store; it sees to ranges, too."""
    prefix = services().configuration.http.accelredirect.prefix
    # That server does not know the ETag, so conditions on it are judged here.
    if not prefix or current_request().environ.keys() & {"HTTP_IF_MATCH", "HTTP_IF_RANGE"}:
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


def _served(repository: Repository, blob: Blob, ranges: tuple[ByteRange, ...]) -> Response:
    if len(ranges) > 1 and not repository.blobs.is_verified(blob):
        # Several parts may be all of it, of which nobody would have seen whether it has the digest (RFC 9110 section
        # 14.2 lets any range be ignored).
        ranges = ()
    if len(ranges) > 1:
        return _served_in_parts(repository, blob, ranges)
    headers = _headers(blob)
    if ranges:
        headers["Content-Range"] = content_range(ranges[0], blob.size)
    span = ranges[0] if ranges else ByteRange(0, blob.size)
    headers["Content-Length"] = str(span.length)
    response = Response(
        status=206 if ranges else 200,
        headers=headers,
        content_type=media_types.OCTET_STREAM,
        direct_passthrough=True,
    )
    if current_request().method == "GET" and span.length:
        _attach(response, repository, blob, span)
    return response


def _served_in_parts(repository: Repository, blob: Blob, ranges: tuple[ByteRange, ...]) -> Response:
    parts = Multipart.of(ranges, blob.size)
    headers = {**_headers(blob), "Content-Length": str(parts.length)}
    response = Response(status=206, headers=headers, content_type=parts.content_type, direct_passthrough=True)
    if current_request().method == "GET":
        body = parts.body(lambda each: repository.blobs.read(blob, each.start, each.stop))
        response.response = Content(body, parts.length)
    return response


def _attach(response: Response, repository: Repository, blob: Blob, span: ByteRange) -> None:
    wrap = current_request().environ.get("wsgi.file_wrapper")
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
        "Etag": etag(blob.digest),
    }
