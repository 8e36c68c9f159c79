"""The page of what is attached to an image: a bill of materials, a provenance, vulnerabilities, a signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from registry.browsing.attached import attached_to
from registry.browsing.vulnerabilities import SEVERITIES
from registry.handlers.context import hand_over
from registry.handlers.looking import looking
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError
from registry.oci.reference import parse_name
from registry.web.page import page, render
from registry.web.readme import readme_html
from registry.web.site import site
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.browsing.sbom import Bill, Package
    from registry.browsing.shapes import Attached
    from registry.browsing.vulnerabilities import Severity
    from registry.handlers.response import Response

blueprint = Blueprint("web_document", __name__)

KINDS: Final[Mapping[Attached, str]] = {
    "signature": "Signature",
    "sbom": "Bill of materials",
    "provenance": "Provenance",
    "vulnerabilities": "Vulnerabilities",
    "readme": "Text",
    "other": "Document",
}
TONES: Final[Mapping[Severity, str]] = {"critical": "bad", "high": "bad", "medium": "warn", "low": "", "negligible": ""}
"""How badges of severities look; those that are not here look as "low" does."""

_LONGEST_FILTER: Final = 100
_ROWS: Final = 500
"""Packages, and vulnerabilities, that a page has at most."""


@blueprint.get("/_attached")
@page
def show_attached() -> Response:
    """Show what is attached to a manifest in short. Where scripts run, the page of the manifest has this in it."""
    name, digest = _asked()
    source = looking().images.source
    if not source.has(name, digest):
        raise ManifestUnknownError("manifest unknown", str(digest))
    digests = attached_to(source, name, digest)
    with looking().turn.taken():
        summaries = site().summaries.of(source, name, digests)
    return render(
        "attached.html",
        name=name,
        digest=digest,
        summaries=summaries,
        count=len(digests),
        kinds=KINDS,
        tones=TONES,
    )


@blueprint.get("/_document")
@page
def show_document() -> Response:
    """Show what an attached manifest says, each of its parts as what it is."""
    name, digest = _asked()
    wanted = request.args.get("filter", "")[:_LONGEST_FILTER]
    with looking().turn.taken():
        found = site().attachments.get(looking().images.source, name, digest)
        if found is None:
            raise ManifestUnknownError("manifest unknown", str(digest))
        readme = next((part for part in found.parts if part.document.kind == "readme" and part.document.raw), None)
        return render(
            "document.html",
            name=name,
            attachment=found,
            kinds=KINDS,
            tones=TONES,
            severities=SEVERITIES,
            filter=wanted,
            packages=lambda bill: _packages(bill, wanted),
            rows=_ROWS,
            readme=readme,
            html=readme_html(readme.document.raw) if readme else "",
        )


def _asked() -> tuple[str, Digest]:
    """Return the manifest that is asked for, which the visitor may pull if it is there."""
    name = parse_name(request.args.get("repository", ""))
    digest = Digest.parse(request.args.get("digest", ""))
    visitor().open(name)
    hand_over()
    return name, digest


def _packages(bill: Bill, wanted: str) -> Sequence[Package]:
    """Return the packages that have `wanted` in their names, versions or licences, whatever its case."""
    sought = wanted.lower()
    texts = (f"{each.name} {each.version} {each.purl} {each.licences}".lower() for each in bill.packages)
    return [each for each, text in zip(bill.packages, texts, strict=True) if sought in text]
