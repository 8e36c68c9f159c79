"""The home page, and every other level of the tree that the names of repositories make."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from flask import Blueprint, request

from registry.browsing.repository import SORTS
from registry.browsing.tree import level
from registry.handlers.context import hand_over
from registry.handlers.current import services
from registry.oci.errors import NameUnknownError
from registry.oci.reference import is_name
from registry.web.commands import push_commands
from registry.web.hosts import image_host
from registry.web.page import page, render
from registry.web.visitor import SignInNeededError, visitor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.browsing.shapes import Level, RepositoryRow
    from registry.handlers.response import Response

blueprint = Blueprint("web_home", __name__)

_PAGE: Final = 100
_LATEST: Final = 8
"""Repositories that the home page has in the order of their last push, where there are too many to show all."""


class Node(NamedTuple):
    """A place in the tree of repositories, by its full `name`, and by its `label` below the node that it is nested in.

    `row` is None where there is no repository of that name.
    """

    name: str
    label: str
    row: RepositoryRow | None
    nested: Sequence[Node]


@blueprint.get("/")
@page
def show_home() -> Response:
    """Show the first level, or a list in the order that is asked for, which only an index has.

    With an index all levels are open if all of it fits into a page. Where all of it is hidden from who has not logged
    in, it is the page for that.
    """
    sort, after, index = request.args.get("sort", ""), request.args.get("after", ""), services().index
    if sort in SORTS and index:
        listed = index.repositories(sort, visitor().shows, after, _PAGE)
        if listed:
            progress = index.progress()
            is_sized = progress is None or progress.is_sized
            return render("repositories.html", page=listed, sort=sort, order=sort, is_sized=is_sized)
    whole = index.repositories("name", visitor().shows, "", _PAGE) if index and not after else None
    if whole and whole.rows and not whole.following:
        return render("tree.html", nodes=list(grown(whole.rows)), count=len(whole.rows), order="")
    found = _level("")
    if not found.children and visitor().can_sign_in:
        raise SignInNeededError
    latest = index.repositories("-pushed", visitor().shows, "", _LATEST) if index and not after else None
    return render(
        "level.html",
        level=found,
        has_index=index is not None,
        progress=index and index.progress(),
        latest=latest.rows if latest else (),
        first=push_commands(image_host()),
        order="",
    )


def grown(rows: Sequence[RepositoryRow], path: str = "") -> Iterator[Node]:
    """Yield the tree below `path` of repositories in the order of their names. Levels with one entry are not shown."""
    start = len(path) + 1 if path else 0
    for first, group in groupby(rows, lambda row: row.name[start:].partition("/")[0]):
        below = list(group)
        name = f"{path}/{first}" if path else first
        row = below.pop(0) if below[0].name == name else None
        nested = list(grown(below, name))
        if row or len(nested) > 1:
            yield Node(name, first, row, nested)
        else:
            yield nested[0]._replace(label=f"{first}/{nested[0].label}")


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
    # That much is hidden in a name is told only to who has seen something in it.
    if not found.children and not (found.cut and request.args.get("after")):
        raise NameUnknownError("repository name not known to registry", {"name": path})
    return render("level.html", level=found, has_index=False, progress=None, latest=(), first=())


def _level(path: str) -> Level:
    after = request.args.get("after", "")
    hand_over()
    return level(services().repositories, path, shows=visitor().shows, after=after, limit=_PAGE)
