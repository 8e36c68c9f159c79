"""The file of the index may be deleted, torn or replaced at any time: it is made anew, and no question fails."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from registry.browsing.shapes import Progress
from registry.index import schema
from registry.jobs.job import JobFailedError
from tests.index.hosts import Host, Registry, everything

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


_RUNS = 20
_BUSY_SECONDS = 30.0


def delete(path: Path) -> None:
    path.unlink()


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def overwrite(path: Path) -> None:
    path.write_bytes(random.Random(18).randbytes(path.stat().st_size))


def spoil_pages(path: Path) -> None:
    """Overwrite all pages but the first: what begins as an index is none."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(random.Random(18).randbytes(path.stat().st_size - 4096))


def put_another_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")


def put_another_storage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE state SET value = 'another' WHERE key = 'identity'")


def put_a_text(path: Path) -> None:
    path.write_text("not a database " * 1000)


def ask_everything(host: Host) -> list[object]:
    return [
        host.index.search("app", everything),
        host.index.tags("app"),
        host.index.repositories("-pushed", everything),
        host.index.level("", everything),
        host.index.progress(),
    ]


@pytest.mark.parametrize("harm", [delete, cut_off, empty, overwrite, spoil_pages, put_a_text])
def test_a_file_that_is_harmed_while_the_registry_runs_is_made_anew(
    registry: Registry, host: Host, harm: Callable[[Path], None]
) -> None:
    for number in range(20):
        registry.push(f"app{number}", "v1", content=str(number))
    host.catch_up()
    before = host.tags()
    with closing(sqlite3.connect(host.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    harm(host.path)
    host.index = Host(host.directory, registry.driver).index  # that of a worker that remembers nothing of the file
    ask_everything(host)
    registry.push("new", "v1")
    for _ in range(_RUNS):
        _run(host)
        ask_everything(host)
    host.catch_up()
    assert host.tags() == sorted([*before, "new:v1"], key=lambda tag: tag.replace(":", "!"))


def _run(host: Host) -> None:
    """Run the job, which may fail once of what it has met."""
    try:
        host.keeping.run()
    except JobFailedError as error:
        assert "the index cannot be written" in str(error)  # noqa: PT017  it need not fail


@pytest.mark.parametrize("harm", [*[delete, cut_off, overwrite, spoil_pages], put_another_version, put_another_storage])
def test_a_file_that_is_not_an_index_of_this_storage_is_not_used_and_made_anew_at_the_start(
    tmp_path: Path, registry: Registry, host: Host, harm: Callable[[Path], None]
) -> None:
    registry.push("app", "v1")
    host.catch_up()
    host.keeping.close()
    harm(host.path)
    again = Host(tmp_path / "index", registry.driver)
    assert ask_everything(again) == [None] * 5
    again.catch_up()
    assert again.tags() == ["app:v1"]
    assert again.search("app") == ["app"]


def test_there_is_no_answer_before_all_of_the_storage_was_read_but_how_far_it_is(
    registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask_everything(host) == [None] * 5
    monkeypatch.setattr("registry.index.scanning._FOUND", 1)
    monkeypatch.setattr("registry.index.jobs._STEP_SECONDS", 0.0)
    registry.push("app", "v1", "v2")
    for _ in range(5):
        host.keeping.run()
    *answers, progress = ask_everything(host)
    assert answers == [None] * 4
    assert progress is not None
    assert progress == host.index.progress()
    host.catch_up()
    done = host.index.progress()
    assert done is not None
    assert done.complete is not None
    assert (done.is_sized, done.repositories, done.tags, done.unread) == (True, 1, 2, 0)


def test_an_index_that_does_not_follow_changes_any_more_is_not_asked_until_it_does(
    registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push("app", "v1")
    host.catch_up()
    registry.push("app", "v2")
    later = time.time() + 125
    with monkeypatch.context() as in_two_minutes:
        in_two_minutes.setattr(time, "time", lambda: later)
        *answers, progress = ask_everything(host)
        assert answers == [None] * 4
        assert isinstance(progress, Progress)
        assert not progress.is_current
    host.catch_up()
    assert host.tags() == ["app:v1", "app:v2"]
    progress = host.index.progress()
    assert progress is not None
    assert progress.is_current


def test_how_much_the_index_has_is_counted_when_all_is_done_and_not_at_each_question(
    registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.index.jobs._STEP_SECONDS", 0.0)
    host.catch_up()
    for number in range(5):
        registry.push("app", f"v{number}", content=str(number))
        host.catch_up()
        progress = host.index.progress()
        assert progress is not None
        assert (progress.repositories, progress.tags, progress.unread) == (1, number + 1, 0)
    with closing(sqlite3.connect(host.path)) as connection, connection:
        connection.execute("DELETE FROM tags")
    assert host.index.progress() == progress
    host.keeping.run()
    assert host.index.progress() == progress


def test_of_two_processes_with_one_directory_one_writes_and_the_other_one_waits_its_turn(
    tmp_path: Path, registry: Registry, host: Host
) -> None:
    registry.push("app", "v1")
    host.catch_up()
    other = Host(tmp_path / "index", registry.driver)
    assert other.keeping.run() == _BUSY_SECONDS
    assert other.tags() == ["app:v1"]
    host.keeping.close()
    registry.push("app", "v2")
    other.catch_up()
    assert other.tags() == ["app:v1", "app:v2"]


def move_away(directory: Path) -> None:
    directory.rename(directory.with_name("moved"))


def put_a_copy(directory: Path) -> None:
    """Put another directory with the same files in the place of this one."""
    move_away(directory)
    shutil.copytree(directory.with_name("moved"), directory)


@pytest.mark.parametrize("harm", [shutil.rmtree, move_away, put_a_copy])
def test_an_index_whose_directory_is_deleted_or_replaced_is_made_anew_there_and_the_directory_is_had_again(
    tmp_path: Path, registry: Registry, host: Host, harm: Callable[[Path], None]
) -> None:
    registry.push("app", "v1")
    host.catch_up()
    harm(host.directory)
    registry.push("app", "v2")
    host.catch_up()
    assert host.tags() == ["app:v1", "app:v2"]
    other = Host(tmp_path / "index", registry.driver)
    assert other.keeping.run() == _BUSY_SECONDS


def test_an_index_comes_back_once_its_directory_can_be_made_again(
    tmp_path: Path, registry: Registry, host: Host
) -> None:
    registry.push("app", "v1")
    host.catch_up()
    shutil.rmtree(host.directory)
    host.directory.write_text("in the way")
    for _ in range(2):
        with pytest.raises(JobFailedError, match="the index cannot be kept"):
            host.keeping.run()
    host.directory.unlink()
    host.catch_up()
    assert host.tags() == ["app:v1"]
    other = Host(tmp_path / "index", registry.driver)
    assert other.keeping.run() == _BUSY_SECONDS


def test_readers_go_on_while_the_file_is_replaced_again_and_again(registry: Registry, host: Host) -> None:
    for number in range(10):
        registry.push(f"app{number}", "v1", content=str(number))
    host.catch_up()
    all_tags = [(f"app{number}", "v1") for number in range(10)]
    done = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not done.is_set():
            hits = host.index.search("v1", everything)
            if hits is not None and [(hit.repository, hit.tag) for hit in hits.rows] != all_tags:
                wrong.append(hits)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        host.path.unlink()
        host.catch_up()
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert host.search("v1") == [":".join(each) for each in all_tags]


_WRITING = """
import sys
from pathlib import Path
from drivers.filesystem.driver import FilesystemDriver
from tests.index.hosts import Host
host = Host(Path(sys.argv[2]), FilesystemDriver(sys.argv[1]), reconcile_seconds=0.0)
while True:
    host.keeping.run()
    print(".", flush=True)
"""


def test_a_writer_that_is_killed_at_any_moment_leaves_an_index_that_the_next_one_goes_on_with(tmp_path: Path) -> None:
    from drivers.filesystem.driver import FilesystemDriver  # noqa: PLC0415  as the process does

    driver = FilesystemDriver(str(tmp_path / "root"))
    registry = Registry(driver)
    for number in range(30):
        registry.push(f"app{number:02}", "v1", "v2", content=str(number))
    chance = random.Random(18)
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITING, str(tmp_path / "root"), str(tmp_path / "index")], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout
            for _ in range(chance.randrange(1, 8)):
                assert process.stdout.read(1)
            process.send_signal(signal.SIGKILL)
    host = Host(tmp_path / "index", driver)
    with closing(schema.open_to_write(host.path, schema.identity_of(host.configuration))):
        pass  # all of it was read, and is whole
    host.catch_up()
    assert host.tags() == [f"app{number:02}:v{version}" for number in range(30) for version in (1, 2)]


def test_the_file_and_its_directory_are_for_nobody_else(registry: Registry, host: Host) -> None:
    registry.push("secret/app", "v1")
    host.catch_up()
    assert host.directory.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o077 for each in host.directory.iterdir()} == {0}
