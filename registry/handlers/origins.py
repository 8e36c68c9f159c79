"""Who asks and how, as the journal and events tell it.

origin() tells it of the request that is served. Where it is needed later only, and perhaps in another thread, asked()
sets aside what is known, which costs next to nothing, and origin_of() makes sense of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from werkzeug.datastructures import Authorization

from registry.foundation.redaction import redacted
from registry.foundation.uuids import random_uuid
from registry.handlers.flask_internals import current_globals, current_request
from registry.handlers.urls import ORIGIN, base_url_of, claimed_address_of
from registry.journal.entry import Origin
from registry.observation.record import current

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.config.values import HTTP

_ASKED: Final = (*ORIGIN, "REMOTE_PORT", "REQUEST_METHOD", "HTTP_USER_AGENT")
_TELLING: Final = frozenset(("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP"))
"""Headers of proxies: with one of them the port is the proxy's."""


def origin(http: HTTP, user: str | None = None) -> Origin:
    """Return who has sent this request, and how: `user`, or, if that is None, the one who was let in."""
    environ = current_request().environ
    return _origin(http, *_who(environ, user), environ)


def asked(http: HTTP) -> Sequence[Any]:
    """Return what origin_of() needs to know of this request, of the one who was let in."""
    environ = current_request().environ
    return http, *_who(environ, None), *map(environ.get, _ASKED)


def origin_of(known: Sequence[Any]) -> Origin:
    """Return who has sent the request of which asked() has returned what is `known`, and how."""
    http, user, claimed_user, request_id, *values = known
    environ = {name: value for name, value in zip(_ASKED, values, strict=True) if value is not None}
    return _origin(http, user, claimed_user, request_id, environ)


def size_of(known: Sequence[Any]) -> int:
    """Return how many characters of the client, about, are in what asked() has returned."""
    return len("".join(filter(None, known[1:])))


def _who(environ: Mapping[str, Any], user: str | None) -> tuple[str, str, str]:
    """Return `user`, or the one who was let in, who that claims to be otherwise, and the id of the request, if any."""
    record = current.get()
    name = current_globals().grant.user if user is None else user
    claimed_user = "" if name else _claimed_user(environ.get("HTTP_AUTHORIZATION"))
    return name, claimed_user, record.request_id if record else ""


def _origin(http: HTTP, user: str, claimed_user: str, request_id: str, environ: Mapping[str, Any]) -> Origin:
    return Origin(
        actor=user,
        claimed_user=claimed_user,
        client=environ["REMOTE_ADDR"],
        claimed=_claimed(environ),
        host=environ.get("HTTP_HOST", ""),
        method=environ["REQUEST_METHOD"],
        user_agent=_text(environ.get("HTTP_USER_AGENT", "")),
        request_id=request_id or random_uuid(),
        base_url=base_url_of(environ, http),
    )


def _claimed_user(header: str | None) -> str:
    """Return as whom the caller tries to log in; "" without a password, as clients send a key in place of a name so."""
    sent = Authorization.from_header(header) if header else None
    return redacted(sent.username or "") if sent and sent.type == "basic" and sent.password else ""


def _claimed(environ: Mapping[str, str]) -> str:
    """Return the address that the client says it has, with its port where it has come without a proxy."""
    if not environ.keys().isdisjoint(_TELLING):
        return claimed_address_of(environ)
    address, port = environ["REMOTE_ADDR"], environ.get("REMOTE_PORT")
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _text(value: str) -> str:
    """Return what is sent in UTF-8, of which `value` has the bytes as characters (PEP 3333)."""
    return value if value.isascii() else value.encode("latin-1").decode(errors="replace")
