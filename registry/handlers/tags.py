"""The tags of a repository (distribution-spec, "Listing Tags")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask import Blueprint

from registry.handlers.context import open_repository
from registry.handlers.current import services
from registry.handlers.paging import last_seen, next_link, page_size
from registry.handlers.response import Response
from registry.oci import media_types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.ports import TagStore

blueprint = Blueprint("tags", __name__)


@blueprint.get("/v2/<path:name>/tags/list")
def list_tags(name: str) -> Response:
    """List tags in byte order: a page of ``n``, or all of them."""
    tags = open_repository(name, "pull").tags
    maximum = services().configuration.tags.maxtags
    size = page_size(maximum=maximum)
    if size is None:
        first = tags.page(after=last_seen(), limit=maximum)
        return Response(_stream(name, tags, first, maximum), content_type=media_types.JSON)
    page = tags.page(after=last_seen(), limit=size + 1)
    response = Response(json.dumps({"name": name, "tags": page[:size]}) + "\n", content_type=media_types.JSON)
    if size and len(page) > size:
        response.headers["Link"] = next_link(last=page[size - 1], n=size)
    return response


def _stream(name: str, tags: TagStore, page: list[str], size: int) -> Iterator[str]:
    """Yield the document a page at a time: what is held does not grow with the number of tags."""
    yield f'{{"name":{json.dumps(name)},"tags":['
    separator = ""
    while page:
        yield separator + ",".join(json.dumps(tag) for tag in page)
        separator = ","
        page = tags.page(after=page[-1], limit=size) if len(page) == size else []
    yield "]}\n"
