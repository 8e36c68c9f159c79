"""Errors of what a driver stands on, an SDK or the operating system, turned into those of the contract."""

from __future__ import annotations

import errno
import os
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from drivers.base import DriverError, NoSpaceError, NotPermittedError, NotWritableError, UnavailableError
from registry.foundation.circuit import CircuitOpenError

if TYPE_CHECKING:
    from types import TracebackType

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PASSING: Final = frozenset(
    {
        # A disk or a file server that does not answer, or answers with an error.
        errno.EIO,
        errno.EREMOTEIO,
        errno.ENXIO,
        errno.ENODEV,
        errno.ENOTCONN,
        errno.ESTALE,
        errno.ESHUTDOWN,
        errno.ETIMEDOUT,
        errno.ETIME,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.EPROTO,
        errno.ECOMM,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        # What this machine has no more of: descriptors, memory, locks.
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.ENOLCK,
        errno.EAGAIN,
        errno.EBUSY,
        errno.EINTR,
    }
)
NOT_PERMITTED: Final = frozenset({errno.EACCES, errno.EPERM})
"""The operating system's errors where an owner, a mode or a rule of SELinux forbids it."""
CHECK_RIGHTS: Final = "check what these credentials may do"
_READING: Final = re.compile(r"get|read|stat|list|use|sign|open$|Get|Head|List")
"""How calls begin that only read."""
_LONGEST_REASON: Final = 200


class Translation(ABC):
    """A block whose failures are raised as the contract's errors, in one line: driver, call, subject, reason."""

    __slots__ = ("_call", "_subject")

    driver: ClassVar[str]
    failures: ClassVar[tuple[type[Exception], ...]]
    """The errors that are translated; all others, and those that are the contract's already, are raised as they are."""
    advice: ClassVar[str] = ""
    """What to do where something is not permitted, if the text does not say it."""

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

    @classmethod
    def reason(cls, error: Any) -> str:
        """Return the text of one of `failures`, with the advice behind it if that is what helps."""
        text = cls.text(error)
        return f"{text}; {cls.advice}" if cls.advice and cls.word(error) is NotPermittedError else text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        if isinstance(error, CircuitOpenError):
            raise self._not_asked(error) from error
        if isinstance(error, self.failures) and not isinstance(error, DriverError):
            # A variable of this frame that held it would be a cycle, and keep a socket, say, until the next collection.
            raise self._translated(error) from error

    def _not_asked(self, error: CircuitOpenError) -> UnavailableError:
        refused = UnavailableError(f"{self.driver}: {self._call} {self._subject}: {error}")
        refused.call, refused.subject, refused.retry_seconds = self._call, self._subject, error.retry_seconds
        return refused

    def _translated(self, error: Exception) -> DriverError:
        word = self.word(error)
        if not _READING.match(self._call):
            word = writing(word)
        translated = word(f"{self.driver}: {self._call} {self._subject}: {self.reason(error)}")
        translated.call, translated.subject = self._call, self._subject
        return translated


def writing(word: type[DriverError]) -> type[DriverError]:
    """Return the contract's error for a call that writes, given the error for any call."""
    return NotWritableError if word is NotPermittedError else word


def word_of(error: OSError) -> type[DriverError]:
    """Return the contract's error for what the operating system says of a file, whatever file it is.

    What stays wrong until somebody changes something, and is none of these, is a DriverError.
    """
    if error.errno in _FULL:
        return NoSpaceError
    if error.errno == errno.EROFS:
        return NotWritableError
    if error.errno in NOT_PERMITTED:
        return NotPermittedError
    return UnavailableError if error.errno in _PASSING else DriverError


def reason_of(error: OSError) -> str:
    """Return what the operating system says, in one line; who may not do it, if it is not permitted."""
    reason = error.strerror or one_line(error)
    return f"{reason} for user {os.geteuid()}" if error.errno in NOT_PERMITTED else reason


def foreign(error: Exception) -> str:
    """Return the reason where an SDK trips over an answer: it is a proxy's, say, or has no header that it must have."""
    return f"an answer that cannot be understood: {one_line(repr(error))[:_LONGEST_REASON]}"


def one_line(error: object) -> str:
    """Return what an error says, fit for a log."""
    return " ".join(str(error).split()) or type(error).__name__
