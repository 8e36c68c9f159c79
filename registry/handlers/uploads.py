"""Blob uploads: POST starts or mounts, PATCH appends, PUT finishes, GET tells, DELETE cancels.

distribution-spec, "Pushing blobs" and "Mounting a blob from another repository".
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flask import Blueprint

import auth.base
from registry.handlers.body import body_length, body_pieces
from registry.handlers.context import (
    caller,
    may_push,
    open_repository,
    open_source,
    publishing,
    require_writable,
)
from registry.handlers.current import opened, services
from registry.handlers.errors import upload_range
from registry.handlers.flask_internals import current_request
from registry.handlers.response import Response
from registry.handlers.urls import blob_url, upload_url
from registry.oci.digest import ALGORITHMS, DEFAULT_ALGORITHM, Digest
from registry.oci.errors import (
    BlobUnknownError,
    BlobUploadInvalidError,
    BlobUploadUnknownError,
    DigestInvalidError,
    NameInvalidError,
)
from registry.oci.ranges import parse_chunk_range
from registry.oci.uploads import Chunk, is_upload_id

if TYPE_CHECKING:
    from registry.oci.uploads import UploadState
    from registry.ports import Blob, Repository

blueprint = Blueprint("uploads", __name__)


@blueprint.post("/v2/<path:name>/blobs/uploads/")
def start_upload(name: str) -> Response:
    """Mount a blob, take one in a single request, or open a session."""
    repository = open_repository(name, "pull", "push")
    require_writable()
    mounted = _mount(repository)
    if mounted:
        return _created(name, mounted)
    arguments = current_request().args
    if "digest" in arguments:
        digest = Digest.parse(arguments["digest"])
        # Some clients announce the digest and send the bytes in the PUT that follows.
        if body_length() != 0 or digest == Digest.of(b"", digest.algorithm):
            return _push_whole(repository, digest)
    algorithm = arguments.get("digest-algorithm", DEFAULT_ALGORITHM)
    if algorithm not in ALGORITHMS:
        raise DigestInvalidError(f"unsupported digest algorithm; known are {', '.join(ALGORITHMS)}", algorithm[:64])
    upload_id = services().tokens.new_id(repository.name, caller())
    return _accepted(publishing().start_upload(repository, algorithm, upload_id), 202)


@blueprint.get("/v2/<path:name>/blobs/uploads/<upload_id>")
def get_upload(name: str, upload_id: str) -> Response:
    """Tell how much of an upload is stored, and whoever may go on with it, how."""
    repository = open_repository(name, "pull")
    told = _told(repository, upload_id)
    state = repository.uploads.status(upload_id, told)
    if (told or _has_begun(state)) and may_push(repository.name):
        return _accepted(state, 204)
    return Response(status=204, headers={"Location": upload_url(name, upload_id), **_standing(state)})


@blueprint.patch("/v2/<path:name>/blobs/uploads/<upload_id>")
def append_upload(name: str, upload_id: str) -> Response:
    """Append a chunk, or a stream of unknown length."""
    repository = open_repository(name, "pull", "push")
    require_writable()
    state = _resume(repository, upload_id)
    return _accepted(publishing().append_upload(repository, state, _chunk()), 202)


@blueprint.put("/v2/<path:name>/blobs/uploads/<upload_id>")
def finish_upload(name: str, upload_id: str) -> Response:
    """Append the rest, if the request has a body, and publish the blob under its digest."""
    repository = open_repository(name, "pull", "push")
    require_writable()
    state = _resume(repository, upload_id)
    arguments = current_request().args
    if "digest" not in arguments:
        raise DigestInvalidError("digest missing: finish an upload with ?digest=<digest>")
    digest = Digest.parse(arguments["digest"])
    publishing().finish_upload(repository, state, _chunk(), digest)
    return _created(name, digest)


@blueprint.delete("/v2/<path:name>/blobs/uploads/<upload_id>")
def cancel_upload(name: str, upload_id: str) -> Response:
    """Cancel an upload."""
    repository = open_repository(name, "delete")
    require_writable()
    _resume(repository, upload_id)
    repository.uploads.cancel(upload_id)
    return Response(status=204, headers={"Docker-Upload-Uuid": upload_id})


def _mount(repository: Repository) -> Digest | None:
    """Mount the blob that the request asks for; whatever stands in the way leads to an ordinary upload."""
    arguments = current_request().args
    if "mount" not in arguments:
        return None
    try:
        digest = Digest.parse(arguments["mount"])
        find = partial(_mountable, repository, digest)
        publishing().mount_blob(repository, digest, find, arguments.get("from", ""))
    except (DigestInvalidError, NameInvalidError, BlobUnknownError, auth.base.DeniedError):
        return None
    return digest


def _mountable(target: Repository, digest: Digest) -> Blob:
    source = current_request().args.get("from")
    if source:
        return open_source(source, target).blobs.stat(digest)
    if not services().access.grants_everything:
        # Somebody else's repository may be the only one that has it.
        raise BlobUnknownError("say from which repository to mount")
    return services().repositories.stat_blob(digest)


def _push_whole(repository: Repository, digest: Digest) -> Response:
    state = repository.uploads.start(digest.algorithm)
    try:
        # A Content-Range means nothing here: the digest is that of the whole body or of none.
        chunk = Chunk(body_pieces(), length=body_length())
        publishing().finish_upload(repository, state, chunk, digest)
    except BaseException:
        # The client was never told of the session, so nobody can resume it.
        repository.uploads.discard(state.upload_id)
        raise
    return _created(repository.name, digest)


def _chunk() -> Chunk:
    content_range = current_request().environ.get("HTTP_CONTENT_RANGE")
    return Chunk(body_pieces(), parse_chunk_range(content_range) if content_range else None, body_length())


def _resume(repository: Repository, upload_id: str) -> UploadState:
    """Return what the client was told; without that (some drop the query), where the upload stands that it has begun.

    Raises:
        BlobUploadUnknownError: there is no such session.
        BlobUploadInvalidError: the state is not valid, or is missing and somebody else has begun the session; or there
            is none, and this registry is nothing but a cache.
    """
    try:
        return _known(repository, upload_id)
    except BlobUploadUnknownError as error:
        place = opened()
        if place and place.classic:
            # As in the Go registry, which takes no state there.
            raise BlobUploadInvalidError("blob upload invalid") from error
        raise


def _known(repository: Repository, upload_id: str) -> UploadState:
    """Return what _resume() does.

    Raises:
        BlobUploadUnknownError, BlobUploadInvalidError: see there.
    """
    told = _told(repository, upload_id)
    if told:
        return told
    state = repository.uploads.status(upload_id)
    if not _has_begun(state):
        raise BlobUploadInvalidError(
            "the upload state is missing, and another user, or somebody at another address, has begun this upload: "
            "send the query of the last Location"
        )
    return state


def _has_begun(state: UploadState) -> bool:
    return services().tokens.has_begun(caller(), name=state.name, upload_id=state.upload_id)


def _told(repository: Repository, upload_id: str) -> UploadState | None:
    _checked_id(upload_id)
    token = current_request().args.get("_state")
    if token is None:
        return None
    return services().tokens.load(token, name=repository.name, upload_id=upload_id)


def _checked_id(upload_id: str) -> str:
    if not is_upload_id(upload_id):
        raise BlobUploadUnknownError("blob upload unknown to registry")
    return upload_id


def _accepted(state: UploadState, status: int) -> Response:
    location = upload_url(state.name, state.upload_id, services().tokens.sign(state))
    return Response(status=status, headers={"Location": location, **_standing(state)})


def _standing(state: UploadState) -> dict[str, str]:
    return {"Range": upload_range(state.offset), "Docker-Upload-Uuid": state.upload_id}


def _created(name: str, digest: Digest) -> Response:
    headers = {"Location": blob_url(name, digest), "Docker-Content-Digest": str(digest)}
    return Response(status=201, headers=headers)
