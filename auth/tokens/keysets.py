"""Where trusted keys come from: a file, or an address that is asked again and again."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Protocol

from auth.tokens.trusted import TrustedKeys, parse_jwks
from registry.foundation.fetching import FetchError, fetch
from registry.foundation.redaction import redacted_setting

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
_PATIENCE_SECONDS = 2 * _TIMEOUT_SECONDS
"""How long a token with an unknown key waits: a fetch may be two, of a discovery document and of the keys."""

_BRIEF_SECONDS = 2
"""How long it waits for an address that has failed, and a token with a known key for a fetch that it has begun."""

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

    A thread of its own fetches, one at a time, however many tokens name unknown keys, and none is begun within
    RETRY_SECONDS of the one before. Who has a known key waits only for a fetch that it has begun, and briefly. An
    address that cannot be reached costs nothing but the keys that were added since: known ones stay trusted, and once
    it has failed nobody waits for it longer than an answer of a healthy one takes.
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
        self._failed = False
        self._under_way: threading.Event | None = None

    def find(self, key_id: str) -> list[TrustedKey]:
        """Return the keys called `key_id`."""
        found = self._keys.find(key_id)
        fetched_at = self._fetched_at
        if found and fetched_at is not None and self._clock() - fetched_at <= REFRESH_SECONDS:
            return found
        patience_seconds = _BRIEF_SECONDS if found or self._failed else _PATIENCE_SECONDS
        ended, is_ours = self._fetch_in_background()
        if ended and (is_ours or not found):
            ended.wait(patience_seconds)
        return self._keys.find(key_id)

    def ids(self) -> list[str]:
        """Return every id, for a log."""
        return self._keys.ids()

    def _fetch_in_background(self) -> tuple[threading.Event | None, bool]:
        """Return what tells when the fetch ends that is under way, if one is, and whether it was begun here."""
        with self._lock:
            if self._under_way:
                return self._under_way, False
            if self._tried_at is not None and self._clock() - self._tried_at < RETRY_SECONDS:
                return None, False
            ended = threading.Event()
            try:
                threading.Thread(target=self._fetch_keys, args=(ended,), name="signing keys", daemon=True).start()
            except RuntimeError as error:  # there are too many threads
                logger.warning("cannot fetch signing keys: %s", error)
                return None, False
            self._under_way = ended
            return ended, True

    def _fetch_keys(self, ended: threading.Event) -> None:
        failed = True
        try:
            self._keys = parse_jwks(self._fetch(self._locate()))
            self._fetched_at = self._clock()
            failed = False
        except (OSError, ValueError, RecursionError) as error:  # the last one of JSON that is nested deeply
            logger.warning("cannot fetch signing keys, going on with %d ids: %s", len(self.ids()), error)
        finally:
            with self._lock:
                self._failed, self._tried_at, self._under_way = failed, self._clock(), None
            ended.set()


def fetched(address: str) -> bytes:
    """Return the document at an ``http`` or ``https`` address, which may not send elsewhere for it.

    Raises:
        OSError: it cannot be fetched, takes too long, or is larger than any key set.
    """
    accepted = {"Accept": "application/json"}
    try:
        return fetch(address, most_bytes=_LARGEST, timeout_seconds=_TIMEOUT_SECONDS, headers=accepted, follow=False)
    except FetchError as error:
        raise OSError(f"{redacted_setting(address)}: {error}") from error
