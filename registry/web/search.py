"""What is found for a text in the names of repositories and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from registry.handlers.context import hand_over
from registry.handlers.looking import find
from registry.web.page import page, render
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from registry.handlers.response import Response

blueprint = Blueprint("web_search", __name__)

_LONGEST: Final = 255
_PAGE: Final = 50


@blueprint.get("/_search")
@page
def show_search() -> Response:
    """Show what is found, of what the visitor may pull."""
    text = request.args.get("q", "").strip()[:_LONGEST]
    hand_over()
    return render("search.html", text=text, hits=find(text, visitor().shows, request.args.get("after", ""), _PAGE))
