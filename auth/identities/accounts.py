"""Whose credentials these are: a password's, an API key's or a CI job's."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth.identities.apikeys import PREFIX, ApiKeys

if TYPE_CHECKING:
    from auth.base import Request
    from auth.headers import Credentials
    from auth.identities.passwords import PasswordFile
    from auth.identities.workload import CIServices
    from registry.foundation.shared_set import SharedSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, and what proved it: tokens carry `proof` along, and fall with it.

    A proof is ``password:<fingerprint>``, ``key:<id>`` or ``oidc:<issuer>``; an anonymous caller has none.
    """

    user: str = ""
    proof: str = ""


class Accounts:
    """Everybody who can log in."""

    def __init__(self, passwords: PasswordFile | None, keys: ApiKeys | None, ci_services: CIServices) -> None:
        self._passwords = passwords
        self._keys = keys
        self._ci_services = ci_services

    def share(self, proven: SharedSet) -> None:
        """Share with other processes which passwords were good; see PasswordFile.share()."""
        if self._passwords is not None:
            self._passwords.share(proven)

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
            found = self._keys.user_of(secret)
            # The name must be the key's: a log of requests would otherwise name whom the caller likes.
            return Identity(found[0], f"key:{found[1]}") if found and found[0] == credentials.user else None
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
        if kind == "key" and self._keys is not None:
            return self._keys.valid(detail, user)
        if kind == "oidc":
            return self._ci_services.logs_in(detail, user)
        return not user
