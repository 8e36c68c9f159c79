"""Whose credentials these are: a password's, an API key's or a CI job's."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auth.identities.apikey import PREFIX

if TYPE_CHECKING:
    from auth.base import Access, Records, Request
    from auth.headers import Credentials
    from auth.identities.apikeys import ApiKeys
    from auth.identities.own_keys import OwnKeys
    from auth.identities.passwords import PasswordFile
    from auth.identities.workload import CIServices
    from registry.foundation.shared_set import SharedSet

logger = logging.getLogger(__name__)

_KEY: Final = "key"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, and what proved it: tokens carry `proof` along, and fall with it.

    A proof is ``password:<fingerprint>``, ``key:<id>`` or ``oidc:<issuer>``; an anonymous caller has none.
    """

    user: str = ""
    proof: str = ""


class Accounts:
    """Everybody who can log in."""

    def __init__(
        self,
        passwords: PasswordFile | None,
        keys: ApiKeys | None,
        ci_services: CIServices,
        own_keys: OwnKeys | None = None,
    ) -> None:
        self.own_keys = own_keys
        self._passwords = passwords
        self._keys = keys
        self._ci_services = ci_services

    def share(self, proven: SharedSet) -> None:
        """Share with other processes which passwords were good; see PasswordFile.share()."""
        if self._passwords is not None:
            self._passwords.share(proven)

    def keep(self, records: Records) -> None:
        """Keep API keys in `records`, if they are to be in the storage."""
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
            # The name must be the key's: a log of requests would otherwise name whom the caller likes.
            key_id = self._keys.proved_by(secret, credentials.user)
            return Identity(credentials.user, f"{_KEY}:{key_id}") if key_id else None
        ci_service = self._ci_services.of(secret)
        if ci_service is not None:
            # The name that came along says nothing: the rules of the CI service say who this is.
            user = ci_service.user_of(secret)
            return Identity(user, f"oidc:{ci_service.issuer}") if user else None
        proof = self.proof_of(credentials, request)
        return None if proof is None else Identity(credentials.user, proof)

    @property
    def have_passwords(self) -> bool:
        """Whether anybody can log in with a password."""
        return self._passwords is not None

    def proof_of(self, credentials: Credentials, request: Request) -> str | None:
        """Return what proves the password in `credentials`, if it is right; keys and tokens of CI jobs are none.

        Raises:
            ThrottledError, ControllerError: as PasswordFile.matches().
        """
        return None if self._passwords is None else self._passwords.proof_of(credentials, request)

    def stands(self, user: str, proof: str) -> bool:
        """Tell whether what proved an identity is still good.

        A changed or removed password, a revoked key, one that ended with its user, and a CI service that is no longer
        accepted or no longer logs in this user are not.

        Raises:
            ControllerError: a file is missing or malformed.
        """
        kind, _, detail = proof.partition(":")
        if kind == "password" and self._passwords is not None:
            return self._passwords.stands(user, proof)
        if kind == _KEY and self._keys is not None:
            return self._keys.valid(detail, user)
        if kind == "oidc":
            return self._ci_services.logs_in(detail, user)
        return not user

    def permits(self, user: str, proof: str, access: Access) -> bool:
        """Tell whether `proof` of `user` is for `access`, whatever the user may do: only API keys are limited.

        Raises:
            ControllerError: that cannot be told.
        """
        kind, _, detail = proof.partition(":")
        return kind != _KEY or (self._keys is not None and self._keys.permits(detail, user, access))
