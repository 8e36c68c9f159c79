"""The page of what refers to a manifest: signatures, SBOMs and the like, as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from registry.browsing.referrers import references
from registry.handlers.context import hand_over
from registry.handlers.looking import looking
from registry.oci.digest import Digest
from registry.oci.reference import parse_name
from registry.web.page import page, render
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.browsing.shapes import Attached
    from registry.handlers.response import Response

KINDS: Final[Mapping[Attached, str]] = {
    "signature": "signature: present, not verified",
    "sbom": "SBOM",
    "provenance": "provenance: present, not verified",
    "vulnerabilities": "report of vulnerabilities",
    "readme": "description",
    "other": "other",
}
"""What a referrer is about, in words of the pages."""

blueprint = Blueprint("web_referrers", __name__)

_DEPTH: Final = 4
_SHOWN: Final = 200


@blueprint.get("/_referrers")
@page
def show_referrers() -> Response:
    """Show what refers to the manifest in the query, and what refers to that."""
    name = parse_name(request.args.get("repository", ""))
    digest = Digest.parse(request.args.get("digest", ""))
    visitor().open(name)
    hand_over()
    found = references(looking().images.source, name, digest, depth=_DEPTH, limit=_SHOWN)
    return render("referrers.html", name=name, digest=digest, references=found, kinds=KINDS)
