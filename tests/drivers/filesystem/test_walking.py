"""What a walk makes of a tree in which other programs have been, and what deleting many files costs."""

from __future__ import annotations

import errno
import os
import tracemalloc
from pathlib import Path

import pytest

from drivers.base import DriverError, NotPermittedError, NotWritableError, StorageDriver
from drivers.filesystem import deleting
from drivers.filesystem.driver import FilesystemDriver
from tests.drivers.conformance import BLOB, LIMIT, ROOT
from tests.drivers.filesystem.test_driver import open_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def driver(root: Path) -> FilesystemDriver:
    return FilesystemDriver(str(root), lock_seconds=0.1)


def walked(driver: StorageDriver, path: str = ROOT) -> list[str]:
    return sorted(each.path for each in driver.walk(path))


def test_what_other_programs_left_under_names_that_no_object_has_is_passed_over(
    driver: FilesystemDriver, root: Path
) -> None:
    driver.put(BLOB, b"x")
    directory = Path(f"{root}{ROOT}")
    for name in (b"with space", b"\xff\xfe", "\u00e4".encode(), b".hidden", b"a:b", b"new\nline"):
        Path(os.fsdecode(bytes(directory) + b"/" + name)).touch()
        below = Path(os.fsdecode(bytes(directory) + b"/" + name + b".d"))
        below.mkdir()
        (below / "object").touch()
    (directory / "lost+found").mkdir()
    (directory / "empty").mkdir()
    os.mkfifo(directory / "fifo")

    assert walked(driver) == [BLOB]


