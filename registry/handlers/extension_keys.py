"""The API keys of the caller, and what the caller may do: ``/v2/_registry/keys`` and ``/v2/_registry/access/explain``.

Keys are looked after with a password; neither a key nor a token can make, list or revoke keys.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint, request
from werkzeug.exceptions import NotFound

from auth.base import Access, DeniedError, Key
from registry.audit.record import CREATE, REVOKE
from registry.foundation import durations
from registry.foundation.times import rfc3339
from registry.handlers.auditing import record_key
from registry.handlers.context import authorize, hand_over, require_writable
from registry.handlers.current import services
from registry.handlers.json_body import json_object
from registry.handlers.response import Response
from registry.oci import encoding, media_types
from registry.oci.errors import ParameterInvalidError, UnsupportedError
from registry.oci.reference import parse_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auth.base import Grant, Keys

blueprint = Blueprint("extension_keys", __name__)

_MEMBERS: Final = {"name": str, "lifetime": str, "repositories": list, "actions": list}
_ACTIONS: Final = ("pull", "push", "delete", "overwrite", "untag")


@blueprint.get("/v2/_registry/keys")
def list_keys() -> Response:
    """Tell the keys of the caller, the newest first."""
    keys, grant = _keys()
    hand_over()
    return _answer({"keys": [_told(key) for key in keys.of(grant.user)]})


@blueprint.post("/v2/_registry/keys")
def create_key() -> Response:
    """Make a key of the caller, and tell its text, which is kept nowhere."""
    keys, grant = _keys()
    require_writable()
    wished = _wished(grant, json_object())
    hand_over()
    try:
        made, text = keys.create(grant, wished)
    except ValueError as error:
        raise ParameterInvalidError(str(error)) from error
    record_key(CREATE, made.id)
    return _answer({**_told(made), "key": text}, 201)


@blueprint.delete("/v2/_registry/keys/<key_id>")
def revoke_key(key_id: str) -> Response:
    """Revoke a key of the caller."""
    keys, grant = _keys()
    require_writable()
    hand_over()
    if not keys.revoke(grant.user, key_id):
        raise NotFound
    record_key(REVOKE, key_id)
    return Response(status=202)


@blueprint.get("/v2/_registry/access/explain")
def explain_access() -> Response:
    """Say whether the caller may do ``action`` in ``repository``, and which rule says so."""
    grant, controller = authorize(), services().access
    if controller.no_pages:
        raise UnsupportedError("the access control of this registry does not explain its decisions")
    name, action = parse_name(request.args.get("repository", "")), request.args.get("action", "")
    if action not in _ACTIONS:
        raise ParameterInvalidError(f"action has to be one of {', '.join(_ACTIONS)}")
    access = Access("repository", name, action)
    try:
        controller.judge(grant, [access])
        allowed = True
    except DeniedError:
        allowed = False
    reason = controller.explain(grant, access)
    told = {"user": grant.user, "repository": name, "action": action, "allowed": allowed, "reason": reason}
    return _answer(told)


def _keys() -> tuple[Keys, Grant]:
    """Return the keys, and who the caller is, who may look after those of its own.

    Raises:
        UnsupportedError: there are no keys.
        auth.base.UnauthorizedError, DeniedError, ThrottledError, ControllerError: the caller may not.
    """
    grant, keys = authorize(), services().access.keys
    if keys is None:
        raise UnsupportedError("this registry has no API keys that users make for themselves")
    keys.require_owner(grant)
    return keys, grant


def _wished(grant: Grant, asked: Mapping[str, Any]) -> Key:
    """Return the key that the body of the request asks for.

    Raises:
        ParameterInvalidError: it has other members than it may have, or of other types.
    """
    for name, value in asked.items():
        if name not in _MEMBERS or not isinstance(value, _MEMBERS[name]):
            raise ParameterInvalidError("the members are name and lifetime, texts; repositories and actions, lists")
    lifetime = asked.get("lifetime", "")
    expires = int(time.time() + _seconds(lifetime)) if lifetime else None
    repositories, actions = _texts(asked, "repositories"), _texts(asked, "actions")
    return Key("", grant.user, asked.get("name", ""), 0, expires, None, repositories, actions)


def _seconds(lifetime: str) -> float:
    try:
        return durations.parse(lifetime)
    except ValueError as error:
        raise ParameterInvalidError("lifetime has to be a duration such as 90d or 12h") from error


def _texts(asked: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values: Sequence[object] = asked.get(name, ())
    texts = tuple(value for value in values if isinstance(value, str))
    if len(texts) < len(values):
        raise ParameterInvalidError(f"{name} has to be a list of texts")
    return texts


def _told(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "created": rfc3339(key.created),
        "expires": None if key.expires is None else rfc3339(key.expires),
        "used": None if key.used is None else rfc3339(key.used)[:10],
        "repositories": list(key.repositories),
        "actions": list(key.actions),
    }


def _answer(told: Mapping[str, object], status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(encoding.answer(told), status, headers, content_type=media_types.JSON)
