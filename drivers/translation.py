"""Errors of what a driver stands on, an SDK or the operating system, turned into those of the contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from types import TracebackType

    from drivers.base import DriverError


class Translation(ABC):
    """A block whose failures are raised as the contract's errors, in one line: driver, call, subject, reason."""

    __slots__ = ("_call", "_subject")

    driver: ClassVar[str]
    failures: ClassVar[tuple[type[BaseException], ...]]
    """The errors that are translated; all others are raised as they are."""

    def __init__(self, call: str, subject: str) -> None:
        self._call = call
        self._subject = subject

    def about(self, subject: str) -> None:
        """Name the subject with which the block goes on."""
        self._subject = subject

    @staticmethod
    @abstractmethod
    def word(error: Any) -> type[DriverError]:
        """Return the contract's error for one of `failures`."""

    @staticmethod
    @abstractmethod
    def text(error: Any) -> str:
        """Return the reason that one of `failures` gives."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and isinstance(error, self.failures):
            text = f"{self.driver}: {self._call} {self._subject}: {self.text(error)}"
            raise self.word(error)(text) from error


def one_line(error: object) -> str:
    """Return what an error says, fit for a log."""
    return " ".join(str(error).split()) or type(error).__name__
