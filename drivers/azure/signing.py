"""Signed URLs, by the account's key or by a user delegation key, which the service gives to a logged-in identity."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from azure.storage.blob import BlobSasPermissions, generate_blob_sas

from drivers.azure.client import Translated
from drivers.azure.parameters import SAS, SHARED_KEY

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient, UserDelegationKey

    from drivers.azure.parameters import AzureParameters

URL_LIFETIME: Final = timedelta(minutes=20)
_KEY_LIFETIME = timedelta(hours=48)
_KEY_MARGIN = timedelta(minutes=30)
_CLOCK_SKEW = timedelta(minutes=5)
_PAUSE_SECONDS = 60.0
"""How long nothing is signed after the service has refused a user delegation key."""

_log = logging.getLogger(__name__)


class Signer:
    """Signs for one container; shared by all threads."""

    def __init__(self, service: BlobServiceClient, parameters: AzureParameters) -> None:
        self._service = service
        self._parameters = parameters
        self._lock = threading.Lock()
        self._delegated: tuple[UserDelegationKey, datetime] | None = None
        self._not_before = 0.0

    def token(self, key: str) -> str | None:
        """Return the query that lets anyone read the blob, or None if no such query may be given to clients.

        A SAS token from the configuration is never passed on: it allows more than reading one blob.
        """
        if self._parameters.type == SAS:
            return None
        delegated = None
        if self._parameters.type != SHARED_KEY:
            delegated = self._delegation_key()
            if delegated is None:
                return None
        now = datetime.now(UTC)
        return generate_blob_sas(
            self._parameters.accountname,
            self._parameters.container,
            key,
            account_key=self._parameters.accountkey or None,
            user_delegation_key=delegated,
            permission=BlobSasPermissions(read=True),
            start=now - _CLOCK_SKEW,
            expiry=now + URL_LIFETIME,
        )

    def source_token(self, key: str) -> str | None:
        """Return the query that the source of a copy needs; None if the account's key covers both ends."""
        return None if self._parameters.type == SHARED_KEY else self.token(key)

    def _delegation_key(self) -> UserDelegationKey | None:
        now = datetime.now(UTC)
        with self._lock:
            if self._delegated and now < self._delegated[1] - _KEY_MARGIN:
                return self._delegated[0]
            if time.monotonic() < self._not_before:
                return None
            expiry = now + _KEY_LIFETIME
            try:
                key = self._service.get_user_delegation_key(now - _CLOCK_SKEW, expiry)
            except Translated.failures as error:
                self._not_before = time.monotonic() + _PAUSE_SECONDS
                _log.warning("azure: get a user delegation key: %s; content is streamed", Translated.reason(error))
                return None
            self._delegated = key, expiry
            return key
