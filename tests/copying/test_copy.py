from __future__ import annotations

import signal
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, PathNotFoundError
from drivers.delegating import DelegatingDriver
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.copying.copy import copy_storage
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.repository import Repositories
from tests.archive.images import Quiet, fill
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drivers.base import StorageDriver


@pytest.fixture
def source() -> InMemoryDriver:
    driver = InMemoryDriver()
    repositories = Repositories(driver)
    for name in ("team/app", "link/data", "link"):  # names that look like objects
        fill(repositories.open(name))
    app = repositories.open("team/app")
    app.tags.point(Tag("link"), app.tags.resolve(Tag("v1")))
    return driver


def objects(driver: StorageDriver, path: str = paths.ROOT) -> dict[str, bytes]:
    found = {}
    for name in driver.list(path, limit=10_000):
        child = f"{path}/{name}"
        with suppress(PathNotFoundError):
            found[child] = b"".join(driver.read(child))
        found |= objects(driver, child)
    return found


def dangling(driver: StorageDriver) -> list[str]:
    """Return the links that lead nowhere."""
    everything = objects(driver)
    targets = {path: Digest.parse(content.decode()) for path, content in everything.items() if path.endswith("/link")}
    return [path for path, digest in targets.items() if paths.blob_data(digest) not in everything]


@pytest.mark.parametrize("jobs", [1, 8])
def test_copy_through_another_driver_and_back_is_byte_identical(
    source: InMemoryDriver, tmp_path: Path, jobs: int
) -> None:
    between, back = FilesystemDriver(str(tmp_path)), InMemoryDriver()
    first = copy_storage(source, between, jobs, Quiet())
    second = copy_storage(between, back, jobs, Quiet())
    assert objects(back) == objects(between) == objects(source)
    assert first.copied == second.copied == len(objects(source))
    assert first.there == 0


def test_copy_done_again_copies_what_is_new_only(source: InMemoryDriver) -> None:
    target = InMemoryDriver()
    copied = copy_storage(source, target, 4, Quiet()).copied
    app = Repositories(source).open("team/app")
    app.tags.point(Tag("v2"), app.tags.resolve(Tag("v1")))
    again = copy_storage(source, target, 4, Quiet())
    assert (again.copied, again.there) == (2, copied)
    assert objects(target) == objects(source)


def test_tag_that_moved_is_copied_again(source: InMemoryDriver) -> None:
    target = InMemoryDriver()
    copy_storage(source, target, 4, Quiet())
    app = Repositories(source).open("team/app")
    app.tags.point(Tag("v1"), next(iter(app.manifests.digests())))
    copy_storage(source, target, 4, Quiet())
    assert objects(target)[paths.tag_link("team/app", "v1")] == objects(source)[paths.tag_link("team/app", "v1")]


def test_uploads_under_way_are_not_copied(source: InMemoryDriver) -> None:
    target = InMemoryDriver()
    Repositories(source).open("team/app").uploads.start()
    copy_storage(source, target, 4, Quiet())
    assert target.list(paths.uploads("team/app"), limit=1) == []


def test_damaged_blob_is_told_of_and_not_copied(source: InMemoryDriver) -> None:
    small, large = Digest.of(b"signature"), Digest.of(b"shared" * 500_000)
    source.put(paths.blob_data(small), b"signatura")
    source.put(paths.blob_data(large), b"sharet" * 500_000)
    target = InMemoryDriver()
    result = copy_storage(source, target, 4, Quiet())
    assert sorted(result.damaged) == sorted(
        f"{digest} is damaged at its source and was not copied" for digest in (small, large)
    )
    for digest in (small, large):
        with pytest.raises(PathNotFoundError):
            target.stat(paths.blob_data(digest))
    assert target.list(paths.COPIES, limit=1) == []


def test_power_may_go_at_any_call_and_nothing_dangles_and_the_next_copy_completes_it() -> None:
    source = InMemoryDriver()
    fill(Repositories(source).open("a"), layer_bytes=1_500_000)
    counted = FailingDriver(InMemoryDriver(), fail_at=0)
    copy_storage(source, counted, 1, Quiet())
    for call in range(1, counted.calls + 1):
        target = InMemoryDriver()
        with suppress(DriverError):
            copy_storage(source, FailingDriver(target, fail_at=call), 1, Quiet())
        assert dangling(target) == []
        copy_storage(source, target, 1, Quiet())
        assert objects(target) == objects(source)
        assert target.list(paths.COPIES, limit=1) == []
        assert target._store.uploads == {}


def test_failure_of_a_storage_ends_the_copy(source: InMemoryDriver) -> None:
    with pytest.raises(DriverError):
        copy_storage(source, FailingDriver(InMemoryDriver(), fail_at=10), 4, Quiet())


def test_a_copy_that_is_interrupted_ends_in_the_middle_of_a_blob(source: InMemoryDriver) -> None:
    large = b"x" * (2 * 1024 * 1024)
    digest = Digest.of(large)
    source.put(paths.blob_data(digest), large)

    class Slow(DelegatingDriver):
        def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
            return repeat(b"x", len(large)) if path == paths.blob_data(digest) else super().read(path, start, stop)

    class Interrupting(Quiet):
        def advance(self, size: int, what: str) -> None:
            del size
            if what == paths.blob_data(digest) and not interrupted:
                interrupted.append(what)
                signal.raise_signal(signal.SIGINT)

    interrupted: list[str] = []
    target = InMemoryDriver()
    with pytest.raises(KeyboardInterrupt):
        copy_storage(Slow(source), target, 2, Interrupting())
    assert dangling(target) == []
    assert paths.blob_data(digest) not in objects(target)


def test_what_is_known_of_fetched_content_is_copied_before_the_tags(source: InMemoryDriver) -> None:
    app = Repositories(source).open("team/app")
    digest = app.tags.resolve(Tag("v1"))
    known = {paths.proxied_tag("team/app", "v1"): b"known", paths.fetched_manifest("team/app", digest): b""}
    for path, content in known.items():
        source.put(path, content)
    for fails_at in range(1, 1000):
        target = InMemoryDriver()
        failing = FailingDriver(target, fail_at=fails_at)
        with suppress(DriverError):
            copy_storage(source, failing, 1, Quiet())
        copied = objects(target)
        assert paths.tag_link("team/app", "v1") not in copied or known.items() <= copied.items()
        if not failing.power_is_gone:
            break
    assert known.items() <= copied.items()
