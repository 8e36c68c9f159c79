"""What a driver says at the start of a tree that another user has left, and what it has the operator type."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import pytest

from drivers.base import DriverError
from drivers.filesystem.driver import FilesystemDriver
from drivers.filesystem.rights import remedy
from registry.storage.paths import ROOT, WRITTEN
from tests.drivers.filesystem.mounting import run_on_read_only

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY: Final = 65534
TREE: Final = (
    *(f"blobs/sha256/{number:02x}/{number:02x}00" for number in range(64)),
    *(f"repositories/team/app{number}/{part}" for number in range(8) for part in ("_layers", "_manifests", "_uploads")),
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as two users")


@pytest.fixture
def root() -> Iterator[Path]:
    """A root with a tree as a registry leaves it, all of it the unprivileged user's."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        root = Path(name) / "root"
        for each in TREE:
            Path(f"{root}{ROOT}/{each}").mkdir(parents=True)
        for directory, _, _ in os.walk(root):
            os.chown(directory, NOBODY, NOBODY)
        yield root


@contextmanager
def unprivileged() -> Iterator[None]:
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def check(root: Path) -> None:
    FilesystemDriver(str(root)).check(below=WRITTEN)


def refusal(root: Path) -> str:
    with unprivileged(), pytest.raises(DriverError) as raised:
        check(root)
    return str(raised.value)


def test_a_tree_of_ones_own_passes_in_silence(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with unprivileged():
        check(root)
    assert caplog.messages == []


@pytest.mark.parametrize(
    "path",
    ["", "/docker", "/docker/registry", ROOT, f"{ROOT}/blobs", f"{ROOT}/blobs/sha256", f"{ROOT}/repositories"],
)
def test_a_directory_that_every_push_writes_to_stops_the_start_and_the_line_says_what_to_type(
    root: Path, path: str
) -> None:
    where = f"{root}{path}"
    os.chown(where, 0, 0)

    assert refusal(root) == (
        f"filesystem: cannot write to {where if path else f'rootdirectory {root}'}: Permission denied;"
        f" it belongs to user 0: run as root `chown -R {NOBODY}:{NOBODY} {root}`,"
        " or start the registry as user 0 (docker run --user 0)"
    )


def test_in_the_image_that_was_started_as_root_another_user_is_chosen_by_its_variable(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_AS", f"{NOBODY}:0")
    os.chown(root, 0, 0)
    assert refusal(root).endswith(" or start the registry as user 0 (docker run -e RUN_AS=0)")


@pytest.mark.parametrize(
    "pattern", ["blobs/sha256/*", "blobs/sha256/*/*", "repositories/team", "repositories/team/*/_uploads"]
)
def test_another_users_directories_deeper_in_the_tree_are_a_line_in_the_log(
    root: Path, pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    for directory in Path(f"{root}{ROOT}").glob(pattern):
        os.chown(directory, 0, 0)

    with unprivileged():
        check(root)

    (line,) = caplog.messages
    assert line.startswith(f"filesystem: cannot use {root}{ROOT}/")
    assert f"run as root `chown -R {NOBODY}:{NOBODY} {root}`" in line


def test_a_file_that_cannot_be_read_is_a_line_in_the_log(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for directory in Path(f"{root}{ROOT}/blobs/sha256").iterdir():
        (directory / "data").touch(0o600)

    with unprivileged():
        check(root)

    (line,) = caplog.messages
    assert "/data: Permission denied; it belongs to user 0: run as root `chown -R " in line


def test_what_is_not_the_registrys_may_be_anybodys(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "lost+found").mkdir(0o700)

    with unprivileged():
        check(root)

    assert caplog.messages == []


def test_a_mode_that_forbids_it_is_mended_by_chmod(root: Path) -> None:
    Path(f"{root}{ROOT}").chmod(0o500)

    assert refusal(root).endswith(f"it is this user's own, but its mode is 0500: run as root `chmod -R u+rwX {root}`")


def test_what_owner_and_mode_permit_is_forbidden_by_something_else(root: Path) -> None:
    with unprivileged():
        for path in (root, f"{root}{ROOT}/blobs", f"{root}{ROOT}/new"):
            told = remedy(PermissionError(errno.EACCES, "no", str(path)), str(root))
            assert "owner and mode of " in told
            assert "SELinux" in told


def test_a_root_that_cannot_be_made_or_reached_names_the_directory_above(root: Path) -> None:
    assert refusal(root.parent / "new").endswith(
        f"{root.parent}/new is not there:"
        f" run as root `mkdir -p {root.parent}/new && chown {NOBODY}:{NOBODY} {root.parent}/new`"
    )
    root.parent.chmod(0o700)
    assert refusal(root).endswith(f"user {NOBODY} may not enter {root.parent}: run as root `chmod a+x {root.parent}`")


def test_a_directory_with_any_number_of_entries_is_looked_at_in_part(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2000):
        Path(f"{root}{ROOT}/repositories/r{number}").mkdir()
    looked: list[str] = []
    access = os.access

    def count(path: str, mode: int, **options: bool) -> bool:
        looked.append(path)
        return access(path, mode, **options)

    monkeypatch.setattr(os, "access", count)

    check(root)

    assert 10 < len(looked) < 500


def test_a_registry_that_only_reads_needs_no_right_to_write(root: Path) -> None:
    for directory, _, _ in os.walk(root):
        os.chown(directory, 0, 0)
    driver = FilesystemDriver(str(root))

    with unprivileged():
        driver.check(below=WRITTEN, read_only=True)
        driver.probe(read_only=True)
        with pytest.raises(DriverError):
            driver.probe()


def test_a_file_system_that_is_mounted_read_only_serves_a_registry_that_only_reads(tmp_path: Path) -> None:
    script = (
        "import sys; from drivers.filesystem.driver import FilesystemDriver\n"
        "driver = FilesystemDriver(sys.argv[1]); driver.check(read_only=True)\n"
        "try: driver.check()\n"
        "except Exception as error: print(error)"
    )
    child = run_on_read_only(tmp_path, script)

    assert child.stderr == ""
    assert child.stdout == (
        f"filesystem: cannot write to rootdirectory {tmp_path}: Read-only file system;"
        " mount it writable, or set storage.maintenance.readonly.enabled to serve pulls alone\n"
    )
