"""What operators ask a registry for beyond the specifications, below ``/v2/_registry/``; no repository is called so.

It is served where ``http.extensions.enabled`` is set.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from itertools import chain, islice, takewhile
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request

from auth.base import MAINTENANCE, Access
from registry.handlers.context import authorize, hand_over, publishing, require_deletable
from registry.handlers.current import services
from registry.handlers.paging import last_seen, next_link, page_size
from registry.handlers.response import Response
from registry.inventory.usage import Usage, measure_repositories
from registry.lifecycle.status import status_of
from registry.oci import encoding, media_types
from registry.oci.errors import NameUnknownError, ParameterInvalidError
from registry.oci.reference import is_below, parse_name
from registry.quota.standing import standings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.ports import Repository

blueprint = Blueprint("maintenance", __name__)

_DEFAULT_SIZE: Final = 100
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


@blueprint.get("/v2/_registry/usage")
def get_usage() -> Response:
    """Tell how much a page of repositories has, and how the quotas stand that these belong to.

    It is for those who may list the catalog, and tells of what is listed for them. ``prefix`` is a repository: only it
    and those nested in its name are told of. What no other repository has is not told: for that all are looked at.
    """
    grant = authorize(Access("registry", "catalog", "*"))
    prefix = request.args.get("prefix", "").rstrip("/")
    if prefix:
        parse_name(prefix)
    maximum = services().configuration.catalog.maxentries
    size = page_size(maximum=maximum)
    if size is None:
        size = min(_DEFAULT_SIZE, maximum)
    hand_over()
    access, last = services().access, last_seen()
    listed = (name for name in _below(prefix, last) if access.lists(grant, name))
    names = list(islice(listed, size + 1)) if size else []
    page = names[:size]
    quotas = services().configuration.storage.maintenance.quotas
    told = {
        "quotas": [asdict(each) for each in standings(services().driver, quotas, page)],
        "repositories": list(_measured(page)),
    }
    response = Response(encoding.answer(told), content_type=media_types.JSON)
    if len(names) > size:
        response.headers["Link"] = next_link(last=page[-1], n=size, **({"prefix": prefix} if prefix else {}))
    return response


def _below(prefix: str, last: str) -> Iterator[str]:
    """Yield the repository `prefix` and those nested in its name, or without one all, that come after `last`."""
    catalog = services().repositories.catalog
    if not prefix:
        return catalog.names(after=last)
    goes_on = bool(last) and is_below(last, prefix)
    manifests = services().repositories.open(prefix).manifests
    itself = [] if goes_on or next(manifests.digests(), None) is None else [prefix]
    return chain(itself, _nested(prefix, last if goes_on else prefix))


def _measured(names: Sequence[str]) -> Iterator[dict[str, object]]:
    with Usage(lambda _: True) as usage:
        measure_repositories(services().driver, names, usage)
        usage.sum_up()
        for row in usage.repositories(largest_first=False):
            yield {"name": row.name, "tags": row.tags, "manifests": row.manifests, "logical": row.total}


def _nested(name: str, after: str = "") -> Iterator[str]:
    """Yield the repositories nested in `name`, which come after it in the catalog; `after` is it or one of them."""
    names = services().repositories.catalog.names(after=after or name)
    return takewhile(lambda each: each.startswith(f"{name}/"), names)


@blueprint.get("/v2/_registry/gc")
def get_collections() -> Response:
    """Say whether a garbage collection is on and what the last ones did, as ``registry gc status --json`` does."""
    authorize(_MAINTENANCE)
    return Response(encoding.encode(status_of(services().driver)), content_type=media_types.JSON)


def _remove(name: str) -> bool:
    """Delete a repository that the caller may delete; tell whether there was anything of it."""
    try:
        publishing().remove_repository(services().repositories.open(name))
    except NameUnknownError:
        return False
    return True
