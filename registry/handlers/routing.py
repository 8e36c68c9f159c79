"""Which view a request is for: werkzeug's routing by method and path, remembered."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, MapAdapter, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from wsgiref.types import WSGIEnvironment

_MOST_REMEMBERED: Final = 1024
_LONGEST_REMEMBERED: Final = 512
"""Characters of a path: a client may send thousands, and what bounds memory is the number of paths."""


class Routing:
    """Finds views for requests. Clients ask for few paths over and over, and to match one takes a while."""

    def __init__(self, url_map: Map) -> None:
        self._map = url_map
        # What matches nothing raises, which is not remembered. To match a path takes 7 to 11 µs, to remember it 80 ns:
        # lru_cache is written in C, and foundation.recent would take 340 ns.
        self.remembered = lru_cache(maxsize=_MOST_REMEMBERED)(self.find)

    def find(self, method: str, path: str) -> tuple[Rule, Mapping[str, Any]]:
        """Return the rule that matches and its arguments, which depend on nothing else."""
        return MapAdapter(self._map, "", "/", "", "http", path, method).match(return_rule=True)

    def adapter(self, environ: WSGIEnvironment) -> MapAdapter:
        """Return what finds the view of one request."""
        # WSGI has the bytes of a path as if they were Latin-1.
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        prefix = environ.get("SCRIPT_NAME", "").rstrip("/") + "/"
        find = self.remembered if len(path) <= _LONGEST_REMEMBERED else self.find
        adapter = _Adapter(find, self._map, "", prefix, "", environ["wsgi.url_scheme"], path, environ["REQUEST_METHOD"])
        # werkzeug would take these for paths with one slash: a proxy that allows or forbids by path would not.
        adapter.is_served = not path.startswith("//") and not path.endswith("//")
        return adapter


class _Adapter(MapAdapter):
    is_served = True

    def __init__(self, find: Callable[[str, str], tuple[Rule, Mapping[str, Any]]], *args: Any) -> None:
        super().__init__(*args)
        self._find = find

    def match(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Return rule and arguments of the request; what else may be asked for is looked up."""
        if not self.is_served:
            raise NotFound
        if args or kwargs != {"return_rule": True}:
            return super().match(*args, **kwargs)
        rule, arguments = self._find(self.default_method, self.path_info)
        return rule, dict(arguments)
