from __future__ import annotations

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from registry.foundation.files import (
    FileError,
    FileWatch,
    WatchedFile,
    check_creatable_file,
    create_file,
    locked,
    read_file,
    replace_file,
    replace_private_file,
)
from tests.foundation.syncing import Syncs

if TYPE_CHECKING:
    from pathlib import Path


def test_a_watch_says_at_first_that_there_is_something_to_read_and_then_only_what_changes(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"1")
    watch = FileWatch(str(path), str(other))
    assert watch.changed()
    assert not watch.changed()

    os.utime(path, ns=(0, 0))
    assert watch.changed()
    other.touch()
    assert watch.changed()
    other.unlink()
    assert watch.changed()
    assert not watch.changed()
    watch.forget()
    assert watch.changed()


def test_an_edit_that_keeps_size_and_time_of_modification_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    watch, before = FileWatch(str(path)), path.stat()
    watch.changed()

    path.write_bytes(b"2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert watch.changed()


def test_what_is_not_a_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")

    for path in (tmp_path / "pipe", tmp_path / "link", "/dev/zero"):
        with pytest.raises(OSError, match="is not a regular file"):
            read_file(path)
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path)
    assert b"Name:" in read_file("/proc/self/status")


def test_a_file_is_created_where_a_link_leads_and_not_behind_one_that_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data/file")
    (tmp_path / "loop").symlink_to("loop")

    check_creatable_file(str(tmp_path / "link"))
    assert create_file(str(tmp_path / "link"), b"x")
    assert not create_file(str(tmp_path / "link"), b"y")

    assert (tmp_path / "data" / "file").read_bytes() == b"x"
    assert (tmp_path / "link").is_symlink()
    for create in (check_creatable_file, lambda path: create_file(path, b"x")):
        with pytest.raises(OSError, match="Too many levels of symbolic links"):
            create(str(tmp_path / "loop"))


def test_a_link_that_is_swapped_is_a_change(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text(name)
    link = tmp_path / "current"
    link.symlink_to("old")
    file = WatchedFile(str(link / "secret"), bytes.decode)
    assert file.current() == "old"

    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").rename(link)

    assert file.current() == "new"


def test_a_file_that_goes_and_comes_back_is_read_again_and_complained_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a"
    file = WatchedFile(str(path), bytes.decode)
    for _ in range(3):
        with pytest.raises(FileError, match=f"^{path}: No such file or directory$"):
            file.current()
        with pytest.raises(FileError):
            file.last_good()
    assert len(caplog.messages) == 1

    with pytest.raises(FileError, match=f"^{path}: No such file or directory$"):
        WatchedFile(str(path), bytes.decode).require()
    assert len(caplog.messages) == 1, "whoever requires it says so"

    path.write_text("there")
    assert file.current() == "there"
    path.write_bytes(b"\xff")
    assert file.last_good() == "there"
    with pytest.raises(FileError, match=f"^{path}: .*decode"):
        file.current()


def test_what_is_replaced_is_durable_before_it_has_its_name_and_so_is_the_name_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    with Syncs(path) as syncs:
        replace_file(str(path), b"new")
        create_file(str(tmp_path / "b"), b"new")

    assert syncs.seen[:2] == [("file", b"old"), ("directory", b"new")]
    assert [kind for kind, _ in syncs.seen[2:]] == ["file", "directory"]


def test_a_file_that_is_replaced_keeps_its_mode_and_a_new_one_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "old").touch(0o640)
    (tmp_path / "link").symlink_to("old")

    replace_file(str(tmp_path / "link"), b"x")
    replace_file(str(tmp_path / "new"), b"x")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "old").read_bytes() == b"x"
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("old", "new")] == [0o640, 0o600]


def test_a_write_that_fails_changes_nothing_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)

    for write in (replace_file, replace_private_file, create_file):
        with pytest.raises(OSError, match="No space left"):
            write(str(path), b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("number", "written"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_file_system_that_cannot_sync_a_directory_will_do_and_one_that_fails_to_will_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, written: bool
) -> None:
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)

    for name, write in (("a", replace_file), ("b", replace_private_file), ("c", create_file)):
        with nullcontext() if written else pytest.raises(OSError, match="Input/output error"):
            write(str(tmp_path / name), b"x")
        assert (tmp_path / name).read_bytes() == b"x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_one_of_many_creates_a_file_and_the_others_find_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def create(number: int) -> tuple[bool, bytes]:
        return create_file(str(path), b"%d" % number * 1000), path.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(create, range(8)))

    assert sum(created for created, _ in results) == 1
    assert {content for _, content in results} == {path.read_bytes()}


def test_changes_under_a_lock_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "count"

    def count(_: int) -> None:
        with locked(str(path)):
            before = int(path.read_bytes()) if path.exists() else 0
            replace_file(str(path), b"%d" % (before + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(40)))

    assert path.read_bytes() == b"40"


def test_no_directory_is_made_for_a_file_or_a_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "mistyped" / "file")
    with pytest.raises(FileNotFoundError, match=f"^there is no directory {tmp_path}/mistyped$"):
        create_file(path, b"x")
    with pytest.raises(FileNotFoundError, match=f"^there is no directory {tmp_path}/mistyped$"), locked(path):
        pass
    assert list(tmp_path.iterdir()) == []
