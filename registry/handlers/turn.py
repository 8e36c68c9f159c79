"""What takes much memory or time is done for one request of a process at a time: documents that strangers have pushed.

One of 8 MiB takes some 100 MiB while it is read. So many at once would take all that there is, whoever asks for them.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from registry.handlers.context import hand_over, waiting
from registry.oci.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_SECONDS: Final = 20.0


class Turn:
    """The turn of a process, which one request has and others wait for, `seconds` at most."""

    def __init__(self, seconds: float = LONGEST_SECONDS) -> None:
        self._seconds = seconds
        self._free = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Return the block that has the turn; a thread that waits for it is not one of those that work.

        Raises:
            BusyError: others have had it all the time.
            UpstreamBusyError: too many threads wait already, for this or for something else.
        """
        hand_over()
        if not self._free.acquire(blocking=False):
            with waiting():
                has_it = self._free.acquire(timeout=self._seconds)
            if not has_it:
                raise BusyError("others have documents read here at the moment: try again in a few seconds")
        try:
            yield
        finally:
            self._free.release()
