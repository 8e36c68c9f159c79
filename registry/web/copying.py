"""The page that copies a manifest to another repository, with all that it leads to; no bytes are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, request

from registry.handlers.context import hand_over
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError, NameInvalidError, TagInvalidError
from registry.oci.reference import Tag, parse_name, parse_reference, parse_tag
from registry.publishing.copying import Copy, copy_manifest, copy_with_referrers
from registry.web.acting import AsSeenOrWanted, MovedError, open_to_push, require_copying
from registry.web.page import page, redirect, render
from registry.web.site import site
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from registry.handlers.response import Response

blueprint = Blueprint("web_copying", __name__)


@blueprint.get("/_copy")
@page
def ask_copy() -> Response:
    """Ask to which repository the manifest in the query is to be copied, and under which tag."""
    name = parse_name(request.args.get("repository", ""))
    source = visitor().open(name)
    require_copying(visitor(), name)
    wanted = parse_reference(request.args.get("reference", ""))
    tag = wanted.name if isinstance(wanted, Tag) else ""
    digest = source.tags.resolve(wanted) if isinstance(wanted, Tag) else wanted
    if not source.manifests.has(digest):
        raise ManifestUnknownError("manifest unknown", str(digest))
    return _ask(name, digest, tag=tag)


@blueprint.post("/_copy")
@page
def copy() -> Response:
    """Copy a manifest to the repository that was typed, under a tag that is new or leads where the form says."""
    name, digest = parse_name(request.form.get("repository", "")), Digest.parse(request.form.get("digest", ""))
    source = visitor().open(name)
    hand_over()
    target, tag = request.form.get("target", "").strip(), request.form.get("tag", "").strip()
    seen, whole = request.form.get("seen", ""), "referrers" in request.form
    try:
        changing = open_to_push(visitor(), parse_name(target), parse_tag(tag))
    except NameInvalidError:
        return _ask(name, digest, 400, target=target, tag=tag, whole=whole, error="This is not a repository's name.")
    except TagInvalidError:
        return _ask(name, digest, 400, target=target, tag=tag, whole=whole, error="This is not a tag.")
    condition = AsSeenOrWanted(Digest.parse(seen) if seen else None, digest)
    wanted = Copy(source, changing.repository, digest, Tag(tag), condition)
    try:
        (copy_with_referrers if whole else copy_manifest)(changing.publishing, wanted)
    except MovedError as moved:
        return _ask(name, digest, 409, target=target, tag=tag, whole=whole, moved=moved)
    return redirect(site().links.tag(target, tag))


def _ask(  # noqa: PLR0913  what was typed
    name: str,
    digest: Digest,
    status: int = 200,
    *,
    target: str = "",
    tag: str = "",
    whole: bool = True,
    error: str = "",
    moved: MovedError | None = None,
) -> Response:
    return render(
        "copy.html", status, name=name, digest=digest, target=target, tag=tag, whole=whole, error=error, moved=moved
    )
