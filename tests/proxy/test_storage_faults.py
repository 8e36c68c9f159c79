"""A storage that cannot keep what is fetched: clients get it nevertheless."""

from __future__ import annotations

import errno
import os
import random
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, NoSpaceError, NotWritableError, Writer
from drivers.delegating import DelegatingDriver
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError, UpstreamFailedError
from registry.ports import Blob
from registry.storage import paths
from tests.content import ABSENT
from tests.drivers.failing import FailingDriver
from tests.proxy.cache import Cache, at_once
from tests.proxy.test_broken_upstreams import got_before_the_break
from tests.upstreams import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from drivers.inmemory import InMemoryDriver
    from tests.proxy.conftest import Start
    from tests.upstreams import Registry

CONTENT = random.Random(11).randbytes(3 * 1024 * 1024 + 17)


class FullWriter(Writer):
    def __init__(self, inner: Writer, room: int) -> None:
        self._inner = inner
        self._room = room

    @property
    def size(self) -> int:
        return self._inner.size

    def write(self, piece: bytes) -> None:
        if self.size + len(piece) > self._room:
            raise NoSpaceError("full")
        self._inner.write(piece)

    def content(self) -> Iterator[bytes]:
        return self._inner.content()

    def commit(self, destination: str) -> None:
        self._inner.commit(destination)

    def cancel(self) -> None:
        self._inner.cancel()

    def close(self) -> None:
        self._inner.close()


class Full(DelegatingDriver):
    """A medium on which an upload may have so many bytes."""

    def __init__(self, inner: StorageDriver, room: int) -> None:
        super().__init__(inner)
        self.room = room

    def open_upload(self, path: str) -> Writer:
        return FullWriter(super().open_upload(path), self.room)


class Unwritable(DelegatingDriver):
    """A medium that takes nothing."""

    def start_upload(self, path: str, objects: object) -> None:
        del objects
        raise NotWritableError(f"{path} cannot be written")


@pytest.mark.parametrize("room", [0, 1024 * 1024, len(CONTENT) - 1])
def test_on_a_full_disk_clients_get_the_blob_without_its_being_kept(
    start: Start, remote: Registry, medium: StorageDriver, room: int
) -> None:
    full = Full(medium, room)
    cache = start(full)
    digest = remote.put_blob("a", CONTENT)

    assert at_once(4, lambda _: cache.get(digest)) == [CONTENT] * 4
    assert cache.get(digest, start=1_000_000, stop=1_000_100) == CONTENT[1_000_000:1_000_100]

    cache.wait_until_idle()
    assert not cache.local().blobs.has(digest)
    assert list(medium.walk(paths.FILLS)) == [], "the bytes that were kept take no room"


@pytest.mark.parametrize("room", [len(CONTENT), 2 * 1024 * 1024])
def test_who_reads_along_with_a_process_that_runs_out_of_room_goes_on_where_it_was(
    start: Start, remote: Registry, medium: StorageDriver, room: int
) -> None:
    first, second = start(Full(medium, 2 * 1024 * 1024)), start(Full(medium, room))
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.slow(64 * 1024, 0.02), method="GET", times=1)
    begun = first.pieces(digest)
    got = [next(begun)]
    follower = second.pieces(digest)
    followed = [next(follower)]

    assert b"".join([*followed, *follower]) == CONTENT
    assert b"".join([*got, *begun]) == CONTENT
    second.wait_until_idle()
    assert second.local().blobs.has(digest) == (room == len(CONTENT))


def test_on_a_full_disk_nobody_gets_a_whole_blob_that_is_wrong(
    start: Start, remote: Registry, medium: StorageDriver
) -> None:
    cache = start(Full(medium, 1024 * 1024))
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.wrong)

    assert len(got_before_the_break(cache, digest)) < len(CONTENT)
    assert len(got_before_the_break(cache, digest)) < len(CONTENT)


def test_a_disk_that_has_room_again_is_used_after_a_while(
    start: Start, remote: Registry, medium: StorageDriver
) -> None:
    full = Full(medium, 0)
    cache = start(full)
    digest = remote.put_blob("a", CONTENT)
    cache.get(digest)
    cache.wait_until_idle()
    full.room = 2 * len(CONTENT)

    cache.fills._keeps_nothing_until = 0
    assert cache.get(digest) == CONTENT

    cache.wait_until_idle()
    assert cache.local().blobs.has(digest)


def test_where_nothing_can_be_written_clients_get_the_blob(
    start: Start, remote: Registry, medium: StorageDriver
) -> None:
    cache = start(Unwritable(medium))
    digest = remote.put_blob("a", CONTENT)

    assert cache.get(digest) == CONTENT
    with pytest.raises(BlobUnknownError):
        cache.get(ABSENT)


def test_a_registry_that_is_read_only_gives_what_it_does_not_have(remote: Registry, driver: InMemoryDriver) -> None:
    cache = Cache(driver, remote.url, read_only=True)
    digest = remote.put_blob("a", CONTENT)

    assert cache.get(digest) == CONTENT
    assert cache.get(digest, start=5, stop=9) == CONTENT[5:9]
    driver.put(paths.blob_data(digest), CONTENT)
    assert cache.get(digest) == CONTENT

    assert remote.count("GET") == 2
    assert cache.meter.sums["blob bytes pulled"] == len(CONTENT) + 4
    assert [found.path for found in driver.walk("/docker")] == [paths.blob_data(digest)]
    cache.close()


def test_what_is_told_to_be_empty_is_not_given_without_its_being_looked_at(
    remote: Registry, driver: InMemoryDriver
) -> None:
    cache = Cache(driver, remote.url, read_only=True)
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.empty)

    with pytest.raises(UpstreamFailedError):
        cache.get(digest)
    with pytest.raises(UpstreamFailedError):
        cache.blobs().describe(digest)
    cache.close()


def test_without_room_for_a_temporary_file_clients_get_the_blob(
    remote: Registry, driver: InMemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)  # no file system of this machine is full
    cache = Cache(driver, remote.url)
    digest = remote.put_blob("a", CONTENT)

    assert cache.get(digest) == CONTENT
    cache.close()


def test_at_whatever_call_the_storage_fails_nothing_wrong_is_given_or_kept(
    remote: Registry, medium: StorageDriver
) -> None:
    digest = remote.put_blob("a", CONTENT)
    number = 0
    while True:
        number += 1
        with suppress(DriverError):
            medium.delete("/docker")
        with suppress(DriverError):
            medium.delete("/registry")
        failing = FailingDriver(medium, fail_at=number)
        cache = Cache(failing, remote.url)
        try:
            assert cache.get(digest) == CONTENT
        except DriverError:
            assert failing.power_is_gone
        cache.close()
        cache.wait_until_idle()
        after = Cache(medium, remote.url)
        assert after.get(digest) == CONTENT
        after.wait_until_idle()
        assert after.local().blobs.stat(digest) == Blob(digest, digest, len(CONTENT))
        assert Digest.of(b"".join(medium.read(paths.blob_data(digest)))) == digest
        after.close()
        if not failing.power_is_gone:
            break
    assert number > 8


def test_without_a_directory_for_temporary_files_clients_get_the_blob(
    remote: Registry, driver: InMemoryDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/none"])
    monkeypatch.setattr(tempfile, "tempdir", None)
    cache = Cache(driver, remote.url)
    digest = remote.put_blob("a", CONTENT)

    assert cache.get(digest) == CONTENT

    cache.wait_until_idle()
    assert "cannot be kept in TMPDIR" in caplog.text
    assert "Traceback" not in caplog.text
    cache.close()
