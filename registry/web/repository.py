"""The page of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.web.page import render
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from registry.handlers.response import Response


def show_repository(name: str) -> Response:
    """Show the tags of a repository."""
    repository = visitor().open(name)
    return render("repository.html", name=name, tags=list(repository.tags.names()))
