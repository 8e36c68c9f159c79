"""What operators ask a registry for beyond the specifications, below ``/v2/_registry/``; no repository is called so.

It is served where ``http.extensions.enabled`` is set.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from auth.base import MAINTENANCE, Access
from registry.handlers.context import authorize, hand_over, publishing, require_deletable
from registry.handlers.current import services
from registry.handlers.response import Response
from registry.oci.errors import NameUnknownError, ParameterInvalidError
from registry.oci.reference import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.ports import Repository

blueprint = Blueprint("maintenance", __name__)

_MAINTENANCE: Final = Access("registry", MAINTENANCE, "*")


@blueprint.delete("/v2/_registry/repositories/<path:name>")
def delete_repository(name: str) -> Response:
    """Delete all that a repository has; for maintainers, given ``?recursive=true``, those nested in its name as well.

    It goes on when the client has left. It can be repeated until it is answered with 404, if it breaks off.
    """
    parse_name(name)
    recursive = _flag("recursive")
    deleting = (Access("repository", name, action) for action in ("delete", "untag"))
    authorize(*deleting, *([_MAINTENANCE] if recursive else ()))
    require_deletable()
    hand_over()
    known = _remove(name)
    for nested in services().repositories.catalog.keeping(below=name) if recursive else ():
        known = _remove(nested) or known
    if not known:
        raise NameUnknownError("repository name not known to registry", {"name": name})
    publishing().settle_removals(partial(_removed, name, recursive=recursive))
    return Response(status=202)


def _flag(name: str) -> bool:
    """Return whether the parameter called so is ``true``; without it, it is not.

    Raises:
        ParameterInvalidError: it is neither ``true`` nor ``false``, or both.
    """
    values = set(request.args.getlist(name)) or {"false"}
    if len(values) > 1 or not values <= {"true", "false"}:
        raise ParameterInvalidError(f"{name} has to be true or false")
    return values == {"true"}


def _removed(name: str, *, recursive: bool) -> Iterator[Repository]:
    """Yield the repository called so, and those nested in its name of which anything is left."""
    repositories = services().repositories
    yield repositories.open(name)
    yield from map(repositories.open, repositories.catalog.keeping(below=name) if recursive else ())


def _remove(name: str) -> bool:
    """Delete a repository that the caller may delete; tell whether there was anything of it."""
    try:
        publishing().remove_repository(services().repositories.open(name))
    except NameUnknownError:
        return False
    return True
