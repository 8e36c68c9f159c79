"""What the API tells beyond the specifications: what is in a registry, as its pages and commands show it.

The paths have the form of the specification's extensions (distribution-spec, "extensions"):
``_registry/<component>/<module>``. They are served where ``http.extensions.enabled`` is set. What a caller sees of
other repositories is what the catalog lists for it, and nothing is fetched from a registry that this one caches.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from auth.base import Access
from registry.browsing.compare import Place, compared
from registry.browsing.manifest import details
from registry.browsing.referrers import references
from registry.browsing.repository import SORTS
from registry.browsing.spelling import spelled
from registry.browsing.tree import level
from registry.handlers.context import authorize, hand_over, open_repository, require_kept
from registry.handlers.current import services
from registry.handlers.looking import find, looking, tags_of
from registry.handlers.paging import last_seen, next_link, page_size
from registry.handlers.response import Response
from registry.oci import encoding, media_types
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError, PaginationInvalidError, ParameterInvalidError
from registry.oci.reference import parse_name, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.browsing.repository import Sort

blueprint = Blueprint("extension", __name__)

_DEFAULT_SIZE: Final = 50
_LARGEST_SIZE: Final = 100
"""Entries of a page, each of which may cost some calls to the storage."""
_LONGEST_TEXT: Final = 255
_MOST_REFERRERS: Final = 100
_DEEPEST_REFERRERS: Final = 4


@blueprint.get("/v2/_registry/search/repositories")
def search_repositories() -> Response:
    """Find repositories, and with an index tags as well, by words in their names."""
    shows, text = _shown(), request.args.get("q", "").strip()
    if not text or len(text) > _LONGEST_TEXT:
        raise ParameterInvalidError(f"q has to be a text of 1 to {_LONGEST_TEXT} characters")
    size = _size()
    hand_over()
    hits = find(text, shows, last_seen(), size)
    return _page({"complete": hits.complete, "results": spelled(hits.rows)}, hits.following, q=text, n=size)


@blueprint.get("/v2/_registry/tree")
def get_level() -> Response:
    """Tell what lies right below a path: repositories, and what others are nested in."""
    shows, path = _shown(), request.args.get("path", "").rstrip("/")
    if path:
        parse_name(path)
    size = _size()
    hand_over()
    found = level(services().repositories, path, shows=shows, after=last_seen(), limit=size)
    told = {"path": path, "children": spelled(found.children), "cut": found.cut}
    return _page(told, found.following, path=path, n=size)


@blueprint.get("/v2/<path:name>/_registry/tags/list")
def list_tags(name: str) -> Response:
    """Tell of a page of the tags what each leads to, how large that is, and when it was pushed."""
    name = open_repository(name, "pull").name
    sort = _sort()
    size = _size()
    hand_over()
    page = tags_of(name, sort, last_seen(), size)
    told = {"name": name, "sort": page.sort, "total": page.total, "tags": spelled(page.rows)}
    return _page(told, page.following, sort=sort, n=size)


@blueprint.get("/v2/<path:name>/_registry/manifests/details")
def get_details(name: str) -> Response:
    """Tell of a manifest what it is, its layers beside its history, its config."""
    name = open_repository(name, "pull").name
    reference = parse_reference(request.args.get("reference", ""))
    hand_over()
    found = details(looking().images, name, reference)
    if found is None:
        raise ManifestUnknownError("manifest unknown", {"reference": str(reference)})
    return _answer(spelled(found))


@blueprint.get("/v2/<path:name>/_registry/referrers/tree")
def get_references(name: str) -> Response:
    """Tell what refers to a manifest, and to that, and so on."""
    name = open_repository(name, "pull").name
    digest = Digest.parse(request.args.get("digest", ""))
    hand_over()
    require_kept(name)
    return _answer(spelled(references(looking().images.source, name, digest, _DEEPEST_REFERRERS, _MOST_REFERRERS)))


@blueprint.get("/v2/<path:name>/_registry/compare")
def get_comparison(name: str) -> Response:
    """Tell how the manifest ``to`` differs from ``from``; of two indexes the images for ``platform``."""
    name = open_repository(name, "pull").name
    before, after = (Place(name, parse_reference(request.args.get(each, ""))) for each in ("from", "to"))
    with looking().turn.taken():
        comparison = compared(looking().images, before, after, request.args.get("platform", ""))
    return _answer(spelled(comparison))


def _shown() -> Callable[[str], bool]:
    """Return what says which repositories the caller sees, who may list the catalog.

    Raises:
        auth.base.UnauthorizedError, DeniedError, ThrottledError, ControllerError: it may not.
    """
    return partial(services().access.lists, authorize(Access("registry", "catalog", "*")))


def _size() -> int:
    """Return how many entries a page is to have.

    Raises:
        PaginationInvalidError: ``n`` is not a number, or none at all.
    """
    size = page_size(maximum=_LARGEST_SIZE)
    if size == 0:
        raise PaginationInvalidError("n must be a number of results, 1 or more", {"n": "0"})
    return size or _DEFAULT_SIZE


def _sort() -> Sort:
    asked = request.args.get("sort", "name")
    for each in SORTS:
        if asked == each:
            return each
    raise ParameterInvalidError(f"sort has to be one of {', '.join(SORTS)}")


def _page(told: dict[str, object], following: str | None, **query: str | int) -> Response:
    """Return a page of a list, which goes on after `following`; `query` is what has led to it."""
    response = _answer(told)
    if following is not None:
        response.headers["Link"] = next_link(last=following, **query)
    return response


def _answer(told: object) -> Response:
    return Response(encoding.answer(told), content_type=media_types.JSON)
