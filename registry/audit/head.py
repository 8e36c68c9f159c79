"""How far the audit log had come, as it is stored beside the log and with the journal's cursor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.audit.chain import BEGINNING
from registry.audit.consumer import NAME
from registry.audit.segments import Segment
from registry.journal.cursors import Cursors
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.base import StorageDriver

_LIMIT_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """How far the log had come: the number and hash of a line, the segment that it is in, and the journal's position.

    There were no lines yet if `seq` is 0.
    """

    seq: int = 0
    hash: str = BEGINNING
    segment: str = ""
    position: str = ""

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> Head:
        """Return what is stored as `content`.

        Raises:
            ValueError, OverflowError, KeyError, TypeError: it is not what store() stores.
        """
        segment = str(content["segment"])
        if segment:
            Segment.parse(segment)
        return cls(int(content["seq"]), str(content["hash"]), segment, str(content["position"]))

    @classmethod
    def load(cls, driver: StorageDriver) -> Head | None:
        """Return what is stored; None if there is nothing that can be read.

        Raises:
            DriverError: the storage fails.
        """
        try:
            return cls.parse(json.loads(driver.get(paths.AUDIT_HEAD, limit=_LIMIT_BYTES)))
        except (PathNotFoundError, ObjectTooLargeError, RecursionError, ValueError, OverflowError, KeyError, TypeError):
            return None

    @classmethod
    def of_cursor(cls, driver: StorageDriver) -> Head | None:
        """Return how far the log had come when the journal was last told; None if that cannot be read.

        Raises:
            DriverError: the storage fails.
        """
        cursor = Cursors(driver).get(NAME)
        try:
            return cls.parse({**cursor.state, "position": cursor.position}) if cursor else None
        except (ValueError, OverflowError, KeyError, TypeError):
            return None

    def at_cursor(self) -> Mapping[str, Any]:
        """Return what of_cursor() finds in the state of a cursor."""
        return {"seq": self.seq, "hash": self.hash, "segment": self.segment}

    def store(self, driver: StorageDriver) -> None:
        """Store it in place of what there was."""
        content = {"seq": self.seq, "hash": self.hash, "segment": self.segment, "position": self.position}
        driver.put(paths.AUDIT_HEAD, json.dumps(content).encode())
