"""What every view starts from: a repository that the caller may use."""

from __future__ import annotations

from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from auth.base import Access, DeniedError, UnauthorizedError
from registry.foundation.proxies import customer_of
from registry.handlers.current import HAND_OVER_KEY, PARKING_KEY, PLACE_KEY, WARNINGS_KEY, opened, services
from registry.handlers.flask_internals import current_globals, current_request
from registry.handlers.origins import origin
from registry.handlers.urls import asked_host, forwarded_scheme, root_url
from registry.observation.record import current
from registry.oci.errors import NameUnknownError, UnsupportedError
from registry.oci.reference import parse_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from wsgiref.types import WSGIEnvironment

    from auth.base import Grant
    from registry.handlers.current import Parking
    from registry.journal.entry import Origin
    from registry.oci.digest import Digest
    from registry.oci.reference import Tag
    from registry.ports import Repository
    from registry.proxy.repositories import Proxied
    from registry.publishing import Publishing
    from registry.services import Services

_MOST_REMEMBERED: Final = 512
"""Repositories and what is done with them, of which it is remembered what is asked of the access controller."""


def open_repository(name: str, *actions: str) -> Repository:
    """Return the repository, if its name is one and the caller may do all of `actions` on it.

    Every view of a repository begins with this; there is no other way to get one.

    Raises:
        NameInvalidError: the name breaks the grammar.
        auth.base.UnauthorizedError, DeniedError, ThrottledError, ControllerError: the caller may not.
    """
    here = services()
    if here.proxied:
        return _open_proxied(here.proxied, parse_name(name), actions)
    authorize(*_accesses(name, actions))
    return here.repositories.open(name)


@lru_cache(maxsize=_MOST_REMEMBERED)
def _accesses(name: str, actions: Sequence[str]) -> tuple[Access, ...]:
    """Return what is asked of the access controller for `actions` on a repository; the same few are asked all the time.

    Raises:
        NameInvalidError: the name breaks the grammar; this is not remembered.
    """
    parsed = parse_name(name)
    return tuple(Access("repository", parsed, action) for action in actions)


def _open_proxied(proxied: Proxied, name: str, actions: Sequence[str]) -> Repository:
    """Return what open_repository() does, in a registry that caches others.

    Raises:
        NameUnknownError: the request names a registry that is not cached.
        UnsupportedError: it is a push to a repository that takes none.
        As open_repository() otherwise, and as Proxied.open().
    """
    request, pushes = current_request(), "push" in actions
    environ = request.environ
    namespace = request.args.get("ns", "") if "ns=" in environ.get("QUERY_STRING", "") else ""
    environ[PLACE_KEY] = place = proxied.place(name, asked_host(environ), namespace, pushes=pushes)
    if place.name != name:
        # What is told of this request, to the log, to auditors and to retention, is about what is kept.
        request.view_args = {**(request.view_args or {}), "name": place.name}
    record = current.get()
    if record:
        record.upstream = place.upstream
    authorize(*(Access("repository", place.name, action, place.also) for action in actions))
    if pushes and not (place.takes_pushes or place.classic):
        raise UnsupportedError("this repository is a cache of another registry's, and takes no pushes")
    return proxied.open(place, _Visitor(environ))


def require_kept(name: str) -> None:
    """Return if anything is kept here of the repository called so.

    Raises:
        NameUnknownError: nothing is.
    """
    if not services().repositories.catalog.has(name):
        raise NameUnknownError("repository name not known to registry", {"name": name})


class _Visitor:
    """Who has sent this request, where the repository that it asks for may have to fetch what it lacks."""

    __slots__ = ("_environ",)

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._environ = environ

    @property
    def via(self) -> str:
        via: str = self._environ.get("HTTP_VIA", "")
        return via

    def waiting(self) -> AbstractContextManager[None]:
        return _waiting(self._environ)

    def warn(self, text: str) -> None:
        self._environ.setdefault(WARNINGS_KEY, []).append(text)


def open_source(name: str, target: Repository) -> Repository:
    """Return the repository to mount from into `target`, which the caller may push to.

    What is asked is the rights on both at once, so that a challenge names both: the token that a client gets
    for this request would else be good for one of them and refused at the other.

    Raises:
        NameInvalidError: the name breaks the grammar.
        auth.base.UnauthorizedError, DeniedError, ThrottledError, ControllerError: the caller may not.
    """
    parse_name(name)
    here, also = services(), _also()
    source = here.proxied.place(name, asked_host(current_request().environ), "", pushes=False) if here.proxied else None
    wanted = [Access("repository", target.name, "pull", also), Access("repository", target.name, "push")]
    kept = source.name if source else name
    wanted.append(Access("repository", kept, "pull", source.also if source else ()))
    authorize(*wanted)
    # Nothing is fetched for a mount: the client would wait as long as if it pushed.
    return here.repositories.open(kept)


