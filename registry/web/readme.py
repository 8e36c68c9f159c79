"""The page of the README of a repository. Where scripts run, the page of the repository has it in it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from flask import Blueprint, request

from registry.browsing.readme import readme_of_repository
from registry.handlers.context import hand_over
from registry.handlers.looking import looking
from registry.oci.errors import NameUnknownError
from registry.oci.reference import is_tag, parse_name
from registry.web.markdown import html
from registry.web.page import page, render
from registry.web.site import site
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from markupsafe import Markup

    from registry.handlers.response import Response

blueprint = Blueprint("web_readme", __name__)


@blueprint.get("/_readme")
@page
def show_readme() -> Response:
    """Show the README of a repository; that of the tag `newest`, if any is given, where no other says more."""
    name = parse_name(request.args.get("repository", ""))
    newest = request.args.get("newest", "")
    visitor().open(name)
    hand_over()
    source = looking().images.source
    if not source.exists(name):
        raise NameUnknownError("repository name not known to registry", {"name": name})
    with looking().turn.taken():
        found = readme_of_repository(source, name, newest if is_tag(newest) else "")
        text = readme_html(found.text) if found else ""
    return render("readme.html", name=name, readme=found, text=text)


def readme_html(text: str) -> Markup:
    """Return a README as HTML, which takes a while for a long one: those that were shown last are remembered."""
    key = hashlib.sha256(text.encode()).digest()
    known = site().readmes.get(key)
    if known is None:
        known = html(text)
        site().readmes.put(key, known)
    return known
