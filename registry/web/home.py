"""The home page, and every other level of the tree that the names of repositories make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from registry.browsing.tree import level
from registry.handlers.context import hand_over
from registry.handlers.current import services
from registry.oci.errors import NameUnknownError
from registry.oci.reference import is_name
from registry.web.page import page, render
from registry.web.visitor import SignInNeededError, visitor

if TYPE_CHECKING:
    from registry.browsing.shapes import Level
    from registry.handlers.response import Response

blueprint = Blueprint("web_home", __name__)

SORTS: Final = ("name", "-pushed", "pushed", "-size", "size")
"""Orders of a list of all repositories."""

_PAGE: Final = 100


@blueprint.get("/")
@page
def show_home() -> Response:
    """Show the first level, or a list in the order that is asked for, which only an index has.

    Where all of it is hidden from who has not logged in, it is the page for that.
    """
    sort, index = request.args.get("sort", ""), services().index
    if sort in SORTS and index:
        listed = index.repositories(sort, visitor().shows, request.args.get("after", ""), _PAGE)
        if listed:
            return render("repositories.html", page=listed, sort=sort)
    found = _level("")
    if not found.children and visitor().can_sign_in:
        raise SignInNeededError
    return render("level.html", level=found, has_index=index is not None, progress=index and index.progress())


@blueprint.get("/_tree")
@page
def show_tree() -> Response:
    """Show what is nested in a name; a level that is open already asks for this to show it in its place."""
    path = request.args.get("path", "")
    if not is_name(path):
        raise NameUnknownError("repository name not known to registry", {"name": path})
    return show_level(path)


def show_level(path: str) -> Response:
    """Show what is nested in `path`.

    Raises:
        NameUnknownError: nothing that the visitor may pull.
    """
    found = _level(path)
    if not found.children:
        raise NameUnknownError("repository name not known to registry", {"name": path})
    return render("level.html", level=found, has_index=False, progress=None)


def _level(path: str) -> Level:
    after = request.args.get("after", "")
    hand_over()
    return level(services().repositories, path, shows=visitor().shows, after=after, limit=_PAGE)
