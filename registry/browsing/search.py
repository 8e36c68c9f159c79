"""A search without an index: in the names of repositories, as far as one page may look."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from registry.browsing.shapes import Hit, Hits
from registry.oci.reference import is_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.ports import Catalog

_LOOKED_AT: Final = 2000
"""Names that are looked at for one page."""
_SECONDS: Final = 3.0
"""How long it looks for one page: on an object store that may be a hundred names, as each costs two calls."""


def search(catalog: Catalog, text: str, shows: Callable[[str], bool], after: str = "", limit: int = 50) -> Hits:
    """Return repositories in whose names all words of `text` are, those after `after`, if `shows` takes them.

    A colon and what is behind it, which would be about tags, is left out. Where `complete` is False not all names were
    looked at, or none of tags that were asked for; there may be more after `following`. A cursor of the index leads to
    the beginning.
    """
    left, colon, _ = text.partition(":")
    words = left.lower().split()
    rows: list[Hit] = []
    is_cut = False
    until = time.monotonic() + _SECONDS
    names = catalog.names(after=after if is_name(after) else "") if words else ()
    for looked_at, name in enumerate(names):
        if looked_at == _LOOKED_AT or time.monotonic() > until:
            is_cut = True
            break
        if all(word in name.lower() for word in words) and shows(name):
            if len(rows) == limit:
                is_cut = True
                break
            rows.append(Hit(name))
    # A name that is hidden is not told, not even as the place where the search goes on.
    return Hits(tuple(rows), rows[-1].repository if is_cut and rows else None, complete=not (is_cut or colon))
