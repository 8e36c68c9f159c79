"""Dead letters: events that an endpoint has not taken, kept in the storage so that they can be delivered after all."""

from __future__ import annotations

import json
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.journal.entry import Entry, EntryError
from registry.notifications.events import Event, events_of
from registry.storage import paths
from registry.storage.listing import names_below, objects_below
from registry.storage.names import is_dead_letter, is_labelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

_LIMIT_BYTES: Final = 64 * 1024 * 1024
_SLACK: Final = 100
"""A hundredth of the letters goes at once where there are too many."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up after `tries`.

    `endpoint` is the name of who was to be told; `error` says why the last attempt failed, and `status` is what was
    answered to it, "" if nothing. `buried_ns` is when it was given up, in nanoseconds since 1970.
    """

    endpoint: str
    event: Event
    error: str
    status: str
    tries: int
    buried_ns: int

    @property
    def id(self) -> str:
        """The id of the event; no two letters of an endpoint have the same."""
        return self.event.id

    @property
    def path(self) -> str:
        """Where it is kept; those of an endpoint sort by the times of their events."""
        return paths.dead_letter(self.endpoint, self.event.time_ns, self.event.index, self.event.id)

    def encode(self) -> bytes:
        """Return it as JSON."""
        content = {
            "endpoint": self.endpoint,
            "error": self.error,
            "status": self.status,
            "tries": self.tries,
            "buried_ns": self.buried_ns,
            "time_ns": self.event.time_ns,
            "index": self.event.index,
            "entry": json.loads(self.event.entry.encode()),
        }
        return json.dumps(content, separators=(",", ":")).encode()

    @staticmethod
    def decode(content: bytes) -> DeadLetter:
        """Return the letter that `content` is.

        Raises:
            ValueError: it is none.
        """
        try:
            read = json.loads(content)
            entry = Entry.decode(json.dumps(read["entry"]).encode())
            event = next(islice(events_of(entry, int(read["time_ns"])), int(read["index"]), None))
            told = {name: str(read[name]) for name in ("endpoint", "error", "status")}
            return DeadLetter(event=event, tries=int(read["tries"]), buried_ns=int(read["buried_ns"]), **told)
        except (ValueError, TypeError, KeyError, StopIteration, RecursionError, EntryError) as error:
            raise ValueError(f"not a dead letter: {error}") from error


class DeadLetters:
    """The dead letters in the storage of `driver`, at most `most` for an endpoint: beyond that the oldest go.

    Every method raises DriverError if the storage fails; so does every step of an iterator.
    """

    def __init__(self, driver: StorageDriver, most: int) -> None:
        self._driver = driver
        self._most = most
        self._numbers: Counter[str] = Counter()

    def add(self, letter: DeadLetter) -> int:
        """Keep a letter, and return how many others went for it. To keep it again changes nothing."""
        name = letter.endpoint
        if name not in self._numbers:
            self._numbers[name] = self.count(name)
        self._driver.put(letter.path, letter.encode())
        self._numbers[name] += 1
        return self._delete_oldest(name) if self._numbers[name] > self._most else 0

    def endpoints(self) -> Iterator[str]:
        """Yield the name of each endpoint that has letters, whether it is configured or not."""
        for label in names_below(self._driver, paths.DEAD_LETTERS, is_labelled):
            first = next(self._letters_below(paths.below(paths.DEAD_LETTERS, label)), None)
            if first:
                yield first.endpoint

    def of(self, endpoint: str) -> Iterator[DeadLetter]:
        """Yield the letters of an endpoint, the oldest event first; what is not a letter is passed over."""
        return self._letters_below(paths.dead_letters(endpoint))

    def count(self, endpoint: str) -> int:
        """Return how many letters an endpoint has."""
        return sum(1 for _ in objects_below(self._driver, paths.dead_letters(endpoint), is_dead_letter))

    def delete(self, letter: DeadLetter) -> None:
        """Forget a letter; nothing happens if it is gone already."""
        self._forget(letter.path)

    def purge(self, endpoint: str, before_ns: int) -> int:
        """Forget the letters of an endpoint whose events are of a time before `before_ns`; return how many."""
        directory, purged = paths.dead_letters(endpoint), 0
        for name in objects_below(self._driver, directory, is_dead_letter):
            if int(name.partition("-")[0]) >= before_ns:
                break
            purged += self._forget(paths.below(directory, name))
        return purged

    def _letters_below(self, directory: str) -> Iterator[DeadLetter]:
        for name in objects_below(self._driver, directory, is_dead_letter):
            path = paths.below(directory, name)
            try:
                yield DeadLetter.decode(self._driver.get(path, limit=_LIMIT_BYTES))
            except PathNotFoundError:
                continue
            except (ObjectTooLargeError, ValueError) as error:
                _log.warning("%s is passed over: %s", path, error)

    def _forget(self, path: str) -> bool:
        """Delete what lies at `path`; tell whether it was there: others delete, too."""
        with suppress(PathNotFoundError):
            self._driver.delete(path)
            return True
        return False

    def _delete_oldest(self, endpoint: str) -> int:
        """Delete what is too much by a fresh count, as others delete, too; and a bit more, so that this is rare.

        Return how many letters that were.
        """
        directory, number = paths.dead_letters(endpoint), self.count(endpoint)
        deleted = 0
        if number > self._most:
            kept = self._most - self._most // _SLACK
            for name in list(islice(objects_below(self._driver, directory, is_dead_letter), number - kept)):
                deleted += self._forget(paths.below(directory, name))
                number -= 1
        self._numbers[endpoint] = number
        return deleted
