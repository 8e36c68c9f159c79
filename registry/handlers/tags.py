"""The tags of a repository (distribution-spec, "Listing Tags")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from registry.handlers.context import open_repository
from registry.handlers.current import services
from registry.handlers.paging import last_seen, next_link, page_size
from registry.handlers.response import Response
from registry.oci import encoding, media_types

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
        page = tags.page(after=last_seen(), limit=maximum)
        content = _whole(name, page) if len(page) < maximum else _stream(name, tags, page, maximum)
        return Response(content, content_type=media_types.JSON)
    page = tags.page(after=last_seen(), limit=size + 1)
    response = Response(_whole(name, page[:size]), content_type=media_types.JSON)
    if size and len(page) > size:
        response.headers["Link"] = next_link(last=page[size - 1], n=size)
    return response


def _whole(name: str, page: list[str]) -> str:
    return encoding.answer({"name": name, "tags": page})


def _stream(name: str, tags: TagStore, page: list[str], size: int) -> Iterator[str]:
    """Yield the document a page at a time: what is held does not grow with the number of tags."""
    yield f'{{"name":{encoding.encode(name)},"tags":['
    separator = ""
    while page:
        yield separator + encoding.encode(page)[1:-1]
        separator = ","
        page = tags.page(after=page[-1], limit=size) if len(page) == size else []
    yield "]}\n"
