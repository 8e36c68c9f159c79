"""Where trusted keys come from: a file, or an address that is asked again and again."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Protocol

from auth.tokens.trusted import TrustedKeys, parse_jwks
from registry.foundation.fetching import FetchError, fetch

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth.tokens.trusted import TrustedKey
    from registry.foundation.files import WatchedFile

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 600
"""How old keys from an address may grow before it is asked again."""

RETRY_SECONDS = 10
"""How soon an address is asked again, after it failed or because a token names a key that it did not have."""

_TIMEOUT_SECONDS = 5
_LARGEST = 1024 * 1024


class KeySource(Protocol):
    """Trusted keys that may change while the registry runs."""

    def find(self, key_id: str) -> list[TrustedKey]:
        """Return the keys called `key_id`."""

    def ids(self) -> list[str]:
        """Return every id, for a log."""


class FileKeys:
    """The keys of a file. While it is broken, the keys that it last held go on being trusted."""

    def __init__(self, file: WatchedFile[TrustedKeys]) -> None:
        self._file = file

    def find(self, key_id: str) -> list[TrustedKey]:
        """Return the keys called `key_id`."""
        return self._file.last_good().find(key_id)

    def ids(self) -> list[str]:
        """Return every id, for a log."""
        return self._file.last_good().ids()


class RemoteKeys:
    """The JWK set at an address, fetched when it is first needed.

    One thread fetches while the others go on with what there is. An address that cannot be reached costs
    nothing but the keys that were added since: known ones stay trusted.
    """

    def __init__(
        self,
        locate: Callable[[], str],
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._locate = locate
        self._fetch = fetch or fetched
        self._clock = clock
        self._lock = threading.Lock()
        self._keys = TrustedKeys()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    def find(self, key_id: str) -> list[TrustedKey]:
        """Return the keys called `key_id`."""
        if self._fetched_at is None:
            self._refresh(wait=True)
        elif self._clock() - self._fetched_at > REFRESH_SECONDS:
            self._refresh(wait=False)
        found = self._keys.find(key_id)
        if not found:
            self._refresh(wait=True)
            found = self._keys.find(key_id)
        return found

    def ids(self) -> list[str]:
        """Return every id, for a log."""
        return self._keys.ids()

    def _refresh(self, *, wait: bool) -> None:
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._tried_at is None or self._clock() - self._tried_at >= RETRY_SECONDS:
                self._fetch_keys()
                self._tried_at = self._clock()
        finally:
            self._lock.release()

    def _fetch_keys(self) -> None:
        try:
            self._keys = parse_jwks(self._fetch(self._locate()))
            self._fetched_at = self._clock()
        except (OSError, ValueError) as error:
            logger.warning("cannot fetch signing keys, going on with %d ids: %s", len(self.ids()), error)


def fetched(address: str) -> bytes:
    """Return the document at an ``http`` or ``https`` address.

    Raises:
        OSError: it cannot be fetched, or is larger than any key set.
    """
    accepted = {"Accept": "application/json"}
    try:
        return fetch(address, most_bytes=_LARGEST, timeout_seconds=_TIMEOUT_SECONDS, headers=accepted)
    except FetchError as error:
        raise OSError(f"{address}: {error}") from error
