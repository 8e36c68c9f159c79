"""The suite that every driver passes whose uploads others read along with: flush() and read_upload().

It is a part of tests/drivers/conformance.py, whose fixtures it uses.
"""

from __future__ import annotations

import random
from contextlib import closing, suppress
from typing import TYPE_CHECKING, ClassVar

import pytest

from drivers import pending
from drivers.base import PIECE_SIZE, DriverError, PathNotFoundError, UploadBusyError

if TYPE_CHECKING:
    from drivers.base import StorageDriver, Writer
    from tests.drivers.conformance import Medium

_UPLOAD = "/docker/uploads/1/data"
_BLOB = "/docker/blobs/1/data"
_PIECES = [
    random.Random(f"piece {number}").randbytes(size)
    for number, size in enumerate([1, PIECE_SIZE, 5, 1000, *[PIECE_SIZE] * 20, 77])
]
_WHOLE = b"".join(_PIECES)


class ReadingAlongConformance:
    """Subclass it with the fixtures `driver`, `colleague`, `impatient` and `medium`."""

    reads_along: ClassVar[bool] = True
    """Whether the medium can show bytes of an upload."""

    @pytest.fixture(autouse=True)
    def _each_flush_tells_the_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pending, "FLUSH_SECONDS", 0)  # the next time would come after the last piece

    def test_others_read_along_with_a_writer(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        driver.create_upload(_UPLOAD)
        read = b""

        with driver.open_upload(_UPLOAD) as writer:
            for piece in _PIECES:
                writer.write(piece)
                writer.flush()
                read += b"".join(colleague.read_upload(_UPLOAD, len(read)))
                assert _WHOLE[: writer.size].startswith(read)
            while self.reads_along and not read:  # the first part is being sent
                writer.flush()
                read += b"".join(colleague.read_upload(_UPLOAD))
            assert _WHOLE.startswith(read)
            writer.commit(_BLOB)

        assert medium.content(_BLOB) == _WHOLE
        assert medium.everything() == {_BLOB}

    def test_all_that_was_closed_is_read_from_any_byte_on(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        driver.create_upload(_UPLOAD)
        assert list(colleague.read_upload(_UPLOAD)) == []
        for first in range(0, len(_PIECES), 9):
            with driver.open_upload(_UPLOAD) as writer:
                for piece in _PIECES[first : first + 9]:
                    writer.write(piece)
                    writer.flush()

        expected = _WHOLE if self.reads_along else b""
        for start in (0, 1, PIECE_SIZE, PIECE_SIZE + 7, len(_WHOLE) - 78, len(_WHOLE), len(_WHOLE) + 99):
            pieces = list(colleague.read_upload(_UPLOAD, start))
            assert b"".join(pieces) == expected[start:]
            assert max(map(len, pieces), default=0) <= PIECE_SIZE

        driver.delete("/docker/uploads/1")

    @pytest.mark.parametrize("taken", [0, 1])
    def test_who_reads_along_may_stop_early(self, driver: StorageDriver, taken: int) -> None:
        driver.create_upload(_UPLOAD)
        with driver.open_upload(_UPLOAD) as writer:
            write(writer, _PIECES)

        pieces = driver.read_upload(_UPLOAD)
        for _ in range(taken):
            next(pieces, None)
        if close := getattr(pieces, "close", None):
            close()

        driver.delete("/docker/uploads/1")

    def test_an_upload_that_is_missing_cannot_be_read(self, driver: StorageDriver, medium: Medium) -> None:
        with pytest.raises(PathNotFoundError):
            driver.read_upload(_UPLOAD)  # at once, before the first piece is asked for
        driver.create_upload(_UPLOAD)
        with driver.open_upload(_UPLOAD) as writer:
            writer.write(b"x")
            writer.flush()
            writer.cancel()

        with pytest.raises(PathNotFoundError):
            driver.read_upload(_UPLOAD, 1)
        assert medium.everything() == set()

    def test_an_upload_that_ends_while_it_is_read_gives_its_own_bytes_or_none(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        driver.create_upload(_UPLOAD)
        with driver.open_upload(_UPLOAD) as writer:
            write(writer, _PIECES)
            pieces = colleague.read_upload(_UPLOAD)
            read = next(pieces, b"")
            writer.commit(_BLOB)
        driver.create_upload(_UPLOAD)
        with driver.open_upload(_UPLOAD) as writer:
            writer.write(b"other" * PIECE_SIZE)

        with suppress(PathNotFoundError):
            for piece in pieces:
                read += piece

        assert _WHOLE.startswith(read)
        driver.delete("/docker/uploads/1")
        driver.delete(_BLOB)

    def test_flushing_changes_nothing_of_what_is_published(self, driver: StorageDriver, medium: Medium) -> None:
        driver.create_upload(_UPLOAD)
        for pieces in (_PIECES[:5], _PIECES[5:6], _PIECES[6:], []):
            with driver.open_upload(_UPLOAD) as writer:
                writer.flush()
                write(writer, pieces)
                writer.flush()

        assert driver.upload_size(_UPLOAD) == len(_WHOLE)
        with driver.open_upload(_UPLOAD) as writer:
            assert b"".join(writer.content()) == _WHOLE
            writer.commit(_BLOB)

        assert medium.content(_BLOB) == _WHOLE
        assert medium.everything() == {_BLOB}

    def test_the_upload_of_a_writer_that_was_never_closed_goes_on_from_what_is_stored(
        self, driver: StorageDriver, impatient: StorageDriver, medium: Medium
    ) -> None:
        driver.create_upload(_UPLOAD)
        left = driver.open_upload(_UPLOAD)
        write(left, _PIECES)
        while self.reads_along and not [*driver.read_upload(_UPLOAD)]:
            left.flush()

        with suppress(DriverError), closing(impatient.open_upload(_UPLOAD)) as writer:
            start = writer.size
            for first in range(start, len(_WHOLE), PIECE_SIZE):
                writer.write(_WHOLE[first : first + PIECE_SIZE])
                writer.flush()
            writer.commit(_BLOB)
            assert medium.content(_BLOB) == _WHOLE

        with suppress(DriverError):
            left.close()
        with suppress(PathNotFoundError):
            driver.delete("/docker/uploads/1")
        assert medium.everything() <= {_BLOB}

    def test_a_writer_that_another_has_taken_over_from_takes_nothing_from_that_one(
        self, driver: StorageDriver, impatient: StorageDriver, medium: Medium
    ) -> None:
        begun, rest = _PIECES[:9], _PIECES[9:15]
        whole = b"".join([*begun, *rest])
        driver.create_upload(_UPLOAD)
        left = driver.open_upload(_UPLOAD)
        write(left, begun)
        while self.reads_along and not [*driver.read_upload(_UPLOAD)]:
            left.flush()

        with suppress(UploadBusyError), closing(impatient.open_upload(_UPLOAD)) as writer:
            for first in range(writer.size, len(whole), PIECE_SIZE):
                writer.write(whole[first : first + PIECE_SIZE])
            while not [*driver.read_upload(_UPLOAD, len(b"".join(begun)))]:
                writer.flush()
            with pytest.raises(UploadBusyError):
                write_and_close(left, rest)
            assert b"".join(writer.content()) == whole
            writer.commit(_BLOB)
            assert medium.content(_BLOB) == whole

        with suppress(DriverError):
            left.close()
        with suppress(PathNotFoundError):
            driver.delete("/docker/uploads/1")
        assert medium.everything() <= {_BLOB}


def write(writer: Writer, pieces: list[bytes]) -> None:
    """Write `pieces` for others to read along."""
    for piece in pieces:
        writer.write(piece)
        writer.flush()


def write_and_close(writer: Writer, pieces: list[bytes]) -> None:
    """Write `pieces` for others to read along, and keep the upload."""
    write(writer, pieces)
    writer.close()
