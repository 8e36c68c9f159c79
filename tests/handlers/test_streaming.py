"""A storage that fails in the middle of a download."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from drivers.base import PIECE_SIZE, DriverError, UnavailableError
from drivers.delegating import DelegatingDriver
from drivers.inmemory import InMemoryDriver
from tests.handlers.pushing import error_of, push_blob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Serve

CONTENT = b"a" * PIECE_SIZE + b"b" * PIECE_SIZE + b"the end"


class _BreakingDriver(DelegatingDriver):
    """Gives `pieces` pieces of each object, then raises `error`, or ends where there is none."""

    def __init__(self, pieces: int, error: DriverError | None) -> None:
        super().__init__(InMemoryDriver())
        self._pieces = pieces
        self._error = error
        self.open = 0

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        return self._broken(super().read(path, start, stop))

    def _broken(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        self.open += 1
        try:
            for _ in range(self._pieces):
                yield next(pieces)
            if self._error:
                raise self._error
        finally:
            self.open -= 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnavailableError("s3: GetObject: Read timeout"), (503, "UNAVAILABLE")),
        (DriverError("filesystem: read: Permission denied"), (500, "UNKNOWN")),
        (None, (500, "UNKNOWN")),
    ],
)
def test_a_storage_that_fails_before_the_first_byte_is_answered_as_an_error(
    serve: Serve, caplog: pytest.LogCaptureFixture, error: DriverError | None, expected: tuple[int, str]
) -> None:
    driver = _BreakingDriver(0, error)
    client = serve(driver)
    digest = push_blob(client, "a", CONTENT)

    with client.get(f"/v2/a/blobs/{digest}") as response:
        assert error_of(response) == expected
        assert ("Retry-After" in response.headers) == (expected[0] == 503)

    (record,) = (each for each in caplog.records if each.levelno >= logging.ERROR)
    assert record.exc_info is None
    assert driver.open == 0


@pytest.mark.parametrize("error", [UnavailableError("s3: GetObject: Connection reset"), None])
def test_a_storage_that_fails_later_ends_the_connection_and_is_logged_in_one_line(
    serve: Serve, caplog: pytest.LogCaptureFixture, error: DriverError | None
) -> None:
    driver = _BreakingDriver(2, error)
    client = serve(driver)
    digest = push_blob(client, "a", CONTENT)

    with closing(client.get(f"/v2/a/blobs/{digest}", buffered=False)) as response:
        assert response.status_code == 200
        received = b""
        with pytest.raises(ConnectionAbortedError):  # noqa: PT012  all pieces before are received
            for piece in response.iter_encoded():
                received += piece
    assert received == CONTENT[: 2 * PIECE_SIZE]

    (record,) = (each for each in caplog.records if each.levelno >= logging.ERROR)
    assert record.exc_info is None
    assert f"/v2/a/blobs/{digest} broke off: " in record.getMessage()
    assert (str(error) if error else "the object ends 7 bytes too early") in record.getMessage()
    assert driver.open == 0


def test_a_client_that_goes_closes_the_object(serve: Serve) -> None:
    driver = _BreakingDriver(2, None)
    client = serve(driver)
    digest = push_blob(client, "a", CONTENT)

    client.get(f"/v2/a/blobs/{digest}", buffered=False).close()

    assert driver.open == 0
