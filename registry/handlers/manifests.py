"""Manifests: GET, HEAD, PUT and DELETE by tag or digest (distribution-spec, "Pulling manifests" and on)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from registry.handlers.body import whole_body
from registry.handlers.conditions import etag, precondition, unmodified
from registry.handlers.context import open_repository, publishing, require_deletable, require_writable
from registry.handlers.flask_internals import current_request
from registry.handlers.pulled import note_manifest
from registry.handlers.response import Response
from registry.handlers.urls import manifest_url
from registry.oci.digest import Digest
from registry.oci.errors import ManifestInvalidError
from registry.oci.manifest import MAX_SIZE, Manifest, parse_manifest
from registry.oci.reference import Tag, parse_reference, parse_tag
from registry.oci.stored import read_stored
from registry.publishing import Guard

if TYPE_CHECKING:
    from registry.ports import Repository

blueprint = Blueprint("manifests", __name__)


@blueprint.get("/v2/<path:name>/manifests/<reference>")
def get_manifest(name: str, reference: str) -> Response:
    """Serve a manifest as it was pushed, whatever types the client says it accepts."""
    repository = open_repository(name, "pull")
    target = parse_reference(reference)
    digest = _resolve(repository, target)
    manifest = repository.manifests.serve(digest)
    headers = {"Docker-Content-Digest": str(digest), "Etag": etag(digest)}
    if unmodified(digest):
        return Response(status=304, headers=headers)
    note_manifest(repository.name, target, digest, manifest)
    return Response(manifest.content, headers=headers, content_type=manifest.media_type)


@blueprint.put("/v2/<path:name>/manifests/<reference>")
def put_manifest(name: str, reference: str) -> Response:
    """Store a manifest and point tags to it: the one in the path, and each ``?tag=``.

    Conditions are about what the path leads to.
    """
    repository = open_repository(name, "pull", "push")
    require_writable()
    target = parse_reference(reference)
    tags = [parse_tag(tag) for tag in current_request().args.getlist("tag")]
    content = whole_body(MAX_SIZE)
    digest = Digest.of(content) if isinstance(target, Tag) else target
    manifest = _read(repository, content, digest)
    moved = [target, *tags] if isinstance(target, Tag) else tags
    condition = precondition()
    guard = Guard(target, condition) if condition else None
    publishing().push_manifest(repository, manifest, digest, moved, guard)
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
        publishing().remove_tag(repository, target, precondition())
    else:
        publishing().remove_manifest(repository, target, precondition())
    return Response(status=202)


def _read(repository: Repository, content: bytes, digest: Digest) -> Manifest:
    """Read a manifest that is pushed; one that the repository has, from whatever registry, may be tagged by a push."""
    declared_type = current_request().mimetype
    try:
        return parse_manifest(content, declared_type or None)
    except ManifestInvalidError:
        # What is stored is read at any cost; so it must be these bytes that are.
        if Digest.of(content, digest.algorithm) != digest or not repository.manifests.has(digest):
            raise
        manifest = read_stored(content)
        if declared_type and declared_type != manifest.media_type.lower():
            raise
        return manifest


def _resolve(repository: Repository, reference: Tag | Digest) -> Digest:
    return repository.tags.serve(reference) if isinstance(reference, Tag) else reference
