"""Processes that share a storage: one of them fetches a blob, the others read along, and take over when it is gone."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError, UpstreamFailedError
from registry.storage import paths
from tests.proxy.cache import at_once
from tests.upstreams import faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drivers.base import StorageDriver
    from tests.proxy.conftest import Start
    from tests.upstreams import Registry

CONTENT = random.Random(9).randbytes(6 * 1024 * 1024 + 13)
SLOW = faults.slow(128 * 1024, 0.01)


def ranges(remote: Registry) -> list[str | None]:
    return [each.headers.get("range") for each in remote.asked if each.method == "GET"]


@contextmanager
def process(directory: Path, url: str, digest: Digest) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.proxy.process", str(directory), url, str(digest)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def lines_until(running: subprocess.Popen[str], size: int) -> None:
    """Return when the client of a process has got so many bytes."""
    assert running.stdout
    while int(running.stdout.readline()) < size:
        pass


def last_line(running: subprocess.Popen[str]) -> str:
    output, _ = running.communicate(timeout=120)
    return output.split()[-1]


def test_clients_of_several_processes_have_a_blob_fetched_once(start: Start, remote: Registry) -> None:
    caches = [start() for _ in range(4)]
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(SLOW, method="GET")

    got = at_once(16, lambda number: caches[number % 4].get(digest))

    assert got == [CONTENT] * 16
    assert ranges(remote) == [None]


def test_clients_of_another_process_get_what_has_come(start: Start, remote: Registry) -> None:
    first, second = start(), start()
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.stall(5 * 1024 * 1024), times=1)
    pieces = first.pieces(digest)
    next(pieces)

    got = b""
    follower = second.pieces(digest)
    while len(got) < 4 * 1024 * 1024:
        got += next(follower)

    assert CONTENT.startswith(got)
    assert ranges(remote) == [None]


def test_who_follows_another_process_shows_that_its_repository_has_the_blob(start: Start, remote: Registry) -> None:
    first, second = start(), start()
    digest = remote.put_blob("secret", CONTENT)
    remote.put_blob("shared", CONTENT)
    remote.misbehave(SLOW, method="GET")
    pieces = first.pieces(digest, "secret")
    next(pieces)

    with pytest.raises(BlobUnknownError):
        second.get(digest, "public")
    assert second.get(digest, "shared") == CONTENT

    first.wait_until_idle()
    second.wait_until_idle()
    assert ranges(remote) == [None]
    assert second.local("shared").blobs.has(digest)
    assert not second.local("public").blobs.has(digest)


def test_what_a_process_has_left_is_gone_on_with(start: Start, remote: Registry) -> None:
    first, second = start(), start()
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.short(2_000_000), method="GET", times=1)
    remote.misbehave(faults.status(503), method="GET", times=4)
    with pytest.raises(Exception, match="503"):
        first.get(digest)
    first.close()
    remote.behave()

    assert second.get(digest) == CONTENT

    assert ranges(remote)[-1] == f"bytes={len(CONTENT) - 2_000_000}-"
    second.wait_until_idle()
    assert list(second.driver.walk(paths.FILLS)) == []


def test_a_process_that_is_killed_is_replaced_by_one_that_asks_for_the_rest(tmp_path: Path, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.stall(3 * 1024 * 1024), method="GET", times=1)
    with process(tmp_path, remote.url, digest) as first:
        lines_until(first, 256 * 1024)
        with process(tmp_path, remote.url, digest) as second, process(tmp_path, remote.url, digest) as third:
            lines_until(second, 512 * 1024)

            first.send_signal(signal.SIGKILL)

            assert last_line(second) == "whole"
            assert last_line(third) == "whole"

    assert FilesystemDriver(str(tmp_path)).stat(paths.blob_data(digest)).size == len(CONTENT)
    whole, rest = ranges(remote)
    assert whole is None
    assert str(rest).startswith("bytes=")


def test_a_process_that_stands_still_is_left_behind(start: Start, remote: Registry, tmp_path: Path) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.slow(64 * 1024, 0.02), method="GET", times=1)
    second = start(FilesystemDriver(str(tmp_path)), stalltimeout_seconds=0.3)
    with process(tmp_path, remote.url, digest) as first:
        lines_until(first, 512 * 1024)
        first.send_signal(signal.SIGSTOP)

        assert second.get(digest) == CONTENT

        first.send_signal(signal.SIGCONT)
        assert last_line(first) == "whole"


def test_what_comes_otherwise_meanwhile_is_not_mixed_with_what_clients_have_got(
    start: Start, remote: Registry, medium: StorageDriver
) -> None:
    first, second = start(), start()
    digest = remote.put_blob("a", CONTENT)
    lies = bytes(len(CONTENT))
    remote.misbehave(lambda handler, answer: SLOW(handler, type(answer)(200, lies)), method="GET", times=1)
    follower = second.pieces(digest)
    got = next(first.pieces(digest)) and next(follower)
    assert got == bytes(len(got))

    medium.put(paths.blob_data(digest), CONTENT)

    with pytest.raises(UpstreamFailedError):
        got += b"".join(follower)
    assert Digest.of(b"".join(medium.read(paths.blob_data(digest)))) == digest


def test_what_another_process_has_fetched_for_the_same_repository_needs_no_request(
    start: Start, remote: Registry
) -> None:
    first, second = start(), start()
    digest = remote.put_blob("a", b"small")
    remote.misbehave(faults.slow(1, 0.02), method="GET")

    assert at_once(8, lambda number: (first, second)[number % 2].get(digest)) == [b"small"] * 8

    assert len(remote.asked) == 1
