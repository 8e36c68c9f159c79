"""Which extensions of the API there are (distribution-spec, extensions/_oci.md, "discover"), of all or of a repository.

It is served where ``http.extensions.enabled`` is set, and tells what the application serves: nothing has to be listed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from flask import Blueprint

from registry.handlers.context import authorize, hand_over, open_repository, require_kept
from registry.handlers.flask_internals import current_app
from registry.handlers.response import Response
from registry.oci import encoding, media_types

if TYPE_CHECKING:
    from collections.abc import Iterator

blueprint = Blueprint("discovery", __name__)

_EXTENSIONS: Final = {
    "_oci": (
        "which extensions there are",
        "https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md",
    ),
    "_registry": ("what is in the registry, copies within it, and its maintenance", "docs/extension-api.md"),
}
"""What each is about, and where it is described."""
_OF_ALL: Final = "/v2/"
_OF_ONE: Final = "/v2/<path:name>/"
_argument: Final = re.compile("<(?:path:)?([a-z_]+)>")


@blueprint.get("/v2/_oci/ext/discover")
def discover() -> Response:
    """Tell the extensions that concern all of the registry."""
    authorize()
    return _told(_OF_ALL)


@blueprint.get("/v2/<path:name>/_oci/ext/discover")
def discover_of_repository(name: str) -> Response:
    """Tell the extensions that concern a repository."""
    name = open_repository(name, "pull").name
    hand_over()
    require_kept(name)
    return _told(_OF_ONE)


def _told(prefix: str) -> Response:
    endpoints = sorted(set(_endpoints(prefix)))
    told = [
        {
            "name": name,
            "url": url,
            "description": description,
            "endpoints": [each for each in endpoints if each.startswith(f"{name}/")],
        }
        for name, (description, url) in _EXTENSIONS.items()
    ]
    return Response(encoding.answer({"extensions": told}), content_type=media_types.JSON)


def _endpoints(prefix: str) -> Iterator[str]:
    """Yield the paths of this application that belong to extensions, below `prefix`, their arguments in braces."""
    for rule in current_app().url_map.iter_rules():
        path = rule.rule.removeprefix(prefix)
        if rule.rule.startswith(f"{prefix}_") and path.partition("/")[0] in _EXTENSIONS:
            yield _argument.sub(r"{\1}", path)
