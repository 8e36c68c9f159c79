"""The page that compares two manifests."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from registry.browsing.compare import Place, compared
from registry.handlers.context import hand_over
from registry.handlers.looking import looking
from registry.oci.reference import parse_name, parse_reference
from registry.web.page import page, render
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from registry.handlers.response import Response

blueprint = Blueprint("web_compare", __name__)

_OFFERED: Final = 200
_ROWS: Final = 500
_LONGEST: Final = 300


@blueprint.get("/_compare")
@page
def show_comparison() -> Response:
    """Show how the manifest `other` differs from `one`; the form that asks for them if one is not said.

    Both are of `repository`, or the second of the repository `with`.
    """
    name = parse_name(request.args.get("repository", ""))
    one, other = (request.args.get(which, "")[:_LONGEST].strip() for which in ("one", "other"))
    second = parse_name(request.args.get("with", "").strip() or name)
    for each in dict.fromkeys((name, second)):
        visitor().open(each)
    hand_over()
    images = looking().images
    comparison = None
    if one and other:
        platform = request.args.get("platform", "")
        places = Place(name, parse_reference(one)), Place(second, parse_reference(other))
        with looking().turn.taken():
            comparison = compared(images, *places, platform)
    return render(
        "compare.html",
        name=name,
        second=second,
        one=one,
        other=other,
        offered=list(islice(images.source.tags(name), _OFFERED)),
        comparison=comparison,
        rows=_ROWS,
    )
