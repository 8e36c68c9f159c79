"""What pages and the API's extension look at images with: both remember what they have seen, and both take turns.

It is imported where one of the two is served, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.browsing.images import Images
from registry.browsing.repository import MOST_SORTED, tags_page
from registry.browsing.search import search
from registry.handlers.current import services
from registry.handlers.flask_internals import current_app
from registry.handlers.turn import Turn
from registry.inventory.local import StorageReader
from registry.inventory.source import NotThereError
from registry.oci.errors import NameUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from registry.browsing.repository import Sort
    from registry.browsing.shapes import Hits, TagsPage
    from registry.ports import Repositories

_EXTENSION: Final = "registry.looking"
"""Under which name a Flask application has this among its extensions."""


@dataclass(frozen=True, slots=True)
class Looking:
    """`images` are those of the storage, as they are kept here: nothing is fetched from another registry to be shown.

    `turn` has who reads documents that strangers have pushed.
    """

    images: Images
    turn: Turn


def install(app: Flask, repositories: Repositories) -> None:
    """Let the views of `app` look at `repositories`."""
    app.extensions[_EXTENSION] = Looking(Images(StorageReader(repositories)), Turn())


def looking() -> Looking:
    """Return what the views of the current application look with."""
    found: Looking = current_app().extensions[_EXTENSION]
    return found


def find(text: str, shows: Callable[[str], bool], after: str, limit: int) -> Hits:
    """Return what the index has of `text`; without one, or before it is complete, what a look at some names finds."""
    here = services()
    found = here.index.search(text, shows, after, limit) if here.index else None
    return found or search(here.repositories.catalog, text, shows, after, limit)


def tags_of(name: str, sort: Sort, after: str, limit: int, containing: str = "") -> TagsPage:
    """Return a page of tags of the storage, or of the index if there are too many to be sorted without one.

    So few tags are listed as they are at this moment. The index does not know which of them contain a text.

    Raises:
        NameUnknownError: there is no such repository.
    """
    index = services().index
    indexed = index.tags(name, sort, after, limit) if index and not containing else None
    if indexed and (indexed.total or 0) > MOST_SORTED:
        return indexed
    try:
        return tags_page(looking().images, name, after=after, limit=limit, sort=sort, containing=containing)
    except NotThereError as error:
        raise NameUnknownError("repository name not known to registry", {"name": name}) from error
