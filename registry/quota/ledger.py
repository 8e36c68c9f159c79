"""What is known of the bytes of a group, in the storage.

A count of all that is linked is the base. What each process has added since it began is an object of its own, which
nobody else writes; that number never falls. The base names the number of each process that it has seen before it
counted, so all that a process has added beyond that came later. Two who count at a time do no harm: of two bases
each is right with the numbers that it names.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.storage import paths
from registry.storage.listing import objects_below
from registry.storage.names import is_labelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drivers.base import Found, StorageDriver

_BASE_LIMIT_BYTES: Final = 16 * 1024 * 1024
_NUMBER_LIMIT_BYTES: Final = 64
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Base:
    """A count: `used` bytes, where processes had added what `seen` says.

    `division` tells how repositories were divided into groups then, see Groups.
    """

    used: int = 0
    division: str = ""
    seen: Mapping[str, int] = field(default_factory=dict)

    def since(self, process: str, number: int) -> int:
        """Return how much of the `number` that a process has added came after this count."""
        return max(0, number - self.seen.get(process, 0))


class Ledger:
    """The objects of all groups in the storage of `driver`. Every method may raise DriverError."""

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def base(self, label: str) -> Base | None:
        """Return the count of the group that the storage calls `label`; None if it was never counted."""
        path = paths.usage_base(label)
        try:
            told = json.loads(self._driver.get(path, limit=_BASE_LIMIT_BYTES))
            seen = {str(process): int(number) for process, number in told["seen"].items()}
            return Base(int(told["used"]), str(told["division"]), seen)
        except PathNotFoundError:
            return None
        except (ObjectTooLargeError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("%s cannot be understood, and is counted anew: %r", path, error)
            return None

    def counted(self, label: str) -> float | None:
        """Return when the group was counted, in seconds since 1970 by the clock of the storage; None if never."""
        try:
            return self._driver.stat(paths.usage_base(label)).modified
        except PathNotFoundError:
            return None

    def put_base(self, label: str, base: Base) -> None:
        """Replace the count of a group."""
        self._driver.put(paths.usage_base(label), json.dumps(asdict(base)).encode())

    def look(self, label: str) -> Iterator[tuple[str, Found]]:
        """Yield "" and the object of the count, and each process that has added to the group and its object.

        What is replaced at this moment may be left out.
        """
        for found in self._driver.walk(paths.usage(label)):
            name = found.path.rpartition("/")[2]
            if found.path == paths.usage_base(label):
                yield "", found
            elif is_labelled(name):
                yield name, found

    def processes(self, label: str) -> list[str]:
        """Return all processes that have added to the group."""
        return list(objects_below(self._driver, paths.all_usage_added(label), is_labelled))

    def added(self, label: str, process: str) -> int:
        """Return how much a process has added to a group since it began; 0 if that is gone or cannot be read."""
        try:
            return int(self._driver.get(paths.usage_added(label, process), limit=_NUMBER_LIMIT_BYTES))
        except (PathNotFoundError, ObjectTooLargeError, ValueError):
            return 0

    def used(self, label: str) -> int:
        """Return how much a group has, as far as it is written down."""
        base = self.base(label) or Base()
        return base.used + sum(base.since(each, self.added(label, each)) for each in self.processes(label))

    def put_added(self, label: str, process: str, number: int) -> None:
        """Say how much this process, called so, has added to a group since it began."""
        self._driver.put(paths.usage_added(label, process), b"%d" % number)

    def said(self, label: str, process: str) -> float | None:
        """Return when a process has last said how much, in seconds since 1970 by the clock of the storage."""
        try:
            return self._driver.stat(paths.usage_added(label, process)).modified
        except PathNotFoundError:
            return None

    def forget(self, label: str, process: str) -> None:
        """Delete what a process has said."""
        try:
            self._driver.delete(paths.usage_added(label, process))
        except PathNotFoundError:
            return