def _also() -> tuple[str, ...]:
    """Return the other names of the repository that this request has opened."""
    place = opened()
    return place.also if place else ()


def authorize(*accesses: Access) -> Grant:
    """Return who the caller is if it may do all of `accesses`; with none, if it may come in at all.

    Raises:
        auth.base.UnauthorizedError, DeniedError, ThrottledError, ControllerError: it may not.
    """
    current_globals().grant = grant = services().access.authorize(AccessRequest(), accesses)
    return grant


def may_push(name: str) -> bool:
    """Tell whether the caller, who may pull from the repository `name` that it has opened, may push as well."""
    try:
        authorize(Access("repository", name, "push"))
    except (UnauthorizedError, DeniedError):
        return False
    return True


def caller() -> str:
    """Return what stands for the caller whom open_repository() has let in: its user, or its address if it has none."""
    user = current_globals().grant.user
    return f"user {user}" if user else f"address {customer_of(current_request().environ['REMOTE_ADDR'])}"


def publishing() -> Publishing:
    """Return what publishes and deletes on behalf of the caller, to whom open_repository() has given a repository.

    Raises:
        UnsupportedError: the registry is nothing but a cache.
    """
    here = services()
    place = opened() if here.proxied else None
    if place and place.classic:
        raise UnsupportedError("this registry is a cache of another one: nothing is pushed to it, or deleted")
    return here.publishing(_Caller(here))


class _Caller:
    """Who has sent this request."""

    __slots__ = ("_services",)

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def origin(self) -> Origin:
        return origin(self._services.configuration.http)

    @property
    def moves_every_tag(self) -> bool:
        return self._services.access.grants_everything

    def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
        access = Access("repository", repository, "overwrite")
        _require(access, f"tag {tag.name} points to {current} and stays there")

    def require_untag(self, repository: str, tag: Tag, current: Digest) -> None:
        _require(Access("repository", repository, "untag"), f"tag {tag.name} points to {current} and stays")


def _require(access: Access, otherwise: str) -> None:
    """Return if the access controller grants `access` to the caller; a refusal begins with `otherwise`.

    Raises:
        auth.base.UnauthorizedError, DeniedError, ThrottledError, ControllerError: it does not.
    """
    try:
        authorize(access)
    except DeniedError as error:
        raise DeniedError(f"{otherwise}: {error}", error.user) from error


class AccessRequest:
    """What the access controller may see of this request."""

    __slots__ = ("_environ",)

    def __init__(self) -> None:
        self._environ = current_request().environ

    @property
    def authorization(self) -> str | None:
        return self._environ.get("HTTP_AUTHORIZATION")

    @property
    def base_url(self) -> str:
        return root_url()

    @property
    def host(self) -> str:
        host: str = self._environ.get("HTTP_HOST", "")
        return host

    @property
    def forwarded_scheme(self) -> str | None:
        return forwarded_scheme() or None

    @property
    def remote_address(self) -> str:
        address: str = self._environ["REMOTE_ADDR"]
        return address

    def before_waiting(self) -> None:
        hand_over()


def waiting() -> AbstractContextManager[None]:
    """Return the block in which this request waits for what others do; see Parking."""
    return _waiting(current_request().environ)


def _waiting(environ: WSGIEnvironment) -> AbstractContextManager[None]:
    parking: Parking | None = environ.get(PARKING_KEY)
    return parking.parked(environ[HAND_OVER_KEY]) if parking else nullcontext()


def hand_over() -> None:
    """Let the server attend to other requests: what this one does next takes more than a few milliseconds."""
    hands_over = current_request().environ.get(HAND_OVER_KEY)
    if hands_over:
        hands_over()


def require_writable() -> None:
    """Return unless the registry is in read-only mode.

    Raises:
        UnsupportedError: it is.
    """
    if services().configuration.storage.maintenance.readonly.enabled:
        raise UnsupportedError("this registry is read-only for maintenance")


def require_deletable() -> None:
    """Return if this registry deletes anything.

    Raises:
        UnsupportedError: it is read-only, or storage.delete.enabled is not set.
    """
    require_writable()
    if not services().configuration.storage.delete.enabled:
        raise UnsupportedError("The operation is unsupported.", "deletion is off; storage.delete.enabled turns it on")
