"""A driver between whose calls something else happens, to prove that two requests at a time leave no mess."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver


class InterleavingDriver(FailingDriver):
    """Passes all calls on to `inner`; right before the `moment`-th, it does `other` once, whole."""

    def __init__(self, inner: StorageDriver, moment: int, other: Callable[[], object]) -> None:
        super().__init__(inner, fail_at=0)
        self._moment = moment
        self._other = other

    def count(self) -> None:
        super().count()
        if self.calls == self._moment:
            self._other()
