"""A blob on its way from an upstream: what the thread that fetches it tells those who read it meanwhile.

The digest is known only when the last byte has come. So the last bytes are held back until then: nobody gets a whole
blob that is not the one it has asked for.
"""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass
from enum import Enum, auto
from threading import Condition
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.oci.errors import RegistryError
    from registry.ports import Visitor
    from registry.proxy.fills.spool import Spool
    from registry.proxy.routing import Place

HELD_BACK: Final = 256 * 1024
"""Bytes at the end of a blob that nobody gets before its digest is verified."""
_MEASURED: Final = 1024 * 1024
"""Bytes after which it is known how fast an upstream is; so many are worth waiting for."""


class State(Enum):
    """How far a fill is."""

    ASKING = auto()
    """The upstream has not answered yet, or not said how large the blob is."""
    GROWING = auto()
    VERIFIED = auto()
    """All bytes are there, and they are the right ones."""
    STORED = auto()
    """They are in the storage."""
    FAILED = auto()
    UNCACHED = auto()
    """It cannot be kept, so that each client has to get it from the upstream."""


ENDED: Final = frozenset({State.STORED, State.FAILED, State.UNCACHED})


@dataclass(frozen=True, slots=True)
class View:
    """A fill at a moment: bytes ``0..readable`` of `spool` may be given out, of `size` if that is known."""

    state: State
    size: int | None
    spool: Spool | None
    readable: int

    def has_ended(self) -> bool:
        """Tell whether nothing more comes."""
        return self.state in ENDED

    def has_news(self, position: int) -> bool:
        """Tell whether there is something to do for a reader who has got the bytes up to `position`."""
        return self.readable > position or self.has_ended()


class Fill:
    """A blob on its way, asked for under the name that `place` has upstream.

    `size` is in bytes, and None as long as it is not known; `pulled` is how many have come from the upstream. `places`
    are the repositories that get it, by their names: of each it is shown that its upstream has the blob under its name.
    """

    def __init__(self, place: Place) -> None:
        self.repository = place.remote
        self.places = {place.name: place}
        self.size: int | None = None
        self.error: RegistryError | None = None
        self.pulled = 0
        self._state = State.ASKING
        self._is_verified = False
        self._spool: Spool | None = None
        self._began = 0.0
        self._began_at = 0
        self._changed = Condition()

    @property
    def state(self) -> State:
        """How far it is."""
        return self._state

    def add_place(self, place: Place) -> None:
        """Let one more repository have the blob when it has come, as the upstream has it under that name."""
        with self._changed:
            if place.name not in self.places:
                self.places = {**self.places, place.name: place}

    def serves(self, place: Place) -> bool:
        """Tell whether it is shown that the upstream has the blob under the name of `place`."""
        return any(each.remote == place.remote for each in self.places.values())

    def view(self) -> View:
        """Return how it stands."""
        with self._changed:
            return self._view()

    def wait(self, wanted: Callable[[View], bool], visitor: Visitor) -> View:
        """Return how it stands as soon as that is `wanted`; `visitor` waits for it.

        Raises:
            UpstreamBusyError: too many wait already.
        """
        with self._changed:
            view = self._view()
        if wanted(view):
            return view
        with visitor.waiting(), self._changed:
            while not wanted(view := self._view()):
                self._changed.wait()
        return view

    def seconds_until(self, position: int) -> float:
        """Return in how many seconds the bytes up to `position` will be there, at the speed up to now."""
        with self._changed:
            spool, size = self._spool, self.size
            written = spool.size if spool else 0
            if size is not None and position > size - HELD_BACK:
                position = size
            gained, seconds = written - self._began_at, time.monotonic() - self._began
        missing = position - written
        if missing <= 0:
            return 0.0
        if gained < _MEASURED:
            return 0.0 if missing <= _MEASURED else float("inf")
        return missing * seconds / gained

    def raise_error(self) -> None:
        """Raise why it has failed, if it has."""
        if self.error:
            # Many threads raise it, and each adds its traceback.
            raise copy(self.error)

    def begin(self, size: int | None, spool: Spool) -> None:
        """Tell that the blob, of `size` bytes if that is known, grows in `spool` from now on."""
        with self._changed:
            self.size, self._spool = size, spool
            self._began, self._began_at = time.monotonic(), spool.size
            if size is not None:
                self._state = State.GROWING
            self._changed.notify_all()

    def grew(self) -> None:
        """Tell that the spool has more bytes."""
        with self._changed:
            self._changed.notify_all()

    def verify(self) -> None:
        """Tell that all of the blob is in the spool, and right."""
        with self._changed:
            self.size = self._spool.size if self._spool else 0
            self._state, self._is_verified = State.VERIFIED, True
            self._changed.notify_all()

    def store(self, size: int) -> None:
        """Tell that the storage has the blob, of `size` bytes."""
        self._end(State.STORED, size)

    def fail(self, error: RegistryError) -> None:
        """Tell why nobody gets it."""
        self.error = error.with_traceback(None)
        self._end(State.FAILED)

    def give_up(self) -> None:
        """Tell that each client has to get it from the upstream."""
        self._end(State.UNCACHED)

    def _end(self, state: State, size: int | None = None) -> None:
        with self._changed:
            self._state = state
            self.size = self.size if size is None else size
            self._changed.notify_all()

    def _view(self) -> View:
        spool = self._spool
        readable = 0
        if spool and self._is_verified:
            readable = spool.size
        elif spool:
            readable = max(0, min(spool.size, (spool.size if self.size is None else self.size) - HELD_BACK))
        return View(self._state, self.size, spool, readable)
