"""Logging in at an identity provider, with a browser: the code flow, with PKCE (RFC 7636) and a nonce."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from auth.base import ControllerError, Departure, Grant, UnauthorizedError
from auth.identities.members import proofs_of
from auth.identities.openid.client import LoginRefusedError
from auth.tokens.jws import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth.base import Request
    from auth.identities.members import Member, Members
    from auth.identities.openid.client import OpenIdClient

logger = logging.getLogger(__name__)

_NONCE: Final = "nonce"
_VERIFIER: Final = "verifier"


class OpenIdProvider:
    """A Provider; see auth.base. Who has come back is let in if the name that they have there is theirs here."""

    def __init__(self, client: OpenIdClient, members: Members) -> None:
        self.name = client.settings.name
        self.label = client.settings.label
        self._client = client
        self._members = members

    def begin(self, request: Request, callback: str) -> Departure:
        """Return where to send the browser."""
        request.before_waiting()
        endpoint = self._client.metadata().authorization_endpoint
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._client.settings.client_id,
            "redirect_uri": callback,
            "scope": " ".join(self._client.settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return Departure(_with_query(endpoint, query), state, {_NONCE: nonce, _VERIFIER: verifier})

    def complete(self, request: Request, departure: Departure, callback: str, fields: Mapping[str, str]) -> Grant:
        """Return who has come back."""
        request.before_waiting()
        try:
            member = self._returned(departure, callback, fields)
        except LoginRefusedError as error:
            logger.warning("login at %s from %s refused: %s", self.name, request.remote_address, error)
            raise UnauthorizedError("", ()) from error
        if not self._members.admit(member):
            raise UnauthorizedError("", ())
        return Grant(member.user, member.proof)

    def farewell(self, grant: Grant, callback: str) -> str:
        """Return where to log out there, too."""
        if not grant.proof.startswith(proofs_of(f"oidc:{self.name}")):
            return ""
        try:
            endpoint = self._client.metadata().end_session_endpoint
        except ControllerError as error:
            logger.warning("nobody is sent to log out there: %s", error)
            return ""
        query = {"client_id": self._client.settings.client_id, "post_logout_redirect_uri": callback}
        return endpoint and _with_query(endpoint, query)

    def _returned(self, departure: Departure, callback: str, fields: Mapping[str, str]) -> Member:
        state = fields.get("state", "")
        if not hmac.compare_digest(state.encode(errors="surrogatepass"), departure.state.encode()):
            raise LoginRefusedError("the browser does not come back from where it was sent")
        issuer, metadata = fields.get("iss"), self._client.metadata()
        # Another provider's answer, mixed up with this one's by an attacker (RFC 9207).
        if issuer != self._client.settings.issuer and (issuer is not None or metadata.names_itself):
            raise LoginRefusedError(f"the answer is that of {shown(issuer)}")
        if "error" in fields:
            told = " ".join(shown(fields[name]) for name in ("error", "error_description") if name in fields)
            raise LoginRefusedError(f"it answers {told}")
        code, verifier, nonce = fields.get("code"), departure.memory.get(_VERIFIER), departure.memory.get(_NONCE)
        if not code or not verifier or not nonce:
            raise LoginRefusedError("the answer has no code")
        return self._client.redeemed(code, verifier, nonce, callback)


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
