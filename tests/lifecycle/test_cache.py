from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, Found
from drivers.delegating import DelegatingDriver
from drivers.inmemory import InMemoryDriver
from registry.lifecycle.cache import Cache
from registry.lifecycle.findings import Findings, Policy
from registry.lifecycle.scan import scan
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.repository import Repositories
from tests.archive.images import blob, fill, image
from tests.drivers.failing import FailingDriver
from tests.lifecycle.test_garbage import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from drivers.base import StorageDriver

DAY = 24 * 3600.0


class Reading(DelegatingDriver):
    """Notes what is read. The versions that it gives are those of a medium whose clock stands still."""

    def __init__(self, inner: StorageDriver) -> None:
        super().__init__(inner)
        self.read_paths: list[str] = []
        self.versions: dict[str, str] = {}

    def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        wanted = list(paths)
        self.read_paths += wanted
        return super().get_each(wanted, limit=limit)

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        for found in super().walk(path, leaf_in=leaf_in):
            yield Found(found.path, found.size, found.modified, self.versions.get(found.path, found.version))


@pytest.fixture
def storage() -> Reading:
    driver = Reading(InMemoryDriver())
    fill(Repositories(driver).open("team/app"), layer_bytes=60)
    other = Repositories(driver).open("other")
    other.tags.point(Tag("v1"), digest_of(image(other, blob(other, b"of other"))))
    return driver


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


def found(
    storage: Reading, directory: Path | str, *, cutoff: float = DAY, identity: str = "a bucket"
) -> list[tuple[str, str]]:
    """Scan, and return what may go of the links; what was read is in `storage.read_paths`."""
    storage.read_paths.clear()
    cache = Cache(str(directory), identity)
    with Findings() as findings:
        scan(storage, findings, Policy(time.time() + cutoff, lambda _: time.time() + DAY), cache=cache)
        return [(name, str(link.digest)) for name, links in findings.condemnable() for link in links]


def test_a_second_scan_reads_nothing_that_the_first_has_read(storage: Reading, directory: Path) -> None:
    assert found(storage, directory) == []
    assert len(storage.read_paths) == 6 + 3  # manifests and tags

    assert found(storage, directory) == []
    assert storage.read_paths == []


def test_what_has_come_or_changed_since_is_read(storage: Reading, directory: Path) -> None:
    found(storage, directory)
    other = Repositories(storage).open("other")
    former = other.tags.resolve(Tag("v1"))
    new = digest_of(image(other, blob(other, b"another")))
    other.tags.point(Tag("v1"), new)

    assert ("other", str(former)) in found(storage, directory)
    assert storage.read_paths == [paths.tag_link("other", "v1"), paths.blob_data(new)]


def test_what_has_gone_is_forgotten(storage: Reading, directory: Path) -> None:
    found(storage, directory)
    both = {path: path.stat().st_size for path in directory.iterdir()}
    Repositories(storage).open("team/app").delete()

    found(storage, directory)

    assert all(path.stat().st_size < both[path] for path in both if path.name != "lock")


def test_a_manifest_whose_bytes_have_gone_keeps_all_of_its_repository_whatever_is_remembered(
    storage: Reading, directory: Path
) -> None:
    other = Repositories(storage).open("other")
    loose = ("other", str(digest_of(blob(other, b"loose"))))
    assert loose in found(storage, directory)
    storage.delete(paths.blob_data(other.tags.resolve(Tag("v1"))))

    with_cache = found(storage, directory)

    assert with_cache == found(storage, "")
    assert loose not in with_cache


def test_a_tag_that_was_written_a_moment_ago_is_read_again(storage: Reading, directory: Path) -> None:
    """A file system may give the same version to what is written twice within a second."""
    other = Repositories(storage).open("other")
    former = other.tags.resolve(Tag("v1"))
    storage.versions[paths.tag_link("other", "v1")] = "the same"
    found(storage, directory, cutoff=0)

    other.tags.point(Tag("v1"), digest_of(image(other, blob(other, b"another"))))
    storage.versions[paths.tag_link("other", "v1")] = "the same"

    assert ("other", str(former)) in found(storage, directory)


@pytest.mark.parametrize("name", ["manifests", "tags"])
def test_no_byte_of_a_damaged_cache_is_believed(storage: Reading, directory: Path, name: str) -> None:
    Repositories(storage).open("other").tags.delete(Tag("v1"))
    expected = found(storage, directory)
    content = (directory / name).read_bytes()
    damaged = [content[:end] for end in range(0, len(content), 17)]
    for position in range(0, len(content), 5):
        torn = bytearray(content)
        torn[position] ^= 0x41
        damaged.append(bytes(torn))
    for each in damaged:
        (directory / name).write_bytes(each)

        assert found(storage, directory) == expected
        assert storage.read_paths != []
        assert (directory / name).read_bytes() == content


def test_the_cache_of_another_storage_is_not_believed(storage: Reading, directory: Path) -> None:
    found(storage, directory, identity="another bucket")

    found(storage, directory)

    assert len(storage.read_paths) == 6 + 3


def test_of_two_scans_at_a_time_the_second_one_reads_everything_and_spoils_nothing(
    storage: Reading, directory: Path
) -> None:
    found(storage, directory)
    before = (directory / "tags").read_bytes()

    with Cache(str(directory), "a bucket"):
        assert found(storage, directory) == []
        assert len(storage.read_paths) == 6 + 3
        assert (directory / "tags").read_bytes() == before

    assert sorted(path.name for path in directory.iterdir()) == ["lock", "manifests", "tags"]


def test_a_scan_that_breaks_off_leaves_what_was_remembered(storage: Reading, directory: Path) -> None:
    found(storage, directory)
    before = (directory / "manifests").read_bytes()
    other = Repositories(storage).open("other")
    other.tags.point(Tag("v1"), digest_of(image(other, blob(other, b"another"))))
    dry_run = FailingDriver(storage, fail_at=0)
    with Findings() as findings:
        scan(dry_run, findings, Policy(0), cache=Cache(str(directory), "a bucket"))
    (directory / "manifests").write_bytes(before)

    broken = FailingDriver(storage, fail_at=dry_run.calls)
    with Findings() as findings, pytest.raises(DriverError):
        scan(broken, findings, Policy(0), cache=Cache(str(directory), "a bucket"))

    assert (directory / "manifests").read_bytes() == before
    assert sorted(path.name for path in directory.iterdir()) == ["lock", "manifests", "tags"]


def test_a_directory_that_cannot_be_used_is_a_line_in_the_log(
    storage: Reading, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    with caplog.at_level(logging.WARNING):
        assert found(storage, tmp_path / "file") == []

    [line] = caplog.messages
    assert line.startswith("the garbage collection cannot use what it has read before: ")
    assert str(tmp_path / "file") in line
