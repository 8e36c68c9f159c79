from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest

from drivers import pending
from drivers.base import DriverError, PathNotFoundError, UploadBusyError
from drivers.pending import Flushes, OpenUpload, PartBuffer, from_byte

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future


class _Store:
    """Takes parts of four bytes, one after the other while its `gate` is open, and refuses what is `bad`."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool = pool
        self.gate = Event()
        self.gate.set()
        self.bad = b""
        self.begun: list[bytes] = []
        self.taken_over: list[bytes] = []
        self.parts = PartBuffer(self._send, self.taken_over.append, lambda: 4, at_once=3)

    def _send(self, content: bytes) -> Future[bytes]:
        return self.pool.submit(self._store, content)

    def _store(self, content: bytes) -> bytes:
        self.begun.append(content)
        assert self.gate.wait(30)
        if content == self.bad:
            raise DriverError("refused")
        return content


@pytest.fixture
def store() -> Iterator[_Store]:
    with ThreadPoolExecutor(1) as pool:
        yield _Store(pool)


def test_pieces_of_any_size_become_parts_of_one_size_and_a_smaller_last_one(store: _Store) -> None:
    for piece in (b"", b"a", b"bcdef", b"ghijk"):
        store.parts.write(piece)
    assert store.parts.unsent() == b"ijk"

    store.parts.settle()

    assert store.taken_over == [b"abcd", b"efgh", b"ijk"]


def test_what_is_not_stored_yet_counts_until_it_is_taken_over(store: _Store) -> None:
    store.gate.clear()
    store.parts.write(b"abcdef")
    assert (store.parts.size, store.parts.count) == (6, 1)

    store.gate.set()
    store.parts.settle()

    assert (store.parts.size, store.parts.count) == (0, 0)


def test_no_more_parts_are_sent_at_a_time_than_allowed(store: _Store) -> None:
    store.parts.write(b"aaaabbbbccccdddd")

    assert store.parts.count == 3
    assert store.taken_over == [b"aaaa"]


def test_the_parts_that_are_stored_are_taken_over_without_waiting_for_others(store: _Store) -> None:
    store.parts.write(b"abcd")
    store.parts.write(b"efghij")
    store.parts.wait(remaining=1)
    store.gate.clear()
    store.parts.write(b"klmn")

    store.parts.take_stored()

    assert store.taken_over[0] == b"abcd"
    assert store.parts.count > 0
    store.gate.set()
    store.parts.settle()
    assert b"".join(store.taken_over) == b"abcdefghijklmn"


def test_a_part_that_failed_is_told_when_those_that_are_stored_are_taken_over(store: _Store) -> None:
    store.bad = b"efgh"
    store.parts.write(b"abcdefghijkl")
    store.gate.set()
    assert store.pool.submit(bytes).result() == b""  # after the parts

    with pytest.raises(DriverError, match="refused"):
        store.parts.take_stored()

    assert store.taken_over == [b"abcd"]
    assert store.parts.size == 0


@pytest.mark.parametrize("start", range(9))
def test_bytes_are_found_in_the_parts_that_have_them(start: int) -> None:
    parts = {"a": b"abc", "none": b"", "d": b"d", "e": b"efg"}

    found = b"".join(parts[name][first:] for name, first in from_byte(((n, len(p)) for n, p in parts.items()), start))

    assert found == b"abcdefg"[start:]


def test_a_flush_is_due_at_once_and_then_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "FLUSH_SECONDS", 3600)
    flushes = Flushes()
    assert [flushes.are_due() for _ in range(3)] == [True, False, False]

    monkeypatch.setattr(pending, "FLUSH_SECONDS", 0)
    flushes = Flushes()
    assert [flushes.are_due() for _ in range(3)] == [True, True, True]


def test_a_part_that_fails_takes_what_came_after_it_out_of_the_upload(store: _Store) -> None:
    store.bad = b"bbbb"
    store.parts.write(b"aaaabbbbccccd")

    with pytest.raises(DriverError, match="refused"):
        store.parts.settle()

    assert store.taken_over == [b"aaaa"]
    assert (store.parts.size, store.parts.unsent()) == (0, b"")
    store.parts.write(b"eeee")
    store.parts.settle()
    assert store.taken_over == [b"aaaa", b"eeee"]


def test_what_is_dropped_before_it_is_begun_is_never_sent(store: _Store) -> None:
    store.gate.clear()
    busy = store.pool.submit(store.gate.wait)
    store.parts.write(b"aaaabbbbc")

    store.parts.drop()
    store.gate.set()

    assert busy.result()
    store.pool.shutdown()
    assert store.begun == store.taken_over == []
    assert store.parts.size == 0


def test_a_writer_of_an_upload_that_has_ended_is_told_so() -> None:
    upload = OpenUpload("s3", "/a/data")
    upload.require("write")

    upload.is_open = False

    with pytest.raises(PathNotFoundError, match=r"^s3: write /a/data: this upload is closed or has ended$"):
        upload.require("write")


@pytest.mark.parametrize(
    ("error", "word"), [(PathNotFoundError("gone"), PathNotFoundError), (DriverError("changed"), UploadBusyError)]
)
def test_a_writer_that_loses_its_upload_is_told_whether_it_ended_or_was_changed(
    error: DriverError, word: type[DriverError]
) -> None:
    lost = OpenUpload("gcs", "/a/data").lost(error)

    assert type(lost) is word
    assert str(lost) == f"gcs: another request has changed or ended the upload /a/data: {error}"
