"""Who changes something from a page, what that may be, and on what condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth.base import DeniedError
from registry.handlers.context import require_deletable, require_writable
from registry.handlers.current import services
from registry.handlers.flask_internals import current_request
from registry.handlers.origins import origin
from registry.oci.errors import UnsupportedError
from registry.ports import Nobody
from registry.proxy.routing import Place

if TYPE_CHECKING:
    from registry.journal.entry import Origin
    from registry.oci.digest import Digest
    from registry.oci.reference import Tag
    from registry.ports import Repository
    from registry.publishing import Publishing
    from registry.web.visitor import Visitor


@dataclass(frozen=True, slots=True)
class Possible:
    """What a visitor may do to a repository from its pages, as the rules and the state of the registry have it.

    `delete` is about manifests without tags, `delete_tags` about tags, and so about manifests with tags and the whole.
    With `copy` there may be another repository to which its manifests can be copied; which, the rules do not list.
    """

    push: bool = False
    copy: bool = False
    delete: bool = False
    delete_tags: bool = False


@dataclass(frozen=True, slots=True)
class Changing:
    """A `repository`, and what changes it on behalf of a visitor who may do that."""

    repository: Repository
    publishing: Publishing


class MovedError(Exception):
    """A tag leads to `current`, None if it is gone, which is not what the visitor has seen."""

    def __init__(self, current: Digest | None) -> None:
        super().__init__(f"it leads to {current} by now" if current else "it is gone by now")
        self.current = current


@dataclass(frozen=True, slots=True)
class AsSeen:
    """The Condition of a visitor who has seen that a tag leads to the digest `seen`, or that there is none."""

    seen: Digest | None

    def require(self, current: Digest | None) -> None:
        """Return if that is still so.

        Raises:
            MovedError: it is not.
        """
        if current != self.seen:
            raise MovedError(current)


@dataclass(frozen=True, slots=True)
class AsSeenOrWanted:
    """The Condition AsSeen of a tag that is to lead to `wanted`: it may do so already."""

    seen: Digest | None
    wanted: Digest

    def require(self, current: Digest | None) -> None:
        """Return if it is as it was seen or wanted.

        Raises:
            MovedError: it is not.
        """
        if current not in {self.seen, self.wanted}:
            raise MovedError(current)


def possible(visitor: Visitor, name: str) -> Possible:
    """Return what `visitor`, who may pull from the repository called so, may do to it."""
    configuration, place = services().configuration, _place(name)
    if configuration.storage.maintenance.readonly.enabled or not place.takes_deletions:
        return Possible()
    deletes = configuration.storage.delete.enabled and visitor.may(name, "delete")
    pushes = visitor.may(name, "push")
    return Possible(
        push=not place.upstream and pushes,
        copy=pushes or visitor.session is not None,
        delete=deletes,
        delete_tags=deletes and visitor.may(name, "untag"),
    )


def require_copying(visitor: Visitor, name: str) -> None:
    """Return if `visitor` may look for a repository to copy to from the one called so (Possible.copy).

    Raises:
        UnsupportedError: the registry takes no pushes.
        auth.base.DeniedError, SignInNeededError: the visitor may not.
    """
    require_writable()
    if not _place(name).takes_deletions:
        raise UnsupportedError("this registry is a cache of another one: nothing is copied in it")
    if visitor.session is None:
        visitor.require(name, "push")


def open_to_push(visitor: Visitor, name: str, reference: object = "") -> Changing:
    """Return the repository called so, where `visitor` may move tags, `reference` say, to manifests that are there.

    Raises:
        UnsupportedError: the registry or the repository takes no pushes.
        auth.base.DeniedError, ControllerError: the visitor may not.
    """
    _tell(name, reference)
    visitor.require(name, "pull", "push")
    require_writable()
    if _place(name).upstream:
        raise UnsupportedError("this repository caches another registry's; only clients push to it")
    return Changing(services().repositories.open(name), _publishing(visitor))


def open_to_delete(visitor: Visitor, name: str, reference: object = "", *, with_tags: bool = False) -> Changing:
    """Return the repository called so, from which `visitor` may delete manifests without tags, or `with_tags`.

    `reference` is what is to go of it, "" for more than one tag or digest.

    Raises:
        UnsupportedError: the registry deletes nothing.
        auth.base.DeniedError, ControllerError: the visitor may not.
    """
    _tell(name, reference)
    visitor.require(name, "pull", "delete", *(["untag"] if with_tags else []))
    require_deletable()
    here, place = services(), _place(name)
    if not place.takes_deletions:
        raise UnsupportedError("this registry is a cache of another one: nothing is deleted from it")
    # What a cache remembers of its upstream has to forget what is deleted; nothing is fetched for that.
    repository = here.proxied.open(place, Nobody()) if here.proxied else here.repositories.open(name)
    return Changing(repository, _publishing(visitor))


def _tell(name: str, reference: object) -> None:
    """Have what is told of this request, to the log and to auditors, be about `reference` of a repository."""
    current_request().view_args = {"name": name} | ({"reference": str(reference)} if reference else {})


def _place(name: str) -> Place:
    """Return of which upstream the repository called so is, if of any."""
    proxied = services().proxied
    return proxied.place(name, "", "", pushes=False) if proxied else Place(name)


def _publishing(visitor: Visitor) -> Publishing:
    return services().publishing(_Actor(visitor))


class _Actor:
    """The visitor as publishing knows it."""

    __slots__ = ("_visitor",)

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor

    @property
    def origin(self) -> Origin:
        return origin(services().configuration.http, self._visitor.grant.user)

    @property
    def moves_every_tag(self) -> bool:
        return services().access.grants_everything

    def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
        self._require(repository, "overwrite", f"tag {tag.name} points to {current} and stays there")

    def require_untag(self, repository: str, tag: Tag, current: Digest) -> None:
        self._require(repository, "untag", f"tag {tag.name} points to {current} and stays")

    def _require(self, repository: str, action: str, otherwise: str) -> None:
        """Return if the visitor may do `action`; a refusal begins with `otherwise`."""
        try:
            self._visitor.require(repository, action)
        except DeniedError as error:
            raise DeniedError(f"{otherwise}: {error}", error.user) from error
