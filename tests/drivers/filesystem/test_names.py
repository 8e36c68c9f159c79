from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from drivers.filesystem import names as filesystem_names
from drivers.filesystem.names import DirectoryNames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANY = 1500
A_WHILE = 10.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grow by one whenever a directory is read, which no result shows."""
    found: list[int] = []
    scandir: Callable[[int], Any] = os.scandir

    def counted(fd: int) -> Any:
        found.append(fd)
        return scandir(fd)

    monkeypatch.setattr(os, "scandir", counted)
    return found


def fill(directory: Path, number: int = MANY) -> list[str]:
    names = [f"tag-{index:05}" for index in range(number)]
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).touch()
    return names


def settle(names: DirectoryNames, directory: Path, clock: Clock) -> None:
    names.after(str(directory), "", 1)
    clock.now += A_WHILE
    # Ours has gone on; that of the file system must, too, before anything else is changed.
    changed, now = directory.stat().st_ctime_ns, 0
    while now <= changed:
        with tempfile.TemporaryFile(dir=directory.parent) as probe:
            now = os.fstat(probe.fileno()).st_ctime_ns
    names.after(str(directory), "", 1)


def test_a_large_directory_that_stays_as_it_is_is_read_no_more(tmp_path: Path, clock: Clock, scans: list[int]) -> None:
    expected = fill(tmp_path)
    names = DirectoryNames(clock=clock)
    settle(names, tmp_path, clock)
    before = len(scans)

    pages = [names.after(str(tmp_path), last, 100) for last in ("", "tag-00700", "tag-01499", "zzz")]

    assert pages == [expected[:100], expected[701:801], [], []]
    assert len(scans) == before


def test_what_another_process_does_is_seen_by_the_next_page(tmp_path: Path, clock: Clock) -> None:
    fill(tmp_path)
    names = DirectoryNames(clock=clock)
    settle(names, tmp_path, clock)

    for change, page in (
        ("open('tag-00000x', 'w')", ["tag-00000", "tag-00000x", "tag-00001"]),
        ("os.unlink('tag-00000')", ["tag-00000x", "tag-00001", "tag-00002"]),
        ("os.rename('tag-00001', 'a')", ["a", "tag-00000x", "tag-00002"]),
    ):
        subprocess.run([sys.executable, "-c", f"import os; {change}"], cwd=tmp_path, check=True)
        assert names.after(str(tmp_path), "", 3) == page
        settle(names, tmp_path, clock)
        assert names.after(str(tmp_path), "", 3) == page


def test_a_directory_in_the_place_of_another_is_not_taken_for_it(tmp_path: Path, clock: Clock) -> None:
    fill(tmp_path / "a")
    names = DirectoryNames(clock=clock)
    settle(names, tmp_path / "a", clock)

    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").mkdir()
    assert names.after(str(tmp_path / "a"), "", 9) == []

    (tmp_path / "a").rmdir()
    with pytest.raises(FileNotFoundError):
        names.after(str(tmp_path / "a"), "", 9)


def test_times_that_were_set_back_do_not_hide_a_change(tmp_path: Path, clock: Clock) -> None:
    fill(tmp_path)
    names = DirectoryNames(clock=clock)
    settle(names, tmp_path, clock)
    before = tmp_path.stat()

    (tmp_path / "a").touch()
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert names.after(str(tmp_path), "", 1) == ["a"]


def test_changes_within_one_tick_of_the_file_systems_clock_are_seen(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The coarsest clock there can be: it stands still until we let it go on.
    tick = [filesystem_names._Stamp(1, 1, 1, 1)]
    monkeypatch.setattr(filesystem_names, "_stamp_of", lambda _: tick[0])
    fill(tmp_path)
    names = DirectoryNames(clock=clock)

    for name in ("c", "b", "a"):
        (tmp_path / name).touch()
        assert names.after(str(tmp_path), "", 1) == [name]
        clock.now += 0.5
    clock.now += A_WHILE
    assert names.after(str(tmp_path), "", 1) == ["a"]

    (tmp_path / "0").touch()
    tick[0] = filesystem_names._Stamp(1, 1, 2, 2)
    assert names.after(str(tmp_path), "", 1) == ["0"]


def test_a_file_system_whose_directories_keep_their_times_is_read_each_time(
    tmp_path: Path, clock: Clock, scans: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem_names, "tells_of_changes", lambda _: False)
    fill(tmp_path)
    names = DirectoryNames(clock=clock)

    for _ in range(3):
        settle(names, tmp_path, clock)

    assert len(scans) == 6
    assert names.size == 0


def test_what_is_remembered_is_bounded_and_the_rest_is_listed_all_the_same(tmp_path: Path, clock: Clock) -> None:
    room = 60_000
    names = DirectoryNames(most_bytes=room, clock=clock)
    most = 0
    for number in range(8):
        directory = tmp_path / str(number)
        expected = fill(directory, MANY * (1 + 2 * (number % 2)))  # every other one is too large for half of it
        settle(names, directory, clock)
        most = max(most, names.size)
        assert names.after(str(directory), "tag-00500", 100) == expected[501:601]

    assert room / 4 < most <= room


def test_a_small_directory_takes_no_room(tmp_path: Path, clock: Clock) -> None:
    fill(tmp_path, 10)
    names = DirectoryNames(clock=clock)

    settle(names, tmp_path, clock)

    assert names.size == 0


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("number", [1, 2, 20, 1023, 1024, 1025, 4 * MANY])
def test_any_page_is_what_sorting_all_names_would_give(
    tmp_path: Path, clock: Clock, number: int, settled: bool
) -> None:
    chance = random.Random(7)
    names_in_any_order: set[str] = set()
    while len(names_in_any_order) < number:
        names_in_any_order.add("".join(chance.choices("aAzZ09._-+", k=chance.randint(1, 6))))
    expected = sorted(names_in_any_order)
    for name in expected:
        if name not in {".", ".."}:
            (tmp_path / name).touch()
    expected = [name for name in expected if name[0] != "."]
    names = DirectoryNames(clock=clock)
    if settled:
        settle(names, tmp_path, clock)

    for _ in range(100):
        after = chance.choice([*expected, "", "~", "0", "zz"])
        limit = chance.choice([0, 1, 2, 255, 256, 257, 1000, 10_000])
        assert names.after(str(tmp_path), after, limit) == [name for name in expected if name > after][:limit]


def test_of_directories_only_files_are_left_out_and_links_are_followed(tmp_path: Path, clock: Clock) -> None:
    directory = tmp_path / "listed"
    directory.mkdir()
    for number in range(1500):
        (directory / f"d{number:04}").mkdir()
        (directory / f"f{number:04}").touch()
    (tmp_path / "elsewhere").mkdir()
    (directory / "to-directory").symlink_to(tmp_path / "elsewhere")
    for name, parent in (("to-here", "."), ("to-parent", ".."), ("to-root", "/"), ("to-parent-too", tmp_path)):
        (directory / name).symlink_to(parent)
    (directory / "to-file").symlink_to(directory / "f0000")
    (directory / "to-itself").symlink_to(directory / "to-itself")
    (directory / "to-nothing").symlink_to(directory / "nothing")
    expected = [*(f"d{number:04}" for number in range(1500)), "to-directory"]
    names = DirectoryNames(directories_only=True, clock=clock)

    assert names.after(str(directory), "", 9999) == expected
    settle(names, directory, clock)
    assert names.after(str(directory), "", 9999) == expected
    assert names.after(str(directory), "d1490", 3) == ["d1491", "d1492", "d1493"]
