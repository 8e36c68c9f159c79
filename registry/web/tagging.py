"""The page that lets a tag lead to a manifest of the same repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from registry.handlers.context import hand_over
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError, TagInvalidError
from registry.oci.reference import Tag, parse_name, parse_reference, parse_tag
from registry.web.acting import AsSeenOrWanted, MovedError, open_to_push
from registry.web.page import page, redirect, render
from registry.web.site import site
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from registry.handlers.response import Response
    from registry.ports import Repository

blueprint = Blueprint("web_tagging", __name__)

_GRAMMAR: Final = "A tag has at most 128 letters, digits, underscores, dots and hyphens; the first is no dot or hyphen."


@blueprint.get("/_tag")
@page
def ask_tag() -> Response:
    """Ask which tag is to lead to the manifest in the query."""
    name = parse_name(request.args.get("repository", ""))
    visitor().open(name)
    repository = open_to_push(visitor(), name).repository
    target = parse_reference(request.args.get("reference", ""))
    digest = repository.tags.resolve(target) if isinstance(target, Tag) else target
    _require_there(repository, digest)
    return render("tag.html", name=name, digest=digest, tag="", current=None, error="")


@blueprint.post("/_tag")
@page
def tag() -> Response:
    """Let the tag that was typed lead to a manifest, if it is new or leads where the form says that it does."""
    name = parse_name(request.form.get("repository", ""))
    visitor().open(name)
    hand_over()
    digest = Digest.parse(request.form.get("digest", ""))
    typed, seen = request.form.get("tag", "").strip(), request.form.get("seen", "")
    try:
        wanted = parse_tag(typed)
    except TagInvalidError:
        open_to_push(visitor(), name)
        return render("tag.html", 400, name=name, digest=digest, tag=typed, current=None, error=_GRAMMAR)
    changing = open_to_push(visitor(), name, wanted)
    manifest = changing.repository.manifests.get(digest)
    try:
        condition = AsSeenOrWanted(Digest.parse(seen) if seen else None, digest)
        changing.publishing.move_tag(changing.repository, wanted, manifest, digest, condition)
    except MovedError as moved:
        return render("tag.html", 409, name=name, digest=digest, tag=typed, current=moved.current, error="")
    return redirect(site().links.tag(name, wanted.name))


def _require_there(repository: Repository, digest: Digest) -> None:
    if not repository.manifests.has(digest):
        raise ManifestUnknownError("manifest unknown", str(digest))
