"""A search without an index: in the names of repositories, as far as one page may look."""

from __future__ import annotations

import time
from itertools import islice
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
    looked at, and there may be more after `following`. A cursor of the index leads to the beginning.
    """
    words = text.partition(":")[0].lower().split()
    if not words:
        return Hits((), None)
    rows: list[Hit] = []
    last, looked_at, is_late = after if is_name(after) else "", 0, False
    until = time.monotonic() + _SECONDS
    for name in islice(catalog.names(after=last), _LOOKED_AT):
        looked_at += 1
        if time.monotonic() > until:
            is_late = True
            break
        if all(word in name.lower() for word in words) and shows(name):
            if len(rows) == limit:
                return Hits(tuple(rows), last, complete=False)
            rows.append(Hit(name))
            last = name
    # A name that is hidden is not told, not even as the place where the search goes on.
    is_cut = is_late or looked_at == _LOOKED_AT
    return Hits(tuple(rows), rows[-1].repository if is_cut and rows else None, complete=not is_cut)
