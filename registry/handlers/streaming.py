"""Content on its way from a storage to a client, watched: part of it must not be taken for all of it."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from flask import request

from drivers.base import DriverError
from registry.oci.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


class Content(Iterator[bytes]):
    """The pieces of an object, or of a range of it, that have `length` bytes together.

    The first piece is read at once: what is wrong with the storage is most often wrong from the beginning, and can
    still be answered then. Later on, and if there are fewer bytes, nothing is left but to end the connection.
    """

    def __init__(self, pieces: Iterator[bytes], length: int) -> None:
        """Begin to read `pieces`.

        Raises:
            DriverError: the storage cannot be read, or has nothing.
            UpstreamError: the content comes from another registry, which does not give it.
        """
        self._pieces = pieces
        self._left = length
        self._asked_for = f"{request.method} {request.path}"
        try:
            self._first = next(pieces, b"")
        except BaseException:
            self.close()
            raise
        if not self._first:
            self.close()
            raise DriverError(f"{self._asked_for}: {_too_few(length)}")

    def __next__(self) -> bytes:
        piece, self._first = self._first, b""
        try:
            piece = piece or next(self._pieces)
        except (DriverError, RegistryError) as error:
            self._break_off(str(error))
        except StopIteration:
            if self._left > 0:
                self._break_off(_too_few(self._left))
            raise
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Close the object."""
        close: Callable[[], object] | None = getattr(self._pieces, "close", None)
        if close:
            close()

    def _break_off(self, reason: str) -> NoReturn:
        """Tell the log, and have the server end the connection as if the client had: there is nothing to answer."""
        _log.error("%s broke off: %s", self._asked_for, reason)
        raise ConnectionAbortedError(errno.ECONNABORTED, reason)


def _too_few(missing: int) -> str:
    return f"the object ends {missing} bytes too early"
