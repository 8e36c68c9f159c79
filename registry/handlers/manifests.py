"""Manifests: GET, HEAD, PUT and DELETE by tag or digest (distribution-spec, "Pulling manifests" and on)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from flask import Blueprint, request

from auth.base import Access, DeniedError
from registry.handlers.body import whole_body
from registry.handlers.conditions import etag, unmodified
from registry.handlers.context import authorize, open_repository, require_deletable, require_writable
from registry.handlers.current import services
from registry.handlers.response import Response
from registry.handlers.urls import manifest_url
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError
from registry.oci.manifest import MAX_SIZE, parse_manifest
from registry.oci.reference import Tag, parse_reference, parse_tag
from registry.ports import TagTakenError

if TYPE_CHECKING:
    from registry.ports import Repository

blueprint = Blueprint("manifests", __name__)


@blueprint.get("/v2/<path:name>/manifests/<reference>")
def get_manifest(name: str, reference: str) -> Response:
    """Serve a manifest as it was pushed, whatever types the client says it accepts."""
    repository = open_repository(name, "pull")
    digest = _resolve(repository, parse_reference(reference))
    manifest = repository.manifests.serve(digest)
    headers = {"Docker-Content-Digest": str(digest), "ETag": etag(digest)}
    if unmodified(digest):
        return Response(status=304, headers=headers)
    return Response(manifest.content, headers=headers, content_type=manifest.media_type)


@blueprint.put("/v2/<path:name>/manifests/<reference>")
def put_manifest(name: str, reference: str) -> Response:
    """Store a manifest and point tags to it: the one in the path, and each ``?tag=``."""
    repository = open_repository(name, "pull", "push")
    require_writable()
    target = parse_reference(reference)
    tags = [parse_tag(tag) for tag in request.args.getlist("tag")]
    content = whole_body(MAX_SIZE)
    manifest = parse_manifest(content, request.mimetype or None)
    digest = Digest.of(content) if isinstance(target, Tag) else target
    moved = [target, *tags] if isinstance(target, Tag) else tags
    for tag in moved:
        _require_movable(repository, tag, digest)
    services().validation.check(manifest, repository.blobs, repository.manifests)
    if services().access.grants_everything:
        repository.manifests.put(manifest, digest, moved)
    else:
        repository.manifests.put(manifest, digest)
        for tag in moved:
            _claim(repository, tag, digest)
    if moved:
        repository.manifests.keep(manifest, digest, moved)
    headers = {"Location": manifest_url(name, digest), "Docker-Content-Digest": str(digest)}
    if manifest.subject:
        headers["OCI-Subject"] = str(manifest.subject.digest)
    if tags:
        headers["OCI-Tag"] = ", ".join(tag.name for tag in tags)
    return Response(status=201, headers=headers)


@blueprint.delete("/v2/<path:name>/manifests/<reference>")
def delete_manifest(name: str, reference: str) -> Response:
    """Delete a tag, or a manifest with all tags that point to it."""
    repository = open_repository(name, "delete")
    require_deletable()
    target = parse_reference(reference)
    if isinstance(target, Tag):
        repository.tags.delete(target)
    else:
        repository.manifests.delete(target)
    return Response(status=202)


def _require_movable(repository: Repository, tag: Tag, digest: Digest) -> None:
    """Return if `tag` is new, points to `digest` already, or is one that the caller may overwrite.

    Raises:
        auth.base.DeniedError: it is another; nothing of the push is to be stored.
    """
    if services().access.grants_everything:
        return
    with suppress(ManifestUnknownError):
        current = repository.tags.resolve(tag)
        if current != digest:
            _require_overwrite(repository, tag, current)


def _require_overwrite(repository: Repository, tag: Tag, current: Digest) -> None:
    try:
        authorize(Access("repository", repository.name, "overwrite"))
    except DeniedError as error:
        raise DeniedError(f"tag {tag.name} points to {current} and stays there: {error}") from error


def _claim(repository: Repository, tag: Tag, digest: Digest) -> None:
    """Let `tag` point to `digest`; of two first pushes at a time by callers who may not overwrite, one is refused."""
    try:
        repository.tags.claim(tag, digest)
    except TagTakenError as taken:
        _require_overwrite(repository, tag, taken.current)
        repository.tags.point(tag, digest)


def _resolve(repository: Repository, reference: Tag | Digest) -> Digest:
    return repository.tags.resolve(reference) if isinstance(reference, Tag) else reference
