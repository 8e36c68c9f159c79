"""Which view a request is for: werkzeug's routing by method and path, remembered."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, MapAdapter, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 512
"""Characters of a path: a client may send thousands, and what bounds memory is the number of paths."""
_is_one_of_many: Final = re.compile(
    r"[a-z0-9]+:[0-9a-f]{64,128}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII
).fullmatch
"""Tells whether the end of a path is a digest or the id of an upload: which one it is, is the same to every rule."""
_ANY: Final = "\0"
"""Stands for any of them."""


class Routing:
    """Finds views for requests. Clients ask for few paths over and over, and to match one takes a while.

    Those that end in a digest or in the id of an upload are one path for each repository.
    """

    def __init__(self, url_map: Map) -> None:
        self._map = url_map
        # What matches nothing raises, which is not remembered. To match a path takes 7 to 11 µs, to remember it 80 ns:
        # lru_cache is written in C, and foundation.recent would take 340 ns.
        self.remembered = lru_cache(maxsize=_MOST_REMEMBERED)(self.find)

    def find(self, method: str, path: str) -> tuple[Rule, Mapping[str, Any]]:
        """Return the rule that matches and its arguments, which depend on nothing else."""
        return self.adapter(method, path).match(return_rule=True)

    def match(self, method: str, path: str) -> tuple[Rule, dict[str, Any]]:
        """Return what find() returns, with arguments of the caller's own.

        Raises:
            NotFound: no view has such a path.
            MethodNotAllowed: those that have it do not have `method`.
        """
        if path.startswith("//") or path.endswith("//"):
            # werkzeug would take these for paths with one slash: a proxy that allows or forbids by path would not.
            raise NotFound
        find = self.remembered if len(path) <= _LONGEST_REMEMBERED else self.find
        above, _, last = path.rpartition("/")
        if _is_one_of_many(last) and _ANY not in above:
            rule, arguments = find(method, f"{above}/{_ANY}")
            return rule, {name: value.replace(_ANY, last) for name, value in arguments.items()}
        rule, arguments = find(method, path)
        return rule, dict(arguments)

    def adapter(self, method: str, path: str) -> MapAdapter:
        """Return werkzeug's own, which knows what else there is for a path."""
        return MapAdapter(self._map, "", "/", "", "http", path, method)
