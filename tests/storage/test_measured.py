from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.base import PathNotFoundError, StorageDriver
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.storage.cache import ServedManifest
from registry.storage.descriptors import InMemoryDescriptors
from registry.storage.measured import MeasuredCache, MeasuredDescriptors, MeasuredDriver
from tests.drivers.conformance import PATIENT_SECONDS, DriverConformance
from tests.drivers.failing import FailingDriver, PowerLossError
from tests.drivers.filesystem.test_driver import Directory

if TYPE_CHECKING:
    from pathlib import Path


class Notebook:
    """An observer that writes everything down."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.seconds = 0.0
        self.open_uploads = 0
        self.asked: list[bool] = []

    def storage_called(self, driver: str, action: str, seconds: float) -> None:
        self.calls.append((driver, action))
        self.seconds += seconds

    def upload_opened(self) -> None:
        self.open_uploads += 1

    def upload_closed(self) -> None:
        self.open_uploads -= 1

    def cache_asked(self, *, hit: bool) -> None:
        self.asked.append(hit)


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def measured(notebook: Notebook) -> MeasuredDriver:
    return MeasuredDriver(InMemoryDriver(), notebook)


def test_calls_bear_the_names_of_the_go_registry(measured: MeasuredDriver, notebook: Notebook) -> None:
    measured.put("/a", b"x")
    measured.get("/a", limit=9)
    assert list(measured.get_each(["/a", "/b"], limit=9)) == [b"x", None]
    measured.stat("/a")
    measured.list("/b", limit=9)
    measured.list_prefixes("/b", limit=9)
    measured.holds("/b", likely="c")
    measured.redirect_url("/a", method="GET")
    measured.delete("/a")
    actions = ["PutContent", *["GetContent"] * 3, "Stat", *["List"] * 3, "RedirectURL", "Delete"]
    assert notebook.calls == [("inmemory", action) for action in actions]
    assert notebook.seconds > 0


def test_the_calls_of_a_log_are_measured(measured: MeasuredDriver, notebook: Notebook) -> None:
    log = measured.log("/log")
    log.append(b"record")
    log.after("", before_ns=0, limit=1)
    log.count("")
    log.trim(0)
    assert notebook.calls == [("inmemory", action) for action in ("Append", "Appended", "Appended", "Delete")]


def test_a_walk_is_measured_once_and_what_it_found_is_deleted_with_one_call(
    measured: MeasuredDriver, notebook: Notebook
) -> None:
    for name in "abc":
        measured.put(f"/a/{name}", b"x")
    notebook.calls.clear()
    assert list(measured.discard(measured.walk("/a"))) == []
    assert notebook.calls == [("inmemory", "Walk"), ("inmemory", "Delete")]


def test_call_that_fails_is_measured_as_well(measured: MeasuredDriver, notebook: Notebook) -> None:
    with pytest.raises(PathNotFoundError):
        measured.get("/nowhere", limit=1)
    assert notebook.calls == [("inmemory", "GetContent")]


@pytest.mark.parametrize("pieces", [0, 1, 9])
def test_read_is_measured_once_however_far_it_went(measured: MeasuredDriver, notebook: Notebook, pieces: int) -> None:
    measured.put("/a", bytes(3_000_000))
    reading = measured.read("/a")
    for _ in zip(range(pieces), reading, strict=False):
        pass
    reading.close()  # type: ignore[attr-defined]
    assert notebook.calls[1:] == [("inmemory", "Reader")]


def test_upload_is_in_flight_while_it_is_open(measured: MeasuredDriver, notebook: Notebook) -> None:
    measured.create_upload("/u")
    with measured.open_upload("/u") as writer:
        assert notebook.open_uploads == 1
        writer.write(b"x")
        writer.commit("/a")
    writer.close()
    assert notebook.open_uploads == 0
    assert notebook.calls == [("inmemory", action) for action in ("CreateUpload", "Move", "Writer")]


def test_claims_touches_and_reading_along_are_measured(measured: MeasuredDriver, notebook: Notebook) -> None:
    measured.put("/a", b"x")
    measured.create_upload("/u")
    with measured.open_upload("/u") as writer:
        writer.write(b"x")
        writer.flush()
        notebook.calls.clear()
        assert b"".join(measured.read_upload("/u")) == b"x"
    measured.touch("/a")
    claim = measured.claim("/c")
    assert claim
    claim.release()
    assert notebook.calls == [("inmemory", action) for action in ("Reader", "Writer", "Touch", "Claim")]


def test_a_flush_comes_to_the_driver(notebook: Notebook) -> None:
    measured = MeasuredDriver(FailingDriver(InMemoryDriver(), fail_at=3), notebook)
    measured.create_upload("/u")
    writer = measured.open_upload("/u")
    with pytest.raises(PowerLossError):
        writer.flush()


def test_cache_says_whether_it_had_what_was_asked_for(notebook: Notebook) -> None:
    cache, digest = MeasuredCache(notebook), Digest.of(b"{}")
    assert cache.get(digest) is None
    cache.put(digest, ServedManifest(b"{}", "application/json"))
    assert cache.get(digest) is not None
    assert notebook.asked == [False, True]


def test_cache_of_descriptors_says_whether_it_had_what_it_was_asked_for(notebook: Notebook) -> None:
    cache, digest = MeasuredDescriptors(InMemoryDescriptors(9), notebook), Digest.of(b"{}")
    assert cache.get(digest) is None
    cache.put(digest, 0)
    assert cache.get(digest) == 0
    cache.drop(digest)
    assert cache.get(digest) is None
    assert notebook.asked == [False, True, False]


class TestMeasuredDriver(DriverConformance):
    """Measuring changes nothing of what a driver does."""

    @pytest.fixture
    def medium(self, tmp_path: Path) -> Directory:
        root = tmp_path / "root"
        root.mkdir()
        return Directory(root)

    @pytest.fixture
    def driver(self, medium: Directory) -> StorageDriver:
        return MeasuredDriver(FilesystemDriver(str(medium.root), lock_seconds=PATIENT_SECONDS), Notebook())

    @pytest.fixture
    def impatient(self, medium: Directory) -> StorageDriver:
        return MeasuredDriver(FilesystemDriver(str(medium.root), lock_seconds=0.2), Notebook())
