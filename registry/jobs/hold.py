"""How long an entry of the journal waits, so that those of several hosts are given in the order of their times."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.jobs.cluster import Cluster

HOLD_SECONDS: Final = 2.0
"""For changes by several hosts: by how much their clocks may differ, and how late their entries may become visible."""
_ALONE_SECONDS: Final = 12.0
"""How long a host has to have been seen to be the only one: others announce themselves within 10 s."""
_LOOK_SECONDS: Final = 1.0
_READ_SECONDS: Final = 60.0


@dataclass
class Hold:
    """Says how many seconds an entry has to be old before it is given to its consumers.

    On a directory that no other host has used lately it is 0: a change that was acknowledged before another one has an
    earlier time, by the one clock, and was visible before. `name` is this host's in `cluster`. Threads may share it.
    """

    driver: StorageDriver
    cluster: Cluster
    name: str
    clock: Callable[[], float] = time.monotonic
    _looked: float = field(default=float("-inf"), init=False)
    _read: float = field(default=float("-inf"), init=False)
    _names: list[str] = field(default_factory=list, init=False)
    _alone_since: float | None = field(default=None, init=False)

    def __call__(self) -> float:
        """Return the seconds.

        Raises:
            DriverError: the storage does not answer.
        """
        if not self.driver.shared_between_processes:
            return 0.0
        if self.driver.name != "filesystem":
            return HOLD_SECONDS
        now = self.clock()
        if now - self._looked >= _LOOK_SECONDS:
            self._look(now)
            self._looked = now
        alone = self._alone_since is not None and now - self._alone_since >= _ALONE_SECONDS
        return 0.0 if alone else HOLD_SECONDS

    def _look(self, now: float) -> None:
        names = self.cluster.names()
        if names == self._names and now - self._read < _READ_SECONDS:
            return
        if self.name in names and not any(self.cluster.living(but=self.name)):
            self._alone_since = now if self._alone_since is None else self._alone_since
        else:
            self._alone_since = None
        self._names, self._read = names, now
