"""The API keys of who has logged in: what there are, making one, which is shown once, and revoking one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request
from werkzeug.exceptions import NotFound

from auth.base import DeniedError, Key
from registry.audit.record import CREATE, REVOKE
from registry.foundation.durations import parse as parse_duration
from registry.handlers.auditing import record_key
from registry.handlers.context import hand_over, require_writable
from registry.handlers.current import services
from registry.handlers.errors import answer
from registry.oci.errors import ParameterInvalidError
from registry.web.hosts import image_host
from registry.web.page import page, redirect, render
from registry.web.site import site
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from auth.base import Grant, Keys
    from registry.handlers.response import Response

blueprint = Blueprint("web_keys", __name__)

ACTIONS: Final = ("pull", "push", "delete", "overwrite")
LIFETIMES: Final = (("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"), ("365d", "1 year"), ("", "no limit"))
"""Which a form offers, as they are sent and as they are called."""

_USUAL_LIFETIME: Final = "90d"
_DAY: Final = 86400


@blueprint.get("/_keys")
@page
def show_keys() -> Response:
    """Show the keys, and the form for another one."""
    keys, grant = _keys()
    return _list(keys, grant)


@blueprint.post("/_keys")
@page
def create_key() -> Response:
    """Make a key, and show its text, which cannot be had later, with the command that uses it."""
    keys, grant = _keys()
    require_writable()
    hand_over()
    try:
        made, text = keys.create(grant, _wished(grant))
    except (DeniedError, ValueError) as error:
        told = answer(ParameterInvalidError(str(error)) if isinstance(error, ValueError) else error, services())
        return _list(keys, grant, message=str(told.errors[0]["message"]), code=told.status_code)
    record_key(CREATE, made.id)
    return render("key_made.html", key=made, text=text, host=image_host().name, user=grant.user)


@blueprint.get("/_keys/_revoke")
@page
def ask_revoke() -> Response:
    """Ask whether to revoke a key."""
    keys, grant = _keys()
    require_writable()
    wanted = request.args.get("key", "")
    for key in keys.of(grant.user):
        if key.id == wanted:
            return render("key_revoke.html", key=key)
    raise NotFound


@blueprint.post("/_keys/_revoke")
@page
def revoke_key() -> Response:
    """Revoke a key."""
    keys, grant = _keys()
    require_writable()
    hand_over()
    key_id = request.form.get("key", "")
    if not keys.revoke(grant.user, key_id):
        raise NotFound
    record_key(REVOKE, key_id)
    return redirect(site().links.keys())


def _keys() -> tuple[Keys, Grant]:
    """Return the keys, and who has logged in, who may look after those of its own.

    Raises:
        NotFound: there are no keys here.
        SignInNeededError: nobody has logged in.
        auth.base.DeniedError: who has may not.
    """
    session, keys = visitor().require_session(), services().access.keys
    if keys is None:
        raise NotFound
    keys.require_owner(session.grant)
    return keys, session.grant


def _list(keys: Keys, grant: Grant, *, message: str = "", code: int = 200) -> Response:
    offered = _lifetimes(keys.longest_seconds)
    usual = _USUAL_LIFETIME if any(sent == _USUAL_LIFETIME for sent, _ in offered) else offered[-1][0]
    return render(
        "keys.html",
        code,
        keys=keys.of(grant.user),
        is_writable=not services().configuration.storage.maintenance.readonly.enabled,
        lifetimes=offered,
        usual_lifetime=usual,
        actions=ACTIONS,
        message=message,
        now=time.time(),
        form=request.form,
    )


def _lifetimes(longest: int | None) -> list[tuple[str, str]]:
    """Return which of LIFETIMES a key may have that may last for `longest` seconds; that itself if it is none."""
    if longest is None:
        return list(LIFETIMES)
    offered = [(sent, told) for sent, told in LIFETIMES if sent and parse_duration(sent) <= longest]
    return offered or [(f"{longest}s", f"{longest // _DAY} days" if longest >= _DAY else f"{longest} seconds")]


def _wished(grant: Grant) -> Key:
    """Return the key that the form asks for; whoever makes it says what else is wrong with it.

    Raises:
        ValueError: it has no name, may do nothing, or lasts for what is no duration.
    """
    name, lifetime = request.form.get("name", "").strip(), request.form.get("lifetime", "")
    actions = tuple(request.form.getlist("actions"))
    if not name:
        raise ValueError("the key needs a name")
    if not actions:
        # For whoever makes it, none would be all.
        raise ValueError("the key needs something that it may do")
    try:
        expires = int(time.time() + parse_duration(lifetime)) if lifetime else None
    except ValueError as error:
        raise ValueError("the lifetime has to be a duration such as 90d") from error
    return Key("", grant.user, name, 0, expires, None, tuple(request.form.get("repositories", "").split()), actions)
