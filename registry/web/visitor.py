"""Who looks at a page, and what the rules let it do there. The Authorization header counts for nothing here."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from auth.base import MAINTENANCE, Access, DeniedError, Grant
from registry.handlers.auditing import note_hidden
from registry.handlers.context import hand_over
from registry.handlers.current import services
from registry.handlers.flask_internals import current_globals
from registry.oci.errors import NameUnknownError
from registry.web.cookies import SESSION
from registry.web.site import site

if TYPE_CHECKING:
    from auth.base import AccessController
    from registry.ports import Repository
    from registry.web.sessions import Session

logger = logging.getLogger(__name__)

_MAINTENANCE: Final = Access("registry", MAINTENANCE, "*")


class SignInNeededError(Exception):
    """The visitor may not see this, and has not said yet who it is: it is shown the page to log in."""


class Visitor:
    """Somebody with `grant`; `session` is None for who has not logged in.

    What a visitor may not pull is answered as what is not there.
    """

    def __init__(self, grant: Grant, session: Session | None, access: AccessController) -> None:
        self.grant = grant
        self.session = session
        self._access = access

    @property
    def user(self) -> str:
        """The name; "" for somebody who has not logged in."""
        return self.grant.user

    @property
    def can_sign_in(self) -> bool:
        """Whether logging in may help."""
        return self.session is None and self._access.sign_in is not None

    @property
    def has_keys(self) -> bool:
        """Whether the visitor can have API keys."""
        return self.session is not None and self._access.keys is not None

    def may(self, name: str, action: str) -> bool:
        """Tell whether the visitor may do `action` in the repository called so."""
        return self._may(Access("repository", name, action))

    @property
    def may_maintain(self) -> bool:
        """Whether the visitor may do what concerns all repositories."""
        return self._may(_MAINTENANCE)

    def shows(self, name: str) -> bool:
        """Tell whether the visitor sees that there is a repository called so."""
        return self._access.lists(self.grant, name) and self.may(name, "pull")

    def open(self, name: str) -> Repository:
        """Return the repository, which need not exist, as it is kept here: nothing is fetched.

        Raises:
            NameUnknownError: the visitor may not pull it.
            SignInNeededError: so it is, but it may log in.
        """
        try:
            self.require(name, "pull")
        except DeniedError as error:
            note_hidden(name, str(error))
            raise NameUnknownError("repository name not known to registry", {"name": name}) from None
        return services().repositories.open(name)

    def require(self, name: str, *actions: str) -> None:
        """Return if the visitor may do all of `actions` in the repository called so.

        Raises:
            DeniedError: it may not; the text names the rule.
            SignInNeededError: so it is, but it may log in.
        """
        self._require([Access("repository", name, action) for action in actions])

    def require_maintainer(self) -> None:
        """Return if the visitor may do what concerns all repositories; it raises as require() does."""
        self._require([_MAINTENANCE])

    def require_session(self) -> Session:
        """Return the session.

        Raises:
            SignInNeededError: the visitor has not logged in.
            DeniedError: nobody logs in here.
        """
        if self.session:
            return self.session
        if self.can_sign_in:
            raise SignInNeededError
        raise DeniedError("nobody logs in to this registry")

    def explain(self, name: str, action: str) -> str:
        """Return one line that says whether the visitor may do that, and which rule says so."""
        return self._access.explain(self.grant, Access("repository", name, action))

    def _may(self, access: Access) -> bool:
        try:
            self._access.judge(self.grant, [access])
        except DeniedError:
            return False
        return True

    def _require(self, accesses: list[Access]) -> None:
        try:
            self._access.judge(self.grant, accesses)
        except DeniedError as error:
            if self.can_sign_in:
                raise SignInNeededError from None
            logger.info("denied: %s", error)
            raise


def visitor() -> Visitor:
    """Return who has sent this request.

    Raises:
        auth.base.ControllerError: whether a session still holds cannot be told.
    """
    kept = current_globals()
    if "visitor" not in kept:
        access = services().access
        session = _session(access)
        # The log, the audit log and events look for it there.
        kept.grant = grant = session.grant if session else Grant()
        kept.visitor = Visitor(grant, session, access)
    found: Visitor = kept.visitor
    return found


def _session(access: AccessController) -> Session | None:
    if access.sign_in is None:
        return None
    session = site().sessions.read(SESSION.read())
    if session is None:
        return None
    hand_over()  # the storage or a directory may be asked about its user
    if access.sign_in.has_ended(session.id, session.begun):
        return None
    return session if access.sign_in.stands(session.grant, session.begun) else None
