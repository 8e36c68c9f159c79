"""Questions to the servers of a directory, each in turn until one answers.

Every question has a connection of its own, so no thread waits for another's and none outlives what a firewall forgets.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import ldap
from ldap.filter import escape_filter_chars

from auth.identities.ldap.tls import descriptor_to
from auth.identities.members import SourceDownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from auth.identities.ldap.settings import Settings

T = TypeVar("T")

SHUNNED_SECONDS: Final = 10.0
"""For how long a server that did not answer is left alone: its timeout is paid once in that time."""

_MOST_GROUPS: Final = 1000
_AT_ONCE: Final = 32
"""How many groups one search asks about."""

_REFUSALS: Final = (
    *(ldap.INVALID_CREDENTIALS, ldap.INAPPROPRIATE_AUTH, ldap.INSUFFICIENT_ACCESS),
    *(ldap.UNWILLING_TO_PERFORM, ldap.CONSTRAINT_VIOLATION, ldap.NO_SUCH_OBJECT),
)
"""What servers answer to a wrong password, and to a right one of an account that is locked, expired or disabled."""

_SILENCES: Final = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT, ldap.UNAVAILABLE, ldap.BUSY, OSError)
"""What is said of a server that would not answer the next question, either."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A user of a directory: the name that its entry has, and the entry's distinguished name."""

    user: str
    dn: str


class AmbiguousError(Exception):
    """Several entries are found for one user."""


class Session:
    """A connection to one server that may be asked as the registry's own account."""

    def __init__(self, connection: Any, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings

    def bind(self) -> None:
        """Be the registry's own account, or nobody if it has none."""
        self._connection.simple_bind_s(self._settings.binddn, self._settings.bind_password())

    def takes(self, dn: str, password: bytes) -> bool:
        """Tell whether `password`, which may not be empty, is that of the entry `dn`; afterwards bind() again."""
        if not password or not dn:
            raise ValueError("a bind without a name or a password succeeds and proves nothing (RFC 4513 section 5.1.2)")
        try:
            self._connection.simple_bind_s(dn, password)
        except _REFUSALS:
            return False
        return True

    def find(self, user: str) -> Entry | None:
        """Return the entry of who logs in as `user`.

        Raises:
            AmbiguousError: there are several.
        """
        users = self._settings.users
        try:
            found = self._search(users.base, _filled(users.filter, user=user), users.name, most=2)
        except ldap.SIZELIMIT_EXCEEDED:
            raise AmbiguousError from None
        if len(found) > 1:
            raise AmbiguousError
        # Of several names always the same one, as servers give them in any order.
        return next((Entry(min(names), dn) for dn, names in found if names), None)

    def groups(self, entry: Entry) -> set[str]:
        """Return the names of the groups that `entry` is in."""
        groups = self._settings.groups
        if groups is None:
            return set()
        found = self._search(groups.base, _filled(groups.filter, user=entry.user, dn=entry.dn), groups.name)
        names = {name for _, some in found for name in some}
        seen = {dn.lower() for dn, _ in found}
        while groups.nested and found and len(seen) < _MOST_GROUPS:
            filters = [_filled(groups.filter, user=entry.user, dn=dn) for dn, _ in found]
            found = [
                (dn, some)
                for asked in _in_batches(filters)
                for dn, some in self._search(groups.base, f"(|{''.join(asked)})", groups.name)
                if dn.lower() not in seen
            ]
            seen |= {dn.lower() for dn, _ in found}
            names |= {name for _, some in found for name in some}
        return names

    def _search(self, base: str, wanted: str, attribute: str, most: int = 0) -> list[tuple[str, list[str]]]:
        """Return the DN of each entry below `base` that `wanted` finds, and what `attribute` has there."""
        timeout = self._settings.timeout_seconds
        found = self._connection.search_ext_s(
            base, ldap.SCOPE_SUBTREE, wanted, [attribute], timeout=timeout, sizelimit=most
        )
        # What has no DN is a referral to another server, and those are not followed.
        return [(dn, _texts(attributes, attribute)) for dn, attributes in found if dn is not None]


class Servers:
    """The servers of a directory."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._failed: dict[str, tuple[float, str]] = {}
        """By server that did not answer: when it failed, and how."""

    def ask(self, question: Callable[[Session], T]) -> T:
        """Return what `question` returns of the first server that answers it.

        Raises:
            SourceDownError: none does; the text says what each has to say.
        """
        faults = []
        for server in self._settings.servers:
            failed_at, fault = self._failed.get(server, (-SHUNNED_SECONDS, ""))
            if self._clock() - failed_at < SHUNNED_SECONDS:
                faults.append(fault)
                continue
            try:
                with self._connected(server) as session:
                    answer = question(session)
            except (ldap.LDAPError, OSError) as error:
                fault = f"{server}: {_words(error)}"
                faults.append(fault)
                if isinstance(error, _SILENCES):
                    self._failed[server] = self._clock(), fault
            else:
                return answer
        raise SourceDownError(f"directory {self._settings.name} does not answer: {'; '.join(faults)}")

    @contextmanager
    def _connected(self, server: str) -> Iterator[Session]:
        timeout = self._settings.timeout_seconds
        if server.startswith("ldaps:"):
            # Of the URL only its scheme counts beside a descriptor, which is closed with the connection.
            connection = ldap.initialize("ldap://", fileno=descriptor_to(server, self._settings.cafile, timeout))
        else:
            connection = ldap.initialize(server)
        try:
            connection.set_option(ldap.OPT_PROTOCOL_VERSION, 3)
            # A referral would take the registry's password to whatever server it names.
            connection.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
            connection.set_option(ldap.OPT_NETWORK_TIMEOUT, timeout)
            connection.set_option(ldap.OPT_TIMEOUT, timeout)
            session = Session(connection, self._settings)
            session.bind()
            yield session
        finally:
            connection.unbind_ext_s()


def _filled(template: str, **values: str) -> str:
    """Return the filter `template` with `values` in the place of their names in braces (RFC 4515 section 3)."""
    return re.sub(r"\{(\w+)\}", lambda found: escape_filter_chars(values.get(found[1], found[0])), template)


def _in_batches(filters: list[str]) -> Iterable[list[str]]:
    return (filters[at : at + _AT_ONCE] for at in range(0, len(filters), _AT_ONCE))


def _texts(attributes: dict[str, list[bytes]], name: str) -> list[str]:
    """Return the values of an attribute, whose name has any case, that are text."""
    values = next((values for given, values in attributes.items() if given.lower() == name.lower()), [])
    texts = []
    for value in values:
        try:
            texts.append(value.decode())
        except UnicodeDecodeError:
            continue
    return texts


def _words(error: Exception) -> str:
    """Return what a library or a server has to say, in one line."""
    told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    words = [str(told[key]) for key in ("desc", "info") if told.get(key)] or [str(error) or type(error).__name__]
    return " ".join(": ".join(words).split())
