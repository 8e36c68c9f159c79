"""The API keys of who has logged in: what there are, making one, which is shown once, and revoking one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from flask import Blueprint, request
from werkzeug.exceptions import NotFound

from auth.base import DeniedError, Key
from registry.audit.record import CREATE, REVOKE
from registry.foundation.durations import parse as parse_duration
from registry.foundation.globs import Glob
from registry.handlers.auditing import record_key
from registry.handlers.context import require_writable
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
_LONGEST_NAME: Final = 64
_MOST_GLOBS: Final = 20
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
    try:
        made, text = _made(keys, grant)
    except (DeniedError, ParameterInvalidError) as error:
        told = answer(error, services())
        return _list(keys, grant, message=str(told.errors[0]["message"]), code=told.status_code)
    record_key(CREATE, made.id)
    return render("key_made.html", key=made, text=text, host=image_host().name, user=grant.user)


@blueprint.get("/_keys/_revoke")
@page
def ask_revoke() -> Response:
    """Ask whether to revoke a key."""
    keys, grant = _keys()
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
    key_id = request.form.get("key", "")
    if not keys.revoke(grant.user, key_id):
        raise NotFound
    record_key(REVOKE, key_id)
    return redirect(site().links.keys())


def _keys() -> tuple[Keys, Grant]:
    """Return the keys, and who has logged in.

    Raises:
        NotFound: there are no keys here.
    """
    session = visitor().require_session()
    keys = services().access.keys
    if keys is None:
        raise NotFound
    return keys, session.grant


def _list(keys: Keys, grant: Grant, *, message: str = "", code: int = 200) -> Response:
    longest = keys.longest_seconds
    offered = [(sent, told) for sent, told in LIFETIMES if longest is None or (sent and _seconds(sent) <= longest)]
    if longest is not None and not offered:
        offered = [(f"{longest}s", f"{longest // _DAY} days" if longest >= _DAY else f"{longest} seconds")]
    usual = _USUAL_LIFETIME if any(sent == _USUAL_LIFETIME for sent, _ in offered) else offered[-1][0]
    return render(
        "keys.html",
        code,
        keys=keys.of(grant.user),
        lifetimes=offered,
        usual_lifetime=usual,
        actions=ACTIONS,
        message=message,
        now=time.time(),
        form=request.form,
    )


def _made(keys: Keys, grant: Grant) -> tuple[Key, str]:
    """Return the key that the form asks for, and its text.

    Raises:
        ParameterInvalidError: it asks for what is none.
        DeniedError: see Keys.create().
    """
    wished = _wished(grant)
    try:
        return keys.create(grant, wished)
    except ValueError as error:
        raise ParameterInvalidError(str(error)) from error


def _wished(grant: Grant) -> Key:
    """Return the key that the form asks for.

    Raises:
        ParameterInvalidError: it asks for what is none.
    """
    name = request.form.get("name", "").strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ParameterInvalidError(f"the key needs a name of at most {_LONGEST_NAME} characters")
    globs = tuple(request.form.get("repositories", "").split())
    if len(globs) > _MOST_GLOBS:
        raise ParameterInvalidError(f"a key is for {_MOST_GLOBS} patterns of repositories at most")
    for glob in globs:
        _check(glob)
    actions = tuple(action for action in ACTIONS if action in request.form.getlist("actions"))
    if not actions:
        raise ParameterInvalidError("the key needs something that it may do")
    lifetime = request.form.get("lifetime", "")
    expires = int(time.time() + _seconds(lifetime)) if lifetime else None
    return Key("", grant.user, name, 0, expires, None, globs, () if actions == ACTIONS else actions)


def _check(glob: str) -> None:
    try:
        Glob.parse(glob)
    except ValueError as error:
        raise ParameterInvalidError(f"{glob} is no pattern of repositories: {error}") from error


def _seconds(lifetime: str) -> float:
    try:
        return parse_duration(lifetime)
    except ValueError as error:
        raise ParameterInvalidError("the lifetime is no duration") from error