def test_a_directory_is_not_read_whose_only_file_is_known_by_name(
    driver: FilesystemDriver, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("a/1/link", "a/2/link", "a/3/other", "b/1/link"):
        driver.put(f"{ROOT}/{path}", b"x")
    Path(f"{root}{ROOT}/a/4").symlink_to("2")
    read: list[str] = []
    scandir = os.scandir

    def read_directory(name: str) -> object:
        read.append(name.removeprefix(f"{root}{ROOT}"))
        return scandir(name)

    monkeypatch.setattr(os, "scandir", read_directory)
    found = {
        each.path.removeprefix(ROOT)
        for each in driver.walk(ROOT, leaf_in=lambda path: {f"{ROOT}/a": "link"}.get(path, ""))
    }

    assert found == {"/a/1/link", "/a/2/link", "/a/3/other", "/a/4/link", "/b/1/link"}
    assert sorted(read) == ["", "/a", "/a/3", "/a/4", "/b", "/b/1"]


def test_links_are_followed_but_not_upwards(driver: FilesystemDriver, root: Path, tmp_path: Path) -> None:
    driver.put(f"{ROOT}/a/b/object", b"12345")
    other = tmp_path / "other"
    other.mkdir()
    (other / "object").write_bytes(b"123")
    directory = Path(f"{root}{ROOT}/a")
    targets = [("to-directory", "."), ("to-file", "object"), ("to-nothing", "nothing")]
    for name, target in [(name, f"{other}/{target}") for name, target in targets] + [
        ("to-itself", "to-itself"),
        ("to-parent", ".."),
        ("to-here", "."),
        ("to-root", "/"),
    ]:
        (directory / name).symlink_to(target)
    (other / "back").symlink_to(directory)
    found = {each.path.removeprefix(f"{ROOT}/a/"): each for each in driver.walk(ROOT)}

    assert {name: each.size for name, each in found.items()} == {
        "b/object": 5,
        "to-directory/object": 3,
        "to-file": 3,
    }
    assert driver.discard([found["to-file"]]) == []
    assert (other / "object").exists()
    assert driver.discard([found["to-directory/object"]]) == []
    assert walked(driver) == [f"{ROOT}/a/b/object"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_directory_that_cannot_be_read_is_not_taken_for_an_empty_one(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    driver.put(f"{ROOT}/a/b/object", b"x")
    scandir = os.scandir

    def fail(name: str) -> object:
        if name.endswith("/b"):
            raise OSError(number, os.strerror(number), name)
        return scandir(name)

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(DriverError, match=os.strerror(number)) as raised:
        walked(driver)
    assert isinstance(raised.value, NotPermittedError) == (number == errno.EACCES)
    assert not isinstance(raised.value, NotWritableError)


def test_what_goes_while_it_is_walked_over_is_passed_over(driver: FilesystemDriver) -> None:
    for name in "abcdefgh":
        driver.put(f"{ROOT}/{name}/x/object", b"x")

    steps = driver.walk(ROOT)
    first = next(steps).path
    driver.delete(ROOT)

    assert list(steps) == []
    assert first.endswith("/x/object")


def test_a_file_system_that_was_unmounted_is_not_taken_for_an_empty_one(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.put(BLOB, b"x")
    checks: list[None] = []

    def check() -> None:
        checks.append(None)
        if len(checks) == 2:
            raise NotPermittedError("nothing is mounted any more")

    monkeypatch.setattr(driver, "_check_mount", check)
    steps = driver.walk(ROOT)

    assert next(steps).path == BLOB
    with pytest.raises(NotPermittedError):
        next(steps)


def test_the_memory_of_a_walk_does_not_grow_with_a_directory(driver: FilesystemDriver, root: Path) -> None:
    directory = Path(f"{root}{ROOT}/flat")
    directory.mkdir(parents=True)
    peaks = []
    for count in (2_000, 20_000):
        for number in range(count):
            (directory / f"{number}").touch()
        tracemalloc.start()
        try:
            assert sum(1 for _ in driver.walk(ROOT)) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()

    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 512 * 1024


def test_a_walk_that_ends_early_leaves_nothing_open(driver: FilesystemDriver, root: Path) -> None:
    driver.put(f"{ROOT}/a/b/c", b"x")
    driver.put(f"{ROOT}/a/d", b"x")

    steps = driver.walk(ROOT)
    next(steps)
    del steps

    assert [name for name in open_files() if name.startswith(str(root))] == []


def test_objects_of_one_content_are_discarded_one_by_one(driver: FilesystemDriver) -> None:
    revision, pointer, history = f"{ROOT}/r/link", f"{ROOT}/t/link", f"{ROOT}/t/i/link"
    driver.put_in_order([(revision, b"x"), (pointer, b"x")], best_effort=[(history, b"x")], copies_of=revision)
    found = {each.path: each for each in driver.walk(ROOT)}

    assert driver.discard([found[revision]]) == []
    assert walked(driver) == sorted([pointer, history])
    assert driver.discard([found[history]]) == []
    assert driver.get(pointer, limit=LIMIT) == b"x"


def test_what_is_locked_is_not_deleted_and_all_else_is(driver: FilesystemDriver) -> None:
    for name in "abc":
        driver.put(f"{ROOT}/{name}/object", b"x")
    found = sorted(driver.walk(ROOT), key=lambda each: each.path)

    with driver.open_upload(f"{ROOT}/b/object"), pytest.raises(DriverError, match=f"{ROOT}/b/object"):
        driver.discard(found)

    assert walked(driver) == [f"{ROOT}/b/object"]
    assert driver.discard(found) == []


@pytest.mark.parametrize(("ordered", "expected"), [(True, 3), (False, 21)])
def test_the_disk_is_waited_for_once_for_a_thousand_or_once_for_each_directory(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch, ordered: bool, expected: int
) -> None:
    for number in range(2_100):
        path = Path(str(driver.local_path(f"{ROOT}/{number // 120}/{number}/link")))
        path.parent.mkdir(parents=True)
        path.touch()
    found = sorted(driver.walk(ROOT), key=lambda each: int(each.path.split("/")[3]))
    synced: list[str] = []

    def sync(directory: str) -> bool:
        synced.append(directory)
        return True

    monkeypatch.setattr(deleting, "sync_directory", sync)
    monkeypatch.setattr(deleting, "keeps_order", lambda _: ordered)

    assert driver.discard(found) == []

    assert walked(driver) == []
    assert len(synced) <= expected
