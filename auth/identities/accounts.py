"""Whose credentials these are: a password's, here or in a directory, an API key's or a CI job's."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auth.base import Grant
from auth.identities.apikey import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from auth.base import Access, Records, Request
    from auth.headers import Credentials
    from auth.identities.apikeys import ApiKeys
    from auth.identities.ldap.passwords import DirectoryPasswords
    from auth.identities.members import Members
    from auth.identities.own_keys import OwnKeys
    from auth.identities.passwords import PasswordFile
    from auth.identities.workload import CIServices
    from registry.foundation.shared_set import SharedSet

logger = logging.getLogger(__name__)

_KEY: Final = "key"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, and what proved it: tokens carry `proof` along, and fall with it.

    A proof is ``password:<fingerprint>``, ``key:<id>``, ``oidc:<issuer>`` or that of a member (see
    auth.identities.members); an anonymous caller has none.
    """

    user: str = ""
    proof: str = ""


class Accounts:
    """Everybody who can log in."""

    def __init__(  # noqa: PLR0913, PLR0917  one for each kind of credentials, and it is built in one place
        self,
        passwords: PasswordFile | None,
        keys: ApiKeys | None,
        ci_services: CIServices,
        own_keys: OwnKeys | None,
        members: Members,
        directories: DirectoryPasswords | None,
    ) -> None:
        self.own_keys = own_keys
        self._passwords = passwords
        self._keys = keys
        self._ci_services = ci_services
        self._members = members
        self._directories = directories

    def share(self, proven: SharedSet) -> None:
        """Share with other processes which passwords were good; see PasswordFile.share()."""
        if self._passwords is not None:
            self._passwords.share(proven)
        if self._directories is not None:
            self._directories.share(proven)

    def keep(self, records: Records) -> None:
        """Keep in `records` who the members are, and API keys, if they are to be in the storage."""
        self._members.keep(records)
        if self._keys is not None:
            self._keys.place.keep(records)

    def identify(self, credentials: Credentials, request: Request) -> Identity | None:
        """Return the identity that `credentials`, which came with `request`, prove, or None with a line in the log.

        Only passwords are slowed down after failures: a key or a signature cannot be guessed.

        Raises:
            ThrottledError, ControllerError: as PasswordFile.matches().
        """
        identity = self._identify(credentials, request)
        if identity is None:
            logger.warning("wrong user or password from %s", request.remote_address, extra={"user": credentials.user})
        return identity

    def _identify(self, credentials: Credentials, request: Request) -> Identity | None:
        secret = credentials.password.decode("ascii", "replace")
        if self._keys is not None and secret.startswith(PREFIX):
            self._members.current(credentials.user, request.before_waiting)  # whether keys are good hangs on that
            # The name must be the key's: a log of requests would otherwise name whom the caller likes.
            key_id = self._keys.proved_by(secret, credentials.user)
            return Identity(credentials.user, f"{_KEY}:{key_id}") if key_id else None
        ci_service = self._ci_services.of(secret)
        if ci_service is not None:
            # The name that came along says nothing: the rules of the CI service say who this is.
            user = ci_service.user_of(secret)
            return Identity(user, f"oidc:{ci_service.issuer}") if user else None
        grant = self.proven(credentials, request)
        return None if grant is None else Identity(grant.user, grant.proof)

    @property
    def have_passwords(self) -> bool:
        """Whether anybody can log in with a password."""
        return self._passwords is not None or self._directories is not None

    def proven(self, credentials: Credentials, request: Request) -> Grant | None:
        """Return whose the password in `credentials` is, if it is right; keys and tokens of CI jobs are none.

        Directories are not asked about users who have a password here.

        Raises:
            ThrottledError, ControllerError: as PasswordFile.matches() and DirectoryPasswords.whose().
        """
        if self._passwords is not None and (self._directories is None or self._passwords.has(credentials.user)):
            return self._passwords.proven(credentials, request)
        member = self._directories.whose(credentials, request) if self._directories is not None else None
        return None if member is None else Grant(member.user, member.proof)

    def stands(self, user: str, proof: str, before_waiting: Callable[[], None] = lambda: None) -> bool:
        """Tell whether what proved an identity is still good; `before_waiting` is called where that will take long.

        A changed or removed password, a revoked key, one that ended with its user, and a CI service that is no longer
        accepted or no longer logs in this user are not. Nor is anything of a user whom a directory has no more.

        Raises:
            ControllerError: a file is missing or malformed, or what knows the user does not answer.
        """
        member = self._members.current(user, before_waiting)
        kind, _, detail = proof.partition(":")
        if kind == "password" and self._passwords is not None:
            return self._passwords.stands(user, proof)
        if kind == _KEY and self._keys is not None:
            return self._keys.valid(detail, user)
        if kind == "oidc":
            return self._ci_services.logs_in(detail, user)
        if member is not None:
            return member.proof == proof
        return not user

    def groups_of(self, user: str) -> Collection[str]:
        """Return the groups that `user` is in by what a directory or a provider has told.

        Raises:
            ControllerError: that cannot be told.
        """
        return self._members.groups_of(user)

    def permits(self, user: str, proof: str, access: Access) -> bool:
        """Tell whether `proof` of `user` is for `access`, whatever the user may do: only API keys are limited.

        Raises:
            ControllerError: that cannot be told.
        """
        kind, _, detail = proof.partition(":")
        return kind != _KEY or (self._keys is not None and self._keys.permits(detail, user, access))
