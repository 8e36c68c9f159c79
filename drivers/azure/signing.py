"""Signed URLs, by the account's key or by a user delegation key, which the service gives to a logged-in identity.

They are made here, since whoever only serves makes them: at half the cost of azure.storage.blob, which is not loaded.
Source: "Create a service SAS" and "Create a user delegation SAS", the formats of version 2020-12-06 and later.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from drivers.azure.authorization import VERSION, signature
from drivers.azure.documents import texts
from drivers.azure.errors import Translated
from drivers.azure.parameters import SAS, SHARED_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.azure.client import Client
    from drivers.azure.parameters import AzureParameters

URL_LIFETIME: Final = timedelta(minutes=20)
_KEY_LIFETIME = timedelta(hours=48)
_KEY_MARGIN = timedelta(minutes=30)
_CLOCK_SKEW = timedelta(minutes=5)
_PAUSE_SECONDS = 60.0
"""How long nothing is signed after the service has refused a user delegation key."""

_SIGNED: Final = {
    "skoid": "SignedOid",
    "sktid": "SignedTid",
    "skt": "SignedStart",
    "ske": "SignedExpiry",
    "sks": "SignedService",
    "skv": "SignedVersion",
}
"""What is told of a user delegation key, by the name in a URL, as the service calls it."""

_log = logging.getLogger(__name__)


class Signer:
    """Signs for one container; shared by all threads."""

    def __init__(self, client: Client, parameters: AzureParameters) -> None:
        self._client = client
        self._parameters = parameters
        self._resource = f"/blob/{parameters.accountname}/{parameters.container}"
        self._key = base64.b64decode(parameters.accountkey)
        self._lock = threading.Lock()
        self._delegated: tuple[Mapping[str, str], datetime] | None = None
        self._not_before = 0.0

    def token(self, key: str) -> str | None:
        """Return the query that lets anyone read the blob, or None if no such query may be given to clients.

        A SAS token from the configuration is never passed on: it allows more than reading one blob.
        """
        if self._parameters.type == SAS:
            return None
        if self._parameters.type == SHARED_KEY:
            return self._signed(key, {}, self._key, [""])  # the empty one is the identifier of a stored policy
        delegated = self._delegation_key()
        if delegated is None:
            return None
        told = {name: delegated[element] for name, element in _SIGNED.items()}
        # Then authorized and unauthorized object id, and correlation id.
        return self._signed(key, told, base64.b64decode(delegated["Value"]), [*told.values(), "", "", ""])

    def _signed(self, key: str, told: Mapping[str, str], secret: bytes, who: list[str]) -> str:
        now = datetime.now(UTC)
        start, expiry = _text(now - _CLOCK_SKEW), _text(now + URL_LIFETIME)
        # Then IP range and protocol; behind version and kind, snapshot, encryption scope and five headers.
        fields = ["r", start, expiry, f"{self._resource}/{key}", *who, "", "", VERSION, "b", *[""] * 7]
        query = {"st": start, "se": expiry, "sp": "r", "sv": VERSION, "sr": "b", **told}
        query["sig"] = signature(secret, "\n".join(fields))
        return "&".join([f"{name}={quote(value, safe='')}" for name, value in query.items()])

    def source_token(self, key: str) -> str | None:
        """Return the query that the source of a copy needs; None if the account's key covers both ends."""
        return None if self._parameters.type == SHARED_KEY else self.token(key)

    def _delegation_key(self) -> Mapping[str, str] | None:
        now = datetime.now(UTC)
        with self._lock:
            if self._delegated and now < self._delegated[1] - _KEY_MARGIN:
                return self._delegated[0]
            if time.monotonic() < self._not_before:
                return None
            expiry = now + _KEY_LIFETIME
            try:
                key = self._lent(now - _CLOCK_SKEW, expiry)
            except Translated.failures as error:
                self._not_before = time.monotonic() + _PAUSE_SECONDS
                _log.warning("azure: get a user delegation key: %s; content is streamed", Translated.reason(error))
                return None
            self._delegated = key, expiry
            return key

    def _lent(self, start: datetime, expiry: datetime) -> Mapping[str, str]:
        """Return a key of the service that is valid from `start` to `expiry` (Get User Delegation Key)."""
        asked = f"<KeyInfo><Start>{_text(start)}</Start><Expiry>{_text(expiry)}</Expiry></KeyInfo>"
        answer = self._client.account("restype=service&comp=userdelegationkey", asked.encode())
        return texts(answer.content, "UserDelegationKey", [*_SIGNED.values(), "Value"])


def _text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
