"""What drivers over a flat, sorted space of keys have in common: the map from paths to keys, and listing.

A store that lists with the delimiter ``/`` gives the entries ``a-b``, ``a.b`` and ``a/`` in this order, for
``-`` and ``.`` sort before ``/``. The contract wants names by their own bytes: ``a``, ``a-b``, ``a.b``.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from drivers.base import InvalidPathError, checked_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

KEY_SIZE: Final = 1024
"""Bytes of the longest key: the limit of all three large services."""

_EARLY = re.compile(r"[-.]")
"""The characters of a name that sort before the delimiter."""


class Keys:
    """Keys below a root: no leading slash, as the Go registry writes them."""

    def __init__(self, root: str) -> None:
        root = root.strip("/")
        self.root: Final = f"{root}/" if root else ""

    def key(self, path: str) -> str:
        """Return the key of the object at `path`.

        Raises:
            InvalidPathError: a driver does not store under it.
        """
        key = self.root + checked_path(path)[1:]
        if len(key) > KEY_SIZE:
            raise InvalidPathError(f"path of {len(key)} bytes, at most {KEY_SIZE} can be stored: {path[:64]}...")
        return key

    def prefix(self, path: str) -> str:
        """Return what the keys of everything below `path` begin with."""
        return self.key(path) + "/"


def no_bytes() -> Generator[bytes]:
    """Return the pieces of an empty range: none, and like any other it can be closed."""
    yield from ()


def first_names(pages: Iterable[Iterable[str]], after: str, limit: int, has_prefix: Callable[[str], bool]) -> list[str]:
    """Return the first `limit` names after `after`, each in its own byte order; hidden names are left out.

    `pages` are the store's, from the first entry at or after `after`, each with its entries in any order but
    no entry smaller than one of an earlier page. An entry is a name or, where it is a prefix of keys, a name and
    ``/``. `has_prefix` tells whether there are keys below a name; it is asked only about the few that may come
    late: the beginnings, up to a ``-`` or ``.``, of the last entry that was read.
    """
    names: set[str] = set()
    pages = iter(pages)
    last = ""
    for page in pages:
        for entry in page:
            last = max(last, entry)
            name = entry.removesuffix("/")
            if name > after and not name.startswith("."):
                names.add(name)
        if len(names) >= limit:
            beginnings = {last[: match.start()] for match in _EARLY.finditer(last)}
            names |= {name for name in beginnings - names if name > after and has_prefix(name)}
            break
    return list(islice(sorted(names), limit))
