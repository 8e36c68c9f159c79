"""The catalog of repositories, as the Docker registry defined it; the OCI specification reserves the name."""

from __future__ import annotations

from functools import partial

from flask import Blueprint

from auth.base import Access
from registry.handlers.context import authorize
from registry.handlers.current import services
from registry.handlers.paging import last_seen, next_link, page_size
from registry.handlers.response import Response
from registry.oci import encoding, media_types

blueprint = Blueprint("catalog", __name__)

_DEFAULT_SIZE = 100


@blueprint.get("/v2/_catalog")
def list_repositories() -> Response:
    """List a page of the repositories."""
    grant = authorize(Access("registry", "catalog", "*"))
    maximum = services().configuration.catalog.maxentries
    size = page_size(maximum=maximum)
    if size is None:
        size = min(_DEFAULT_SIZE, maximum)
    access, catalog = services().access, services().repositories.catalog
    page = catalog.page(after=last_seen(), limit=size + 1, shown=partial(access.lists, grant)) if size else []
    response = Response(encoding.answer({"repositories": page[:size]}), content_type=media_types.JSON)
    if len(page) > size:
        response.headers["Link"] = next_link(last=page[size - 1], n=size)
    return response
