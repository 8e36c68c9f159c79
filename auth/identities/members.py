"""Users whom other servers know, directories and identity providers: whose a name is, and which groups it is in.

A name belongs to the first that lets somebody in under it, for as long as the storage lasts: what it belongs to is
recorded once, by creating ``users/<label>``. So no server can make somebody of its own into a user of another one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from auth.base import ControllerError
from auth.identities.logouts import label
from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from auth.base import Records

logger = logging.getLogger(__name__)

SEEN_SECONDS: Final = 5.0
"""For how long this process believes that there is no such user, or that a server does not answer."""

_LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class Member:
    """What a source tells of a user: `owner` is whose the name is, the source and, behind a blank, in its own words.

    `known_as` is by what the source finds the user again. `groups` are those that the rules speak of. `told` is when
    the source said so, in seconds since 1970; 0 once it says that there is no such user any more.
    """

    user: str
    owner: str
    known_as: str
    groups: frozenset[str] = frozenset()
    told: float = 0

    @property
    def proof(self) -> str:
        """What tokens and sessions carry along: which source, and a digest of whose the name is."""
        digest = hashlib.sha256(self.owner.encode()).hexdigest()[:16]
        return f"{proofs_of(self.owner.partition(' ')[0])}{digest}"


class SourceDownError(ControllerError):
    """A source does not answer; what it said before may hold for a while."""


class Source(Protocol):
    """A server that knows users.

    `cache_seconds` is for how long what it says is believed, `grace_seconds` for how long if it does not answer then.
    `record_seconds` is how old the record of a user may be that says nothing new. `is_asked` is whether renewed() asks
    the server: where it only judges what is recorded, logins alone write records.
    """

    cache_seconds: float
    grace_seconds: float
    record_seconds: float
    is_asked: bool

    def owns(self, member: Member) -> bool:
        """Tell whether `member` is one of its users."""

    def renewed(self, member: Member, before_waiting: Callable[[], None]) -> Member | None:
        """Return what it tells of `member` now, None if there is no such user any more.

        Raises:
            SourceDownError: it does not answer.
        """


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was found of a user, and until when it is believed."""

    member: Member | None
    until: float


