"""What signs for the bucket: keys of the configuration, or what the SDK finds by its own search."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from botocore.credentials import CredentialProvider
from botocore.credentials import Credentials as SdkCredentials
from botocore.exceptions import NoCredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable

_RENEWED_SECONDS: Final = 10.0
"""How long to wait before credentials are searched for again that the store did not accept, or that were not there."""


class Credentials:
    """Credentials that the SDK has `found`, None if there were none, and what another `search` of it finds.

    Those that expire are refreshed by the SDK. For all threads.
    """

    def __init__(self, found: Any, search: Callable[[], Any]) -> None:
        self._search = search
        self._found = found
        self._lock = threading.Lock()
        self._searched_at = time.monotonic()
        self._changed = False

    def current(self) -> Any:
        """Return them: ``access_key``, ``secret_key``, and ``token``, which may be None.

        Raises:
            botocore.exceptions.NoCredentialsError: there are none.
            botocore.exceptions.BotoCoreError: they have expired, and who gives them does not answer.
        """
        if self._found is None:
            self.renew()
        if self._found is None:
            raise NoCredentialsError
        return self._found.get_frozen_credentials()

    def renew(self) -> bool:
        """Search again, at most every ten seconds; tell whether others were found in the last ten seconds.

        The store may know earlier than we that credentials have expired, and a file may have new ones.
        """
        with self._lock:
            if time.monotonic() - self._searched_at >= _RENEWED_SECONDS:
                before, self._found = self._found, self._search()
                self._changed = _frozen(before) != _frozen(self._found)
                self._searched_at = time.monotonic()
            return self._changed


class Provider(CredentialProvider):  # type: ignore[misc]
    """Gives the SDK `credentials`, so that it signs with what was found last, too."""

    METHOD = CANONICAL_NAME = "registry"

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> SdkCredentials:
        """Return them."""
        return _Shared(self._credentials)


class _Shared(SdkCredentials):  # type: ignore[misc]
    """What the SDK asks for credentials each time that it signs."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__("", "")
        self._credentials = credentials

    def get_frozen_credentials(self) -> Any:
        return self._credentials.current()


def _frozen(credentials: Any) -> Any:
    return credentials and credentials.get_frozen_credentials()
