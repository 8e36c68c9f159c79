"""Everybody with a password may do everything (``auth: htpasswd``)."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Self

from auth.base import Access, AccessController, DeniedError, Grant, Records, Request, UnauthorizedError
from auth.headers import basic_challenge, basic_credentials
from auth.identities.passwords import PasswordFile, examine, provision
from auth.identities.sign_in import PasswordSignIn
from auth.identities.throttle import FailureThrottle
from registry.foundation.files import is_something_else
from registry.foundation.parameters import Parameters
from registry.foundation.unreadable import reason_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registry.foundation.shared_set import SharedSet

logger = logging.getLogger(__name__)


class HtpasswdController(AccessController):
    """Asks for a user and password of an htpasswd file, with Basic authentication."""

    name = "htpasswd"
    grants_everything = True
    no_pages = ""

    def __init__(self, realm: str, passwords: PasswordFile) -> None:
        self._realm = realm
        self._passwords = passwords
        self.sign_in: PasswordSignIn = PasswordSignIn(passwords)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        return cls._built(Parameters(parameters), provision)

    @classmethod
    def examined(cls, parameters: Mapping[str, object]) -> Self:
        return cls._built(Parameters(parameters), examine)

    @classmethod
    def _built(cls, section: Parameters, provide: Callable[[str], None]) -> Self:
        realm, path = section.required_string("realm"), section.required_string("path")
        if os.path.isdir(path):  # noqa: PTH112  a name that is too long is no error of its own
            raise section.error("path", f"{path} is a directory: Docker makes one where a file to mount does not exist")
        if is_something_else(path):
            raise section.error("path", f"{path} is not a regular file")
        try:
            provide(path)
        except OSError as error:
            reason = f"{path} is missing and cannot be created: {reason_unreadable(error, path)}"
            raise section.error("path", reason) from error
        return cls(realm, PasswordFile(path, FailureThrottle()))

    def share(self, proven: SharedSet) -> None:
        self._passwords.share(proven)

    def keep(self, records: Records) -> None:
        self.sign_in.keep(records)

    def authorize(self, request: Request, accesses: Sequence[Access]) -> Grant:
        credentials = basic_credentials(request.authorization)
        if credentials is not None:
            if self._passwords.matches(credentials, request.remote_address, request.before_waiting):
                return Grant(credentials.user)
            logger.warning(
                "wrong user or password from %s",
                request.remote_address,
                extra={"user": credentials.user},
            )
        raise UnauthorizedError(basic_challenge(self._realm), accesses)

    def lists(self, grant: Grant, repository: str) -> bool:
        del repository
        return bool(grant.user)

    def judge(self, grant: Grant, accesses: Sequence[Access]) -> None:
        if accesses and not grant.user:
            access = accesses[0]
            raise DeniedError(f"anonymous may not {access.action} {access.name}: log in first")