class Members:
    """The users of `sources`.

    `is_taken` tells which names are those of users whom the registry knows itself; `has_keys` which are those of users
    who have API keys, and may have nothing else. The former are never those of members. The latter are not if they
    were not before: so nobody becomes a machine's user by having its name elsewhere.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        is_taken: Callable[[str], bool] = lambda _: False,
        has_keys: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = tuple(sources)
        self._is_taken = is_taken
        self._has_keys = has_keys
        self._clock = clock
        self._monotonic = monotonic
        self._records: Records | None = None
        self._seen: RecentlyUsed[str, _Seen] = RecentlyUsed()

    def keep(self, records: Records) -> None:
        """Keep them in `records`; until this is called nobody is let in."""
        self._records = records

    def admit(self, member: Member) -> bool:
        """Record what a source has told of a user who has just logged in; tell whether the name is theirs.

        Raises:
            ControllerError: that cannot be recorded.
        """
        if not is_name(member.user):
            logger.warning("%r of %s cannot be the name of a user here", member.user, member.owner)
            return False
        if self._is_taken(member.user):
            logger.warning("%s of %s is refused: this registry has a user of that name", member.user, member.owner)
            return False
        known = self._read(member.user)
        if known is None and self._has_keys(member.user):
            logger.warning("%s of %s is refused: that is whose API keys there are", member.user, member.owner)
            return False
        if known is None and not self._storage().create(_record(member.user), _content(member)):
            known = self._read(member.user)
        if known is not None and known.owner != member.owner:
            logger.warning("%s of %s is refused: the name is that of %s", member.user, member.owner, known.owner)
            return False
        source = self._source(member)
        if known is not None and source is not None:
            self._renew(known, member, source)
        self._see(member, source)
        return True

    def current(self, user: str, before_waiting: Callable[[], None] = lambda: None) -> Member | None:
        """Return the user called `user` as it was told of late, None if there is none.

        Raises:
            ControllerError: that cannot be told.
        """
        if not user or not self._sources or self._is_taken(user):
            return None
        seen = self._seen.get(user)
        if seen is not None and self._monotonic() < seen.until:
            return seen.member
        before_waiting()
        known = self._read(user)
        source = None if known is None else self._source(known)
        if known is None or source is None:
            self._seen.put(user, _Seen(None, self._monotonic() + SEEN_SECONDS))
            return None
        return self._asked(known, source, before_waiting)

    def groups_of(self, user: str) -> Collection[str]:
        """Return the groups that `user` is in by what its source has told; raises as current()."""
        member = self.current(user)
        return member.groups if member is not None else ()

    def _asked(self, known: Member, source: Source, before_waiting: Callable[[], None]) -> Member | None:
        try:
            member = source.renewed(known, before_waiting)
        except SourceDownError as error:
            seen = self._seen.get(known.user)
            told = max(known.told, seen.member.told if seen and seen.member else 0)
            if self._clock() - told >= source.grace_seconds:
                raise
            logger.warning("%s is taken as %s told last: %s", known.user, known.owner, error)
            member = replace(known, told=told)
            self._seen.put(known.user, _Seen(member, self._monotonic() + SEEN_SECONDS))
            return member
        if member is None or member.user != known.user:
            logger.info("%s has no user %s any more", known.owner, known.user)
            member = replace(known, groups=frozenset(), told=0)
        # What has been read could be older by now than what a login at another host has written.
        if source.is_asked:
            self._renew(known, member, source)
        self._see(member, source)
        return member if member.told else None

    def _see(self, member: Member, source: Source | None) -> None:
        seconds = source.cache_seconds if source is not None and member.told else SEEN_SECONDS
        self._seen.put(member.user, _Seen(member if member.told else None, self._monotonic() + seconds))

    def _renew(self, known: Member, member: Member, source: Source) -> None:
        """Record `member` in place of `known`, unless that says the same and is not old."""
        same = replace(member, told=known.told) == known and bool(member.told) == bool(known.told)
        if same and member.told - known.told < source.record_seconds:
            return
        try:
            self._storage().put(_record(member.user), _content(member))
        except ControllerError as error:  # what is recorded stays true of its time
            logger.warning("what %s tells of %s cannot be recorded: %s", member.owner, member.user, error)

    def _source(self, member: Member) -> Source | None:
        return next((source for source in self._sources if source.owns(member)), None)

    def _read(self, user: str) -> Member | None:
        content = self._storage().get(_record(user))
        return None if content is None else _parsed(content)

    def _storage(self) -> Records:
        if self._records is None:
            raise ControllerError("there is no storage to keep users in")
        return self._records


def proofs_of(source: str) -> str:
    """Return how the proofs of the users of `source` begin, which is ``ldap:<name>`` or ``oidc:<name>``."""
    return f"member:{source}:"


def is_name(user: str) -> bool:
    """Tell whether `user` can be the name of a user: it can be sent with a password, and shown."""
    try:
        size = len(user.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= _LONGEST_NAME and user.isprintable() and ":" not in user and user == user.strip()


def _record(user: str) -> str:
    return f"users/{label(user)}"


def _content(member: Member) -> bytes:
    document = {
        "user": member.user,
        "owner": member.owner,
        "knownas": member.known_as,
        "groups": sorted(member.groups),
        "told": member.told,
    }
    return json.dumps(document).encode()


def _parsed(content: bytes) -> Member:
    try:
        document: Mapping[str, object] = json.loads(content)
        user, owner, known_as = (str(document[name]) for name in ("user", "owner", "knownas"))
        groups, told = document["groups"], document["told"]
    except (ValueError, KeyError, TypeError) as error:
        raise ControllerError(f"the record of a user cannot be read: {error!r}") from error
    if not isinstance(groups, list) or not isinstance(told, int | float):
        raise ControllerError("the record of a user cannot be read: a member is of the wrong type")
    return Member(user, owner, known_as, frozenset(map(str, groups)), told)
