"""A driver that does independent steps in the order that nobody expects, to prove that they are independent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.inmemory import InMemoryDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import Result


class BackwardsDriver(InMemoryDriver):
    """Does the last of several steps first, and all of them whatever fails, as a store may that does them at a time."""

    def together(self, *steps: Callable[[], Result]) -> list[Result]:
        results: list[Result] = []
        failure: Exception | None = None
        for step in reversed(steps):
            try:
                results.append(step())
            except Exception as error:  # noqa: BLE001  it is raised when all have ended
                failure = error
        if failure:
            raise failure
        return results[::-1]
