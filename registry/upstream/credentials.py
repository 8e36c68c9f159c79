"""The credentials for an upstream, as values, and what every source of them promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class CredentialsError(Exception):
    """There are credentials, but they cannot be had now; the text says why."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A user with a password; or, without a user, a refresh token (docker's identity token)."""

    user: str
    secret: str


class Credentials(Protocol):
    """Where credentials come from; for all threads."""

    def current(self, host: str) -> Credential | None:
        """Return what `host` is to be given, with its port if it has one; None is to be anonymous.

        Raises:
            CredentialsError: it cannot be had.
        """

    def renew(self) -> None:
        """Take note that what was given was refused: it may have to be asked for again."""
