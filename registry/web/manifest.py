"""The page of a manifest, by a tag or by its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.oci.reference import Tag
from registry.web.page import render
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from registry.handlers.response import Response
    from registry.oci.digest import Digest


def show_manifest(name: str, target: Tag | Digest) -> Response:
    """Show what `target` leads to."""
    repository = visitor().open(name)
    digest = repository.tags.resolve(target) if isinstance(target, Tag) else target
    manifest = repository.manifests.get(digest)
    return render("manifest.html", name=name, target=target, digest=digest, manifest=manifest)
