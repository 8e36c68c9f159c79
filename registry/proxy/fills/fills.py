"""The blobs that this process fetches, each once however many ask for it, and a few of an upstream at a time."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.foundation.recent import RecentlyUsed
from registry.oci.errors import BlobUnknownError, UpstreamBusyError, UpstreamRefusedError
from registry.proxy.fills.fetching import MismatchError
from registry.proxy.fills.fill import ENDED, Fill, View
from registry.proxy.fills.filling import Filling
from registry.proxy.fills.turns import Turns, shares
from registry.proxy.meter import NoMeter

if TYPE_CHECKING:
    from registry.oci.digest import Digest
    from registry.oci.errors import RegistryError
    from registry.ports import Blob, Visitor
    from registry.proxy.fills.filling import Kept
    from registry.proxy.fills.remote_blob import RemoteBlob
    from registry.proxy.meter import Meter
    from registry.proxy.routing import Place

_WRONG_SECONDS: Final = 60.0
"""For how long an upstream that gives other content than that of a digest is not asked for it again."""
_FULL_SECONDS: Final = 30.0
"""For how long nothing is kept after the storage could not be written to."""
_REMEMBERED: Final = 1000
_RETRY_SECONDS: Final = 5
_TRIES: Final = 3
_CLOSING_SECONDS: Final = 2.0

_Asked = tuple[str, str, "Digest"]


class Fills:
    """All fills of a process. What is fetched is `kept`; that is None where nothing may be written."""

    def __init__(self, kept: Kept | None, meter: Meter | None = None) -> None:
        self.meter = meter or NoMeter()
        self._kept = kept
        self._lock = threading.Lock()
        self._fills: dict[tuple[str, Digest], Fill] = {}
        self._slots: dict[str, threading.BoundedSemaphore] = {}
        self._turns: dict[str, Turns] = {}
        self._threads: set[threading.Thread] = set()
        self._failed: RecentlyUsed[_Asked, tuple[float, RegistryError]] = RecentlyUsed(_REMEMBERED)
        """Until when what is not told, and why."""
        self._keeps_nothing_until = 0.0
        self._stopping = False

    def join(self, remote: RemoteBlob, place: Place, visitor: Visitor) -> Fill | None:
        """Return the fill of a blob for the repository at `place`, begun now if nobody has asked for it before.

        Its size is known, or it has ended without one, and it has not failed. None is returned where nothing is kept.

        Raises:
            BlobUnknownError: the upstream does not have it under that name.
            UpstreamError: the upstream does not give it.
        """
        for _ in range(_TRIES):
            kept = self._kept
            if kept is None or self._stopping or time.monotonic() < self._keeps_nothing_until:
                return None
            fill, is_new = self._find_or_add(remote, place)
            if is_new:
                self._begin(fill, remote, kept, visitor)
            elif not fill.serves(place):
                with visitor.waiting():
                    remote.size()
            fill.add_place(place)
            fill.wait(partial(_is_known, fill), visitor)
            try:
                fill.raise_error()
            except (BlobUnknownError, UpstreamRefusedError):
                # It was asked for under another name; ours may be a better one.
                if fill.repository == place.remote:
                    raise
            else:
                return fill
        return None

    def find(self, remote: RemoteBlob, place: Place) -> Fill | None:
        """Return the fill that a client of `place` takes part in, if there is one that knows the size of the blob."""
        fill = self._fills.get((remote.name, remote.digest))
        return fill if fill and fill.size is not None and not fill.error and fill.serves(place) else None

    def forget(self, remote: RemoteBlob) -> None:
        """Forget that the upstream did not have a blob: it has."""
        self._failed.drop(_asked(remote))

    def link(self, place: Place, blob: Blob) -> None:
        """Let the repository at `place` have a blob that is stored, if anything can be written now.

        The caller has seen that its upstream has the blob under that name.
        """
        if self._kept:
            with suppress(BlobUnknownError, DriverError):
                self._kept.caching.link_blob(self._kept.repositories.open(place.name), blob)

    def turns(self, remote: RemoteBlob) -> Turns:
        """Return who may have what the upstream gives passed on, without its being kept."""
        with self._lock:
            turns = self._turns.get(remote.name)
            if turns is None:
                network = remote.upstream.settings.network
                most = shares(network)[1] if self._kept else network.connections
                turns = self._turns[remote.name] = Turns(remote.name, most)
        return turns

    def close(self) -> None:
        """Let go of what is being fetched: another process goes on with it."""
        self._stopping = True
        until = time.monotonic() + _CLOSING_SECONDS
        with self._lock:
            threads = [*self._threads]
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0))

    def _find_or_add(self, remote: RemoteBlob, place: Place) -> tuple[Fill, bool]:
        key = (remote.name, remote.digest)
        with self._lock:
            fill = self._fills.get(key)
            if fill and fill.state not in ENDED:
                return fill, False
            until, error = self._failed.get(_asked(remote)) or (0.0, None)
            if error and time.monotonic() < until:
                raise copy(error)
            fill = self._fills[key] = Fill(place)
        return fill, True

    def _begin(self, fill: Fill, remote: RemoteBlob, kept: Kept, visitor: Visitor) -> None:
        """Start the thread that fetches the blob as soon as there is a slot for it."""
        slot = self._slot(remote)
        try:
            _acquire(slot, remote, visitor)
        except UpstreamBusyError as error:
            self._drop(fill, remote)
            fill.fail(error)
            return
        self.meter.fill_began(remote.name)
        filling = Filling(fill, remote, kept, lambda: self._stopping)
        thread = threading.Thread(target=self._run, args=(filling, fill, remote, slot), name="filling", daemon=True)
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # there can be no more threads
            self._end(fill, remote, slot, thread)
            fill.give_up()

    def _slot(self, remote: RemoteBlob) -> threading.BoundedSemaphore:
        with self._lock:
            slot = self._slots.get(remote.name)
            if slot is None:
                most, _ = shares(remote.upstream.settings.network)
                slot = self._slots[remote.name] = threading.BoundedSemaphore(most)
        return slot

    def _run(self, filling: Filling, fill: Fill, remote: RemoteBlob, slot: threading.BoundedSemaphore) -> None:
        try:
            filling.run()
            self._remember(fill.error, remote)
            if filling.could_not_write:
                self._keeps_nothing_until = time.monotonic() + _FULL_SECONDS
        finally:
            self._end(fill, remote, slot, threading.current_thread())

    def _end(self, fill: Fill, remote: RemoteBlob, slot: threading.BoundedSemaphore, thread: threading.Thread) -> None:
        self._drop(fill, remote)
        with self._lock:
            self._threads.discard(thread)
        slot.release()
        self.meter.pulled("blob", fill.pulled)
        self.meter.fill_ended(remote.name, fill.state.name.lower())

    def _remember(self, error: RegistryError | None, remote: RemoteBlob) -> None:
        """Have the next ones who ask told of an `error` that will most likely come again."""
        seconds = 0.0
        if isinstance(error, MismatchError):
            seconds = _WRONG_SECONDS
        elif isinstance(error, BlobUnknownError):
            seconds = remote.upstream.settings.cache.negative_seconds
        if error and seconds:
            self._failed.put(_asked(remote), (time.monotonic() + seconds, error))

    def _drop(self, fill: Fill, remote: RemoteBlob) -> None:
        key = (remote.name, remote.digest)
        with self._lock:
            if self._fills.get(key) is fill:
                del self._fills[key]


def _asked(remote: RemoteBlob) -> _Asked:
    return remote.name, remote.repository, remote.digest


def _acquire(slot: threading.BoundedSemaphore, remote: RemoteBlob, visitor: Visitor) -> None:
    """Wait for a slot for as long as for an answer.

    Raises:
        UpstreamBusyError: there is none, or too many wait already.
    """
    if slot.acquire(blocking=False):
        return
    with visitor.waiting():
        if not slot.acquire(timeout=remote.upstream.settings.network.answertimeout_seconds):
            busy = f"as many blobs of {remote.name} are being fetched as may be at a time"
            raise UpstreamBusyError(busy, retry_seconds=_RETRY_SECONDS)


def _is_known(fill: Fill, view: View) -> bool:
    return view.has_ended() or fill.size is not None
