"""How many events wait for an endpoint in the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.notifications.events import number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.journal.reader import Reader
    from registry.notifications.consumers import EndpointConsumer

_PAGE: Final = 100
"""Entries that are looked at before it is asked whether to go on."""


class Backlog:
    """The events that `consumer` wants behind `position`, and from then on behind what it takes.

    An entry is looked at once, when it is counted, however long it waits: only what was taken is told, not where.
    """

    def __init__(self, reader: Reader, consumer: EndpointConsumer, position: str) -> None:
        self._reader = reader
        self._consumer = consumer
        self._position = position
        self._number = 0
        """Less than 0 if more was taken than was counted."""

    @property
    def certain(self) -> int:
        """How many events wait at least; after the count had time enough that is all of them."""
        return max(0, self._number)

    def take(self, number: int) -> None:
        """Note that so many of the next events no longer wait."""
        self._number -= number

    def count(self, *, goes_on: Callable[[], bool]) -> bool:
        """Count what has come, for as long as `goes_on` says; tell whether all of it was counted.

        Raises:
            DriverError: the journal cannot be read.
        """
        while goes_on():
            page = self._reader.page(self._position, limit=_PAGE)
            self._position = page.position
            self._number += sum(
                number_of(each.entry) for each in page.entries if self._consumer.wants_entry(each.entry)
            )
            if not page.full:
                return True
        return False

    def about(self) -> int:
        """Return how many events wait, where what was not counted yet counts as if each entry was wanted.

        Raises:
            DriverError: the journal cannot be read.
        """
        return max(0, self._number + self._reader.waiting(self._position))
