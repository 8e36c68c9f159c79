"""The contract of an access controller: given a request's credentials, who is it and may it do this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.foundation.shared_set import SharedSet


@dataclass(frozen=True, slots=True)
class Access:
    """One action on one resource: ``repository:<name>:pull``, ``registry:catalog:*``, ``registry:maintenance:*``.

    The actions on a repository are pull, push, delete, and two more: overwrite, to point a tag that exists at another
    manifest, and untag, to delete a tag. Token services have no words for these: see SCOPED_AS.

    `also` are other names by which clients know the same repository: a token that lets one of them be pulled lets this
    one be pulled, and no more. Rules are about `name`, and so are challenges.
    """

    type: str
    name: str
    action: str
    also: tuple[str, ...] = ()


MAINTENANCE: Final = "maintenance"
"""The name of the resource of the type ``registry`` that stands for what concerns all repositories."""

SCOPED_AS: Final = {"overwrite": "push", "untag": "delete"}
"""As which action a scope has what it has no word for; a controller without a word takes it for that one, too."""


class Request(Protocol):
    """What a controller may look at; headers as sent, None when absent. A value costs nothing until it is read."""

    @property
    def authorization(self) -> str | None:
        """The Authorization header."""

    @property
    def base_url(self) -> str:
        """The registry's root as the client reaches it, without a slash at the end.

        ``https://registry.example:5000/prefix``, as far as the configuration lets it be known.
        """

    @property
    def host(self) -> str:
        """The Host header. Anybody may have set it, so it may only be repeated in a challenge to the same client."""

    @property
    def forwarded_scheme(self) -> str | None:
        """The first scheme in the X-Forwarded-Proto header, which anybody may have set, too: http or https."""

    @property
    def remote_address(self) -> str:
        """The address that failed logins are counted for, which a client cannot choose."""

    def before_waiting(self) -> None:
        """Let the server attend to other requests; to be called before what takes more than a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Who was let in: `user` is "" for an anonymous caller."""

    user: str = ""


class UnauthorizedError(Exception):
    """The caller must authenticate, or authenticate for more (401).

    `challenge` is the value of WWW-Authenticate (RFC 9110 section 11.6.1). `grant` is who the caller is, if its
    credentials are good and do not suffice; None if there are none, or wrong ones.
    """

    def __init__(self, challenge: str, accesses: Sequence[Access], grant: Grant | None = None) -> None:
        super().__init__("authentication required")
        self.challenge = challenge
        self.accesses = tuple(accesses)
        self.grant = grant


class DeniedError(Exception):
    """The caller is known and may not do this (403); the text names the rule. `user` is who it is, "" if anonymous."""

    def __init__(self, text: str, user: str = "") -> None:
        super().__init__(text)
        self.user = user


class ThrottledError(Exception):
    """Too many attempts, most often failed ones; `retry_after_seconds` must pass before the next (429)."""

    def __init__(self, retry_after_seconds: int, reason: str = "too many failed attempts") -> None:
        super().__init__(f"{reason}, try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class ControllerError(Exception):
    """The controller cannot decide: what it reads is broken or gone (400, as the Go registry answers).

    The text is for the log; a client is told nothing of it.
    """


class TokenRequestError(Exception):
    """The token service was asked for something that it does not do (400).

    `code` is the error of RFC 6749 section 5.2: invalid_request, unsupported_grant_type.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Issued:
    """What a token service answers: the `members` of the JSON, and to whom; `user` is "" for an anonymous caller."""

    members: Mapping[str, object]
    user: str = ""


class TokenService(Protocol):
    """The endpoint that a Bearer challenge sends clients to, when the registry serves it itself."""

    path: str
    """Where it lies below the registry's root, with a leading slash."""

    def issue(self, request: Request, fields: Mapping[str, Sequence[str]]) -> Issued:
        """Answer ``GET`` (the query in `fields`).

        Raises:
            UnauthorizedError: the credentials are wrong.
            ThrottledError: they were wrong too often.
            TokenRequestError: the request is malformed.
            ControllerError: see there.
        """

    def exchange(self, request: Request, fields: Mapping[str, Sequence[str]]) -> Issued:
        """Answer ``POST`` (RFC 6749, the form in `fields`).

        Raises:
            UnauthorizedError: the credentials or the refresh token are wrong.
            ThrottledError: they were wrong too often.
            TokenRequestError: the request is malformed.
            ControllerError: see there.
        """


class AccessController(ABC):
    """Decides over requests. Instances are shared by all threads of a process and made after the fork."""

    name: ClassVar[str]

    grants_everything: ClassVar[bool] = False
    """Whether a caller who is let in may do everything, so that no repository is hidden from it."""

    token_service: TokenService | None = None
    """The token service to be served beside the registry, if the controller brings one."""

    @classmethod
    @abstractmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        """Build the controller from its section of the configuration.

        Raises:
            registry.foundation.errors.ParameterError: a parameter is missing or wrong.
        """

    @classmethod
    def examined(cls, parameters: Mapping[str, object]) -> Self:
        """Build the controller as from_parameters() does, but make no file: it is only looked at, and asked nothing.

        Raises:
            registry.foundation.errors.ParameterError: as from_parameters(), also for a file that could not be made.
        """
        return cls.from_parameters(parameters)

    def share(self, proven: SharedSet) -> None:
        """Keep in `proven`, which all processes of the server have in common, which credentials were good before.

        It is called once, before any request. Credentials that are in it may still have to be checked: it only tells
        them from guesses.
        """
        del proven

    @abstractmethod
    def authorize(self, request: Request, accesses: Sequence[Access]) -> Grant:
        """Return who is asking, if they may do all of `accesses`; with none, whether they may come in at all.

        Raises:
            UnauthorizedError: they may not, or not before they say who they are; also when the
                Authorization header cannot be read.
            DeniedError: they may not, and no other credentials of theirs would help.
            ThrottledError: they failed too often to be heard now.
            ControllerError: the controller is broken.
        """

    def lists(self, grant: Grant, repository: str) -> bool:
        """Tell whether a catalog that `grant` may see names `repository`."""
        del grant, repository
        return True
