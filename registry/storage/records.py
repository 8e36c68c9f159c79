"""What access controllers keep for all hosts of the registry: a small object for each record."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from auth.base import RecordsError
from drivers.base import DriverError, PathExistsError, PathNotFoundError
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

LIMIT_BYTES: Final = 64 * 1024
_AT_ONCE: Final = 100
"""Records whose names are held at a time."""


class StorageRecords:
    """The records in the storage of `driver`, which nobody changes where the registry is `read_only`.

    See auth.base.Records.
    """

    def __init__(self, driver: StorageDriver, *, read_only: bool = False) -> None:
        self._driver = driver
        self._read_only = read_only

    def get(self, name: str) -> bytes | None:
        """Return the content; None if there is no such record."""
        with _told():
            try:
                return self._driver.get(paths.auth_record(name), limit=LIMIT_BYTES)
            except PathNotFoundError:
                return None

    def put(self, name: str, content: bytes) -> None:
        """Write a record, be it new or not."""
        self._require_writable(content)
        with _told():
            self._driver.put(paths.auth_record(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Write a record unless there is one; tell whether it did."""
        self._require_writable(content)
        with _told():
            try:
                self._driver.create(paths.auth_record(name), content)
            except PathExistsError:
                return False
            return True

    def delete(self, name: str) -> bool:
        """Delete a record; tell whether there was one."""
        self._require_writable()
        with _told():
            try:
                self._driver.delete(paths.auth_record(name))
            except PathNotFoundError:
                return False
            return True

    def names(self, below: str) -> Iterator[str]:
        """Yield the names that begin with `below` and a slash."""
        with _told():
            for found in self._driver.walk(paths.auth_record(below)):
                yield found.path.removeprefix(paths.auth_record(""))

    def contents(self, below: str) -> Iterator[tuple[str, bytes]]:
        """Yield what names() does, each with its content."""
        for names in _batched(self.names(below)):
            with _told():
                contents = self._driver.get_each(map(paths.auth_record, names), limit=LIMIT_BYTES)
                for name, content in zip(names, contents, strict=True):
                    if content is not None:
                        yield name, content

    def _require_writable(self, content: bytes = b"") -> None:
        if self._read_only:
            raise RecordsError("this registry is read-only for maintenance: nothing about users can be changed")
        if len(content) > LIMIT_BYTES:
            raise RecordsError(f"a record of {len(content)} bytes is longer than {LIMIT_BYTES}")


def _batched(names: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(names, _AT_ONCE)):
        yield batch


@contextmanager
def _told() -> Iterator[None]:
    """Turn what a driver raises into what a controller does."""
    try:
        yield
    except DriverError as error:
        raise RecordsError(f"the storage does not tell what is known of users: {error}") from error
