"""Where each consumer of the journal stands, kept in the storage."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.storage import paths
from registry.storage.listing import objects_below
from registry.storage.names import is_labelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drivers.base import StorageDriver

IDLE_SECONDS: Final = 300.0
"""How often a consumer stores its cursor at least, even if nothing has changed: so the storage knows that it lives."""
_LIMIT_BYTES: Final = 64 * 1024 * 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the journal, up to which its consumer is through.

    `through_ns` is as in registry.journal.reader.Page: the journal keeps what is not older. `state` is what else the
    consumer remembers, and has to be JSON.
    """

    position: str = ""
    through_ns: int = 0
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """A cursor in the storage: whose it is, and when it was stored, in nanoseconds since 1970 by its writer's clock."""

    name: str
    cursor: Cursor
    stored_ns: int


class Cursors:
    """The cursors in a storage. The name of a consumer is any text.

    Every method raises DriverError if the storage fails.
    """

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def get(self, name: str) -> Cursor | None:
        """Return the cursor of a consumer; None if there is none, or none that can be read."""
        stored = self._read(paths.cursor(name))
        return stored.cursor if stored and stored.name == name else None

    def put(self, name: str, cursor: Cursor) -> None:
        """Store the cursor of a consumer in place of the one before."""
        content = {
            "name": name,
            "position": cursor.position,
            "through_ns": cursor.through_ns,
            "stored_ns": time.time_ns(),
            "state": dict(cursor.state),
        }
        self._driver.put(paths.cursor(name), json.dumps(content, separators=(",", ":")).encode())

    def names(self) -> list[str]:
        """Return the names of the consumers that have a cursor."""
        return [stored.name for stored in self.all()]

    def all(self) -> Iterator[Stored]:
        """Yield every cursor that can be read."""
        for label in objects_below(self._driver, paths.CURSORS, is_labelled):
            stored = self._read(paths.below(paths.CURSORS, label))
            if stored:
                yield stored

    def delete(self, name: str) -> None:
        """Forget the cursor of a consumer.

        Raises:
            PathNotFoundError: there is none.
        """
        self._driver.delete(paths.cursor(name))

    def _read(self, path: str) -> Stored | None:
        try:
            content = json.loads(self._driver.get(path, limit=_LIMIT_BYTES))
            position, through_ns, state = content["position"], content["through_ns"], content["state"]
            return Stored(
                str(content["name"]), Cursor(str(position), int(through_ns), dict(state)), int(content["stored_ns"])
            )
        except PathNotFoundError:
            return None
        except (ObjectTooLargeError, ValueError, TypeError, KeyError, RecursionError) as error:
            _log.warning("%s is not a cursor of the journal, whose consumer starts anew: %s", path, error)
            return None
