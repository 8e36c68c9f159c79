"""Tokens of a token service (distribution's token specification): one for each scope, for as long as it is good."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from registry.foundation.challenges import token_in
from registry.foundation.recent import RecentlyUsed
from registry.oci.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST: Final = 1000
"""Scopes, one for each repository."""
_LEAST_SECONDS: Final = 60.0
"""What every client may rely on, and what is meant where a service does not say."""
_SHARE: Final = 0.9
_RETRY_SECONDS: Final = 10.0
"""How soon a refused token is replaced again: clients may ask, again and again, for what is not for us."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and for how many seconds it may be used."""

    text: str
    seconds: float

    @classmethod
    def parse(cls, content: bytes) -> Token:
        """Read the answer of a token service.

        Raises:
            ValueError: there is no token in it.
        """
        text = token_in(content)
        document: Any = json.loads(content)
        stated = document.get("expires_in")
        known = isinstance(stated, int | float) and not isinstance(stated, bool) and 0 < stated < float("inf")
        return cls(text, max(_LEAST_SECONDS, stated * _SHARE) if known else _LEAST_SECONDS)


@dataclass(slots=True)
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str = ""
    until: float = 0.0
    dropped: float | None = None
    tries: int = 0
    error: UpstreamError | None = None


class Tokens:
    """The tokens of one upstream, for all threads: those that want the same at the same time share one request."""

    def __init__(self) -> None:
        self._slots = RecentlyUsed[str, _Slot](_MOST)
        self._lock = threading.Lock()

    def get(self, scope: str, fetch: Callable[[], Token]) -> str:
        """Return a token for `scope`, of which there is one, or the one that `fetch` gives.

        Raises:
            UpstreamError: `fetch`, of this thread or of the one that was waited for, has raised it.
        """
        slot = self._slot(scope)
        tries = slot.tries
        with slot.lock:
            if time.monotonic() < slot.until:
                return slot.token
            if slot.tries != tries and slot.error:
                raise type(slot.error)(slot.error.message, retry_seconds=slot.error.retry_seconds)
            slot.tries += 1
            slot.error, slot.until = None, 0.0
            try:
                token = fetch()
            except UpstreamError as error:
                slot.error = error
                raise
            slot.token, slot.until = token.text, time.monotonic() + token.seconds
            return slot.token

    def drop(self, scope: str, token: str) -> bool:
        """Forget `token`, which was refused; tell whether to try another one: not if that was just done in vain."""
        slot = self._slot(scope)
        with slot.lock:
            if slot.token != token:
                return True
            now, before = time.monotonic(), slot.dropped
            if before is not None and now - before < _RETRY_SECONDS:
                return False
            slot.until, slot.dropped = 0.0, now
            return True

    def _slot(self, scope: str) -> _Slot:
        with self._lock:
            slot = self._slots.get(scope)
            if slot is None:
                slot = _Slot()
                self._slots.put(scope, slot)
            return slot
