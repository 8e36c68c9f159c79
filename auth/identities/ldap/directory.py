"""An LDAP directory: who is one of its users, and in which groups."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth.identities.ldap.servers import AmbiguousError, Entry, Servers, Session
from auth.identities.members import Member, is_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth.identities.ldap.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry, and the names of its groups."""

    entry: Entry
    groups: set[str]


class Directory:
    """A source of users; see auth.identities.members.Source. A user is known as what they log in with."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._servers = Servers(settings)
        self._clock = clock
        self.cache_seconds = settings.cache_seconds
        self.grace_seconds = settings.grace_seconds
        self.record_seconds = settings.grace_seconds / 4
        self.is_asked = True
        self.owner = f"ldap:{settings.name}"

    def proven(self, user: str, password: bytes) -> Member | None:
        """Return who logs in as `user`, if `password` is theirs.

        Raises:
            SourceDownError: no server answers.
        """
        if not password or not is_name(user):
            return None
        found = self._found(user, lambda session, entry: session.takes(entry.dn, password))
        return None if found is None else self._member(user, found)

    def owns(self, member: Member) -> bool:
        """Tell whether `member` is one of its users."""
        return member.owner == self.owner

    def renewed(self, member: Member, before_waiting: Callable[[], None]) -> Member | None:
        """Return what it tells of `member` now; see Source."""
        before_waiting()
        found = self._found(member.known_as, lambda *_: True)
        return None if found is None else self._member(member.known_as, found)

    def _found(self, user: str, is_good: Callable[[Session, Entry], bool]) -> _Found | None:
        def question(session: Session) -> _Found | None:
            entry = session.find(user)
            if entry is None or not is_good(session, entry):
                return None
            session.bind()
            return _Found(entry, session.groups(entry))

        try:
            return self._servers.ask(question)
        except AmbiguousError:
            logger.warning("directory %s has several users who log in as %r: none is let in", self.owner, user)
            return None

    def _member(self, known_as: str, found: _Found) -> Member:
        local = self._settings.local_groups
        groups = frozenset(local[name.lower()] for name in found.groups if name.lower() in local)
        return Member(found.entry.user, self.owner, known_as, groups, self._clock())
