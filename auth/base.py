"""The contract of an access controller: given a request's credentials, who is it and may it do this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    """Who was let in: `user` is "" for an anonymous caller.

    `proof` is what proved it, in words of the controller's own; "" where nothing can be remembered of it. `by_token` is
    whether a token was sent in place of that: it was made for some of what the user may do, and may be in other hands.
    """

    user: str = ""
    proof: str = ""
    by_token: bool = False


class Records(Protocol):
    """Small objects that all hosts of a registry share, kept where the registry keeps everything.

    A name is one or more components of ``[A-Za-z0-9._-]`` that do not begin with a dot, joined by slashes; a content
    has 64 KiB at most. What is written is durable, and seen by every host, when a call returns. Every method raises
    RecordsError where the storage does not answer; those that write, also where the registry is read-only.
    """

    def get(self, name: str) -> bytes | None:
        """Return the content; None if there is no such record."""

    def put(self, name: str, content: bytes) -> None:
        """Write a record, be it new or not."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a record unless there is one; of several at a time one succeeds. Tell whether it did."""

    def delete(self, name: str) -> bool:
        """Delete a record; tell whether there was one."""

    def names(self, below: str) -> Iterator[str]:
        """Yield the names that begin with `below` and a slash, in no order; of those that come or go then, any."""

    def contents(self, below: str) -> Iterator[tuple[str, bytes]]:
        """Yield what names() does, each with its content."""


class Provider(Protocol):
    """Another server at which people log in, and which sends them back here (OpenID Connect)."""

    name: str
    """What it is called in the configuration and in URLs: ``[a-z0-9-]+``."""

    label: str
    """What it is called on the page."""

    def begin(self, request: Request, callback: str) -> Departure:
        """Return where to send the browser, which is to come back to the URL `callback`.

        Raises:
            ControllerError: the provider does not answer, or not as it has to.
        """

    def complete(self, request: Request, departure: Departure, callback: str, fields: Mapping[str, str]) -> Grant:
        """Return who has come back, with the query `fields`, from where begin() has sent it.

        Raises:
            UnauthorizedError: it may not come in; the log says why.
            ControllerError: as begin().
        """

    def farewell(self, grant: Grant, callback: str) -> str:
        """Return the URL at which `grant` logs out there, too, and comes back to `callback`.

        It is "" if there is none, or if `grant` is of somebody who has not logged in there.
        """


@dataclass(frozen=True, slots=True)
class Departure:
    """A browser on its way to a Provider: the `url` it is sent to, and what is to be known when it comes back.

    `state` is a secret that it brings back in the query; `memory` goes along in a cookie that only this registry can
    have written.
    """

    url: str
    state: str
    memory: Mapping[str, str]


class SignIn(Protocol):
    """How people log in to the pages of a registry."""

    takes_passwords: bool
    """Whether anybody has one."""

    providers: Sequence[Provider]
    """Where else they may log in."""

    def log_in(self, request: Request, user: str, password: bytes) -> Grant:
        """Return who `user` is, if that is its password.

        Raises:
            UnauthorizedError: it is not.
            ThrottledError: there were too many attempts.
            ControllerError: the controller is broken.
        """

    def stands(self, grant: Grant, begun: float) -> bool:
        """Tell whether a session that `grant` began at `begun`, in seconds since 1970, still holds.

        It does not where the password was changed, the user is gone, or has logged out everywhere since.

        Raises:
            ControllerError: that cannot be told.
        """

    def has_ended(self, session: str, begun: float) -> bool:
        """Tell whether log_out() was called for the session with that id, which has begun at `begun`.

        Raises:
            ControllerError: that cannot be told.
        """

    def log_out(self, session: str, begun: float, lifetime: float) -> None:
        """End the session with that id, on every host; no session is good for longer than `lifetime` seconds.

        Raises:
            ControllerError: that cannot be recorded.
        """

    def log_out_everywhere(self, user: str) -> None:
        """End every session of `user` that has begun by now.

        Raises:
            ControllerError: that cannot be recorded.
        """


@dataclass(frozen=True, slots=True)
class Key:
    """What is told of an API key. Times are seconds since 1970.

    `name` is what its user calls it. It may do `actions` (pull, push, delete, overwrite; all where there are none) in
    repositories that one of `repositories` matches (globs; all where there are none), as far as its user may.
    `used` is the day when it was used last, None if never or not known.
    """

    id: str
    user: str
    name: str
    created: int
    expires: int | None
    used: int | None = None
    repositories: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


class Keys(Protocol):
    """The API keys of users who make and revoke their own. Every method may raise ControllerError."""

    longest_seconds: int | None
    """How long a key may last at most; None if there is no limit."""

    def of(self, user: str) -> list[Key]:
        """Return the keys of `user`, the newest first, those that have expired as well."""

    def require_owner(self, grant: Grant) -> None:
        """Return if `grant` may look after the keys of its user: neither keys nor tokens may, nor may machines.

        Raises:
            DeniedError: it may not.
        """

    def create(self, grant: Grant, key: Key) -> tuple[Key, str]:
        """Make a key as `key` wishes, whose id and times but `expires` are ignored; return it, and its text.

        The text is kept nowhere.

        Raises:
            ValueError: the wish is malformed; the text says what is wrong.
            DeniedError: as require_owner(); or the user may have none that lasts so long, or no more.
        """

    def revoke(self, user: str, key_id: str) -> bool:
        """Revoke a key of `user`; tell whether there was one."""


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


class RecordsError(ControllerError):
    """What the controller keeps in records cannot be had or written now (503)."""


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

    sign_in: SignIn | None = None
    """How people log in to the pages; None where nobody can, or nobody has to."""

    keys: Keys | None = None
    """The API keys that people make for themselves; None where there are none."""

    no_pages: ClassVar[str] = "this access controller does not tell what a visitor of the pages may do; switch ui off"
    """Why the pages cannot be served with this controller, in one line that says what to do; "" if they can.

    A controller that has "" here overrides judge().
    """

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

    def keep(self, records: Records) -> None:
        """Keep in `records` what all hosts of the registry are to know. It is called once, before any request."""
        del records

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

    def judge(self, grant: Grant, accesses: Sequence[Access]) -> None:
        """Return if `grant`, which authorize() or `sign_in` has given, or which is anonymous, may do all of `accesses`.

        Raises:
            DeniedError: it may not; the text names the rule.
            ControllerError: the controller is broken.
        """
        del accesses
        raise DeniedError(self.no_pages, grant.user)

    def explain(self, grant: Grant, access: Access) -> str:
        """Return one line that says whether `grant` may do `access`, and which rule says so.

        Raises:
            ControllerError: the controller is broken.
        """
        try:
            self.judge(grant, [access])
        except DeniedError as error:
            return str(error)
        return f"{grant.user or 'anonymous'} may {access.action} {access.name}"
