"""The home page: all repositories that the visitor may pull, a level of their names at a time."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from registry.handlers.current import services
from registry.web.page import page, render
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from registry.handlers.response import Response

blueprint = Blueprint("web_home", __name__)

_PAGE: Final = 100


@blueprint.get("/")
@page
def show_home() -> Response:
    """Show the first level of the tree."""
    after = request.args.get("after", "")
    names = filter(visitor().shows, services().repositories.catalog.names(after=after))
    return render("home.html", names=list(islice(names, _PAGE)))
