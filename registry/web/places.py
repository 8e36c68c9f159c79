"""Which page is at the name of a repository, and behind it at a tag or a digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint
from werkzeug.exceptions import NotFound

from registry.oci.digest import Digest
from registry.oci.errors import NameUnknownError
from registry.oci.reference import parse_name, parse_tag
from registry.web import home, manifest, repository
from registry.web.page import page
from registry.web.visitor import SignInNeededError

if TYPE_CHECKING:
    from registry.handlers.response import Response

blueprint = Blueprint("web_places", __name__)


@blueprint.get("/<path:place>")
@page
def show_place(place: str) -> Response:
    """Show ``<repository>``, ``<repository>:<tag>`` or ``<repository>@<digest>``."""
    if place.startswith("_"):
        raise NotFound
    # A name has neither "@" nor ":", a tag has neither.
    name, at, digest = place.partition("@")
    name, colon, tag = name.partition(":")
    parse_name(name)
    if at:
        return manifest.show_manifest(name, Digest.parse(digest))
    if colon:
        return manifest.show_manifest(name, parse_tag(tag))
    try:
        return repository.show_repository(name)
    except (NameUnknownError, SignInNeededError) as missing:
        # Who may not pull `name` may still pull what is nested in it.
        try:
            return home.show_level(name)
        except NameUnknownError:
            raise missing from None
