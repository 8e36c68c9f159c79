"""Who publishes, what it may do to a tag, and on what condition it does so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from registry.journal.entry import Origin

if TYPE_CHECKING:
    from registry.oci.digest import Digest
    from registry.oci.reference import Tag


class Caller(Protocol):
    """Who publishes: it may push to the repository, or delete from it, which is known before this is asked."""

    @property
    def origin(self) -> Origin:
        """Who it is, and how it asks."""

    @property
    def moves_every_tag(self) -> bool:
        """Whether require_overwrite() never raises: then nobody looks where a tag points."""

    def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
        """Return if the caller may let `tag`, which points to `current`, point to another manifest.

        Raises:
            An error that says so to the caller, if it may not.
        """

    def require_untag(self, repository: str, tag: Tag, current: Digest) -> None:
        """Return if the caller, who may delete, may delete `tag`, which points to `current`.

        Raises:
            An error that says so to the caller, if it may not.
        """


class Condition(Protocol):
    """What has to be there for a change to be made."""

    def require(self, current: Digest | None) -> None:
        """Return if the change may be made where `current` is there; None means nothing.

        Raises:
            An error that says so to the caller, if it may not.
        """


@dataclass(frozen=True, slots=True)
class Guard:
    """A `condition` for what `target` leads to at the moment of the change."""

    target: Tag | Digest
    condition: Condition


class Operator:
    """The registry itself, or a person who runs one of its commands: may do everything."""

    origin = Origin(actor="registry")
    moves_every_tag = True

    def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
        """Return."""

    def require_untag(self, repository: str, tag: Tag, current: Digest) -> None:
        """Return."""
