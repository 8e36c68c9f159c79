"""The claim ``access`` of a token: what it allows (distribution's "Token Authentication Implementation")."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from auth.base import SCOPED_AS
from auth.tokens.jws import TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth.base import Access

T = TypeVar("T")


def granted_accesses(claims: Mapping[str, object]) -> set[tuple[str, str, str]]:
    """Return the (type, name, action) triples of the ``access`` claim.

    Raises:
        TokenRefusedError: it is not a list of resources with their actions.
    """
    granted: set[tuple[str, str, str]] = set()
    entries = claims.get("access")
    for entry in _of_type(entries, list) if entries is not None else []:
        resource = _of_type(entry, dict)
        kind, name = _of_type(resource.get("type", ""), str), _of_type(resource.get("name", ""), str)
        actions = resource.get("actions")
        granted.update((kind, name, _of_type(action, str)) for action in _of_type(actions or [], list))
    return granted


def covers(granted: set[tuple[str, str, str]], access: Access) -> bool:
    """Tell whether `access` is among `granted`, where ``*`` is every action.

    What is granted on one of its other names counts only for a pull: the client chooses by the host that it names which
    repository such a name leads to, and may push to another one of that name.
    """
    action = SCOPED_AS.get(access.action, access.action)
    wanted = {(access.type, access.name, action), (access.type, access.name, "*")}
    if access.also and action == "pull":
        wanted |= {(access.type, name, each) for name in access.also for each in (action, "*")}
    return not granted.isdisjoint(wanted)


def _of_type(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TokenRefusedError("its access claim is malformed", told=False)
    return value
