"""What operators ask a registry for beyond the specifications, below ``/v2/_registry/``; no repository is called so.

It is served where ``http.extensions.enabled`` is set.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from auth.base import MAINTENANCE, Access
from registry.handlers.context import authorize, hand_over, publishing, require_deletable
from registry.handlers.current import services
from registry.handlers.response import Response
from registry.lifecycle.status import status_of
from registry.oci import encoding, media_types
from registry.oci.errors import NameUnknownError
from registry.oci.reference import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterator

blueprint = Blueprint("maintenance", __name__)

_MAINTENANCE: Final = Access("registry", MAINTENANCE, "*")


@blueprint.delete("/v2/_registry/repositories/<path:name>")
def delete_repository(name: str) -> Response:
    """Delete all that a repository has; for maintainers, given ``?recursive=true``, those nested in its name as well.

    It goes on when the client has left. It can be repeated until it is answered with 404, if it breaks off.
    """
    parse_name(name)
    recursive = request.args.get("recursive") == "true"
    deleting = (Access("repository", name, action) for action in ("delete", "untag"))
    authorize(*deleting, *([_MAINTENANCE] if recursive else ()))
    require_deletable()
    hand_over()
    known = _remove(name)
    for nested in _nested(name) if recursive else ():
        known = _remove(nested) or known
    if not known:
        raise NameUnknownError("repository name not known to registry", {"name": name})
    return Response(status=202)


@blueprint.get("/v2/_registry/gc")
def get_collections() -> Response:
    """Say whether a garbage collection is on and what the last ones did, as ``registry gc status --json`` does."""
    authorize(_MAINTENANCE)
    return Response(encoding.encode(status_of(services().driver)), content_type=media_types.JSON)


def _nested(name: str) -> Iterator[str]:
    """Yield the repositories that are nested in `name`, which come after it in the catalog."""
    return takewhile(lambda each: each.startswith(f"{name}/"), services().repositories.catalog.names(after=name))


def _remove(name: str) -> bool:
    """Delete a repository that the caller may delete; tell whether there was anything of it."""
    try:
        publishing().remove_repository(services().repositories.open(name))
    except NameUnknownError:
        return False
    return True
