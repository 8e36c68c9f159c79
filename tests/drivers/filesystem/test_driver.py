from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from drivers import pending
from drivers.base import (
    DriverError,
    InvalidPathError,
    NoSpaceError,
    NotPermittedError,
    PathExistsError,
    PathNotFoundError,
    UnavailableError,
    UploadBusyError,
)
from drivers.filesystem import deleting as filesystem_deleting
from drivers.filesystem import files as filesystem_files
from drivers.filesystem import uploads as filesystem_uploads
from drivers.filesystem.driver import FilesystemDriver
from registry.foundation.errors import ParameterError
from tests.drivers.conformance import (
    BLOB,
    LIMIT,
    PATIENT_SECONDS,
    ROOT,
    UPLOAD,
    DriverConformance,
    Medium,
    noise,
    upload,
)
from tests.drivers.filesystem.mounting import run_on_read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Directory(Medium):
    def __init__(self, root: Path) -> None:
        self.root = root

    def everything(self) -> set[str]:
        found = {
            f"/{entry.relative_to(self.root)}"
            for entry in self.root.rglob("*")
            if entry.is_file() or entry.name.startswith(".")
        }
        return found | {f"open file {name}" for name in open_files() if name.startswith(str(self.root))}

    def content(self, path: str) -> bytes:
        return self.file(path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        self.file(path).parent.mkdir(parents=True, exist_ok=True)
        self.file(path).write_bytes(content)

    def file(self, path: str) -> Path:
        return Path(f"{self.root}{path}")


def open_files() -> Iterator[str]:
    for fd in list(Path("/proc/self/fd").iterdir()):
        with suppress(FileNotFoundError):  # the descriptor that listed them
            yield str(fd.readlink())


@pytest.fixture
def medium(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "root")


@pytest.fixture
def driver(medium: Directory) -> FilesystemDriver:
    return FilesystemDriver(str(medium.root), lock_seconds=PATIENT_SECONDS)


class TestFilesystemDriver(DriverConformance):
    @pytest.fixture
    def medium(self, medium: Directory) -> Directory:
        return medium

    @pytest.fixture
    def driver(self, driver: FilesystemDriver) -> FilesystemDriver:
        return driver

    @pytest.fixture
    def colleague(self, medium: Directory) -> FilesystemDriver:
        return FilesystemDriver(str(medium.root), lock_seconds=PATIENT_SECONDS)

    @pytest.fixture
    def impatient(self, medium: Directory) -> FilesystemDriver:
        return FilesystemDriver(str(medium.root), lock_seconds=0.3)


# Parameters and the root


def test_the_defaults_are_those_of_the_go_registry() -> None:
    assert FilesystemDriver.from_parameters({}).local_path("/a") == "/var/lib/registry/a"


@pytest.mark.parametrize("threads", [1, 100, "100", "7"])
def test_maxthreads_is_a_whole_number(threads: object) -> None:
    FilesystemDriver.from_parameters({"maxthreads": threads})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maxthreads", "many"),
        ("maxthreads", "-1"),
        ("maxthreads", 2.5),
        ("maxthreads", True),
        ("maxthreads", None),
        ("rootdirectory", ""),
        ("rootdirectory", 5),
        ("rootdirectory", None),
    ],
)
def test_a_wrong_parameter_is_named(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=rf"^{name}: .*{value!r}$"):
        FilesystemDriver.from_parameters({name: value})


def test_check_creates_the_root_and_leaves_it_empty(tmp_path: Path) -> None:
    root = tmp_path / "not" / "yet"

    FilesystemDriver(str(root)).check()

    assert list(root.iterdir()) == []


def test_a_root_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for root in ("file", "file/below"):
        with pytest.raises(DriverError, match=rf"^filesystem: cannot .*/{root}: Not a directory; it must be .*$"):
            FilesystemDriver(f"{tmp_path}/{root}").check()


def test_an_unwritable_root_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    tmp_path.chmod(0o755)
    (tmp_path / "root").chmod(0o555)

    with unprivileged(), pytest.raises(DriverError, match=r"^filesystem: cannot .*: Permission denied; .*$"):
        FilesystemDriver(f"{tmp_path}/root").check()
    with unprivileged(), pytest.raises(DriverError, match=r"^filesystem: cannot .*: Permission denied; .*$"):
        FilesystemDriver(f"{tmp_path}/root/below").check()


@pytest.mark.parametrize("mode", [0o000, 0o555, 0o300, 0o600])
def test_a_root_whose_rights_were_taken_away_fails_the_probe_until_they_are_back(open_path: Path, mode: int) -> None:
    root = open_path / "root"
    root.mkdir()
    driver = FilesystemDriver(str(root))
    if not os.geteuid():
        os.chown(root, 65534, 65534)
    text = rf"^filesystem: use rootdirectory {root}: Permission denied for user \d+; "

    with unprivileged():
        driver.probe()
        root.chmod(mode)
        with pytest.raises(DriverError, match=text) as raised:
            driver.probe()
        root.chmod(0o700)
        driver.probe()
    assert type(raised.value) is NotPermittedError


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as two users")
def test_a_root_that_was_given_to_another_user_fails_the_probe(open_path: Path) -> None:
    root = open_path / "root"
    root.mkdir(0o755)
    driver = FilesystemDriver(str(root))
    driver.probe()

    text = rf"^filesystem: use rootdirectory {root}: Permission denied for user 65534; it belongs to user 0: run"
    with unprivileged():
        assert root.stat().st_uid == 0
        with pytest.raises(DriverError, match=text):
            driver.probe()


def test_a_root_on_a_file_system_that_is_read_only_passes_the_probe(tmp_path: Path) -> None:
    script = (
        "import sys; from drivers.filesystem.driver import FilesystemDriver;"
        "driver = FilesystemDriver(sys.argv[1]); driver.probe();"
        "print(driver.get('/docker/object', limit=1))"
    )
    FilesystemDriver(str(tmp_path)).put("/docker/object", b"x")
    child = run_on_read_only(tmp_path, script)

    assert (child.stdout, child.stderr) == ("b'x'\n", "")


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that another user can reach, which is not so of what pytest makes."""
    with TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@contextmanager
def unprivileged() -> Iterator[None]:
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_the_root_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to("disk")
    driver = FilesystemDriver(f"{tmp_path}/root")

    driver.check()
    upload(driver, b"x")
    driver.delete(BLOB)

    assert not list((tmp_path / "disk").rglob("data"))
    assert (tmp_path / "root").is_symlink()


def test_modes_are_left_to_the_umask(driver: FilesystemDriver, medium: Directory) -> None:
    before = os.umask(0o027)
    try:
        driver.put(f"{ROOT}/tag/link", b"x")
        upload(driver, b"x")
    finally:
        os.umask(before)

    for path in (f"{ROOT}/tag/link", BLOB):
        assert stat.S_IMODE(medium.file(path).stat().st_mode) == 0o640
        assert stat.S_IMODE(medium.file(path).parent.stat().st_mode) == 0o750


# Names


@pytest.mark.parametrize("path", ["/../etc/passwd", "/a/../../etc/passwd", "etc/passwd", "/a/.tmp-0"])
def test_a_local_path_stays_below_the_root(driver: FilesystemDriver, path: str) -> None:
    with pytest.raises(InvalidPathError):
        driver.local_path(path)


def test_an_object_cannot_be_a_prefix_of_another(driver: FilesystemDriver, medium: Directory) -> None:
    driver.put(BLOB, b"x")
    driver.create_upload(UPLOAD)

    for path in (f"{BLOB}/below", f"{BLOB}/far/below", f"{ROOT}/blobs"):
        with pytest.raises(InvalidPathError):
            driver.put(path, b"y")
        with pytest.raises(InvalidPathError):
            driver.create_upload(path)
        with driver.open_upload(UPLOAD) as writer, pytest.raises(InvalidPathError):
            writer.commit(path)

    assert medium.everything() == {BLOB, UPLOAD}


def test_what_crashes_left_is_not_listed_and_harms_nothing(driver: FilesystemDriver, medium: Directory) -> None:
    medium.write(f"{ROOT}/blobs/1/.tmp-0", b"half")
    medium.file(f"{ROOT}/empty").mkdir()

    driver.put(BLOB, b"whole")

    assert driver.list(f"{ROOT}/blobs/1", limit=9) == ["data"]
    assert driver.list(ROOT, limit=9) == ["blobs", "empty"]
    driver.delete(BLOB)
    driver.delete(f"{ROOT}/blobs")
    driver.delete(f"{ROOT}/empty")
    assert list(medium.root.iterdir()) == []


def test_delete_prunes_up_to_the_root_and_not_the_root(driver: FilesystemDriver, medium: Directory) -> None:
    driver.put("/a/b/c/d", b"x")
    driver.put("/a/e", b"x")

    driver.delete("/a/b/c/d")
    assert [entry.name for entry in medium.file("/a").iterdir()] == ["e"]

    driver.delete("/a/e")
    assert list(medium.root.iterdir()) == []


def test_a_directory_goes_in_one_step(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        driver.put(f"{ROOT}/a/{number}", b"x")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing(errno.EIO))  # the power goes after the first step
        with pytest.raises(DriverError):
            driver.delete(f"{ROOT}/a")

    assert driver.list(ROOT, limit=9) == []
    assert len([entry for entry in medium.root.rglob(".tmp-*/*") if entry.is_file()]) == 10


# Uploads that others see


def test_an_upload_of_the_go_registry_goes_on_here_and_back_there(driver: FilesystemDriver, medium: Directory) -> None:
    medium.write(UPLOAD, b"go, ")
    with driver.open_upload(UPLOAD) as writer:
        assert writer.size == 4
        writer.write(b"python, ")
    with medium.file(UPLOAD).open("ab") as file:
        file.write(b"go")

    with driver.open_upload(UPLOAD) as writer:
        writer.commit(BLOB)

    assert medium.content(BLOB) == b"go, python, go"


@pytest.mark.parametrize("foreign", [b"unseen", None])
def test_bytes_that_the_writer_did_not_see_are_not_published(
    driver: FilesystemDriver, medium: Directory, foreign: bytes | None
) -> None:
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(b"seen")
        if foreign:
            with medium.file(UPLOAD).open("ab") as file:
                file.write(foreign)
        else:
            driver.delete(UPLOAD)
            medium.write(UPLOAD, b"seen")  # as many bytes, another file
        with pytest.raises(DriverError):
            writer.commit(BLOB)

    with pytest.raises(PathNotFoundError):
        driver.stat(BLOB)


def test_a_waiter_is_told_that_the_upload_has_ended(driver: FilesystemDriver) -> None:
    driver.create_upload(UPLOAD)
    with ThreadPoolExecutor() as pool, driver.open_upload(UPLOAD) as writer:
        waiting = pool.submit(driver.open_upload, UPLOAD)
        time.sleep(0.1)
        writer.commit(BLOB)

        assert isinstance(waiting.exception(), PathNotFoundError)


def test_a_writer_in_another_process_keeps_us_out_until_it_dies(driver: FilesystemDriver, medium: Directory) -> None:
    driver.create_upload(UPLOAD)
    program = """
        writer = driver.open_upload(UPLOAD)
        writer.write(b"written by the dead")
        print("open", flush=True)
        time.sleep(60)
    """
    with process(medium, program) as child:
        assert child.stdout
        child.stdout.readline()

        with pytest.raises(UploadBusyError):
            FilesystemDriver(str(medium.root), lock_seconds=0.3).open_upload(UPLOAD)
        child.kill()
        child.wait()

    with driver.open_upload(UPLOAD) as writer:
        assert b"".join(writer.content()) == b"written by the dead"
        writer.commit(BLOB)


def test_the_claim_of_a_process_that_is_killed_is_free_at_once(driver: FilesystemDriver, medium: Directory) -> None:
    program = """
        claim = driver.claim(f"{ROOT}/claim")
        print(claim is not None, flush=True)
        time.sleep(60)
    """
    with process(medium, program) as holder, process(medium, program) as rival:
        assert holder.stdout
        assert rival.stdout
        said = {holder.stdout.readline().strip(), rival.stdout.readline().strip()}
        assert said == {b"True", b"False"}
        assert driver.claim(f"{ROOT}/claim") is None
        for child in (holder, rival):
            child.kill()
            child.wait()

    claim = driver.claim(f"{ROOT}/claim")

    assert claim
    claim.release()
    assert medium.everything() == set()


def test_processes_that_claim_and_are_killed_never_have_one_claim_at_a_time(
    driver: FilesystemDriver, medium: Directory
) -> None:
    program = """
        import os
        while True:
            if claim := driver.claim(f"{ROOT}/claims/claim"):
                # Of two who have it at a time the second one finds the file of the first.
                os.close(os.open(ROOT_FILE, os.O_CREAT | os.O_EXCL))
                os.unlink(ROOT_FILE)
                print("had", flush=True)
                claim.release()
    """.replace("ROOT_FILE", repr(f"{medium.root}-had"))
    with process(medium, program) as one, process(medium, program) as other, process(medium, program) as third:
        for child in (one, other, third):
            assert child.stdout
            for _ in range(50):
                assert child.stdout.readline() == b"had\n"
        for child in (one, other, third):
            assert child.poll() is None  # none has found the file of another
    Path(f"{medium.root}-had").unlink(missing_ok=True)

    with ThreadPoolExecutor() as pool:
        claims = [*pool.map(lambda _: driver.claim(f"{ROOT}/claims/claim"), range(20))]

    (claim,) = filter(None, claims)
    claim.release()
    assert medium.everything() == set()


def test_a_claim_does_not_delete_the_file_of_the_next_one(driver: FilesystemDriver, medium: Directory) -> None:
    claim = driver.claim(f"{ROOT}/claim")
    driver.delete(f"{ROOT}/claim")  # as a clean-up of all below the directory would
    next_claim = driver.claim(f"{ROOT}/claim")
    assert claim
    assert next_claim

    claim.release()

    assert driver.claim(f"{ROOT}/claim") is None
    next_claim.release()
    assert medium.everything() == set()


def test_a_kill_at_any_time_leaves_whole_objects_and_uploads_that_go_on(
    driver: FilesystemDriver, medium: Directory
) -> None:
    program = """
        for number in range(1_000_000):
            digit = bytes([number % 256])
            driver.put(f"{ROOT}/o/{number % 3}", digit * 300_000)
            driver.create_upload(f"{ROOT}/u/{number}/data")
            with driver.open_upload(f"{ROOT}/u/{number}/data") as writer:
                for _ in range(3):
                    writer.write(digit * 100_000)
                writer.commit(f"{ROOT}/o/{number}-{number}")
            driver.delete(f"{ROOT}/o/{number % 3}")
            print(number, flush=True)
    """
    for _ in range(5):
        with process(medium, program) as child:
            assert child.stdout
            child.stdout.readline()
            time.sleep(random.uniform(0, 0.03))
            child.kill()
            child.wait()

        for name in driver.list(f"{ROOT}/o", limit=1_000_000):
            content = driver.get(f"{ROOT}/o/{name}", limit=LIMIT)
            assert content == content[:1] * 300_000
        for name in driver.list(f"{ROOT}/u", limit=1_000_000):
            try:
                with driver.open_upload(f"{ROOT}/u/{name}/data") as writer:
                    writer.cancel()
            except PathNotFoundError:
                continue  # between commit and the deletion that is the caller's


@contextmanager
def process(medium: Directory, program: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `program` with a `driver` of its own."""
    lines = [
        "import time",
        "from drivers.filesystem.driver import FilesystemDriver",
        "from tests.drivers.conformance import ROOT, UPLOAD",
        f"driver = FilesystemDriver({str(medium.root)!r})",
        "if True:",
        program,
    ]
    with subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    ) as child:
        try:
            yield child
        finally:
            child.kill()


# A medium that fails


@pytest.mark.parametrize("shared", [True, False])
def test_a_flush_sends_to_the_server_of_a_file_system_what_other_hosts_are_to_read(
    driver: FilesystemDriver, shared: bool
) -> None:
    synced: list[int] = []
    driver.create_upload(UPLOAD)
    # There is no network file system here.
    with pytest.MonkeyPatch.context() as patch, driver.open_upload(UPLOAD) as writer:
        patch.setattr(filesystem_uploads, "has_one_host", lambda _: not shared)
        patch.setattr(pending, "FLUSH_SECONDS", 3600)
        patch.setattr(os, "fsync", synced.append)
        writer.flush()
        assert synced == []
        for _ in range(3):
            writer.write(b"x")
            writer.flush()
        assert len(synced) == (1 if shared else 0)  # the next one is due in an hour

    driver.delete(UPLOAD)


def test_what_a_flush_cannot_send_is_no_longer_in_the_upload(driver: FilesystemDriver) -> None:
    driver.create_upload(UPLOAD)
    with pytest.MonkeyPatch.context() as patch, driver.open_upload(UPLOAD) as writer:
        patch.setattr(filesystem_uploads, "has_one_host", lambda _: False)
        patch.setattr(os, "fsync", failing(errno.EIO, after=os.fsync))
        writer.write(b"lost")
        with pytest.raises(UnavailableError):
            writer.flush()
        assert writer.size == 0
        writer.write(b"kept")

    assert b"".join(driver.read_upload(UPLOAD)) == b"kept"
    driver.delete(UPLOAD)


def failing(number: int, *, times: int = 1, after: Any = None) -> Any:
    """Return a function that fails with `number` the first `times` and does as `after` from then on."""
    failures = iter([OSError(number, os.strerror(number))] * times)

    def call(*arguments: Any, **options: Any) -> Any:
        error = next(failures, None)
        if error:
            raise error
        return after(*arguments, **options)

    return call


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let files grow to `size` bytes and no further: as good as a full disk, and needs no root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_object_and_nothing_else(driver: FilesystemDriver, medium: Directory) -> None:
    driver.put(BLOB, b"old")

    with room_for(10_000), pytest.raises(NoSpaceError, match=r"^filesystem: put /docker/blobs/1/data: .*$"):
        driver.put(BLOB, noise(20_000))

    assert medium.everything() == {BLOB}
    assert medium.content(BLOB) == b"old"


def test_a_full_disk_leaves_an_upload_of_which_the_size_is_true(driver: FilesystemDriver, medium: Directory) -> None:
    content = noise(20_000)
    driver.create_upload(UPLOAD)
    with room_for(10_000), driver.open_upload(UPLOAD) as writer:
        writer.write(content[:7_000])
        with pytest.raises(NoSpaceError):
            writer.write(content[7_000:])
        assert writer.size == medium.file(UPLOAD).stat().st_size == 10_000

    with driver.open_upload(UPLOAD) as writer:
        writer.write(content[writer.size :])
        writer.commit(BLOB)
    assert medium.content(BLOB) == content


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, NoSpaceError), (errno.EDQUOT, NoSpaceError), (errno.EIO, UnavailableError)]
)
def test_what_could_not_be_made_durable_is_not_in_the_upload(
    driver: FilesystemDriver,
    medium: Directory,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[DriverError],
) -> None:
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        writer.write(b"durable")

    writer = driver.open_upload(UPLOAD)
    writer.write(b" lost")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(number))
        with pytest.raises(error):
            writer.close()

    assert writer.size == 7
    with driver.open_upload(UPLOAD) as writer:
        assert b"".join(writer.content()) == b"durable"
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing(number))
            with pytest.raises(error):
                writer.commit(BLOB)
    assert medium.everything() == {UPLOAD}


def test_a_put_that_could_not_be_made_durable_did_not_happen(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.put(BLOB, b"old")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        with pytest.raises(DriverError, match=r"^filesystem: put .*: Input/output error$"):
            driver.put(BLOB, b"new")

    assert medium.everything() == {BLOB}
    assert medium.content(BLOB) == b"old"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_directories_will_do(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    sync = os.fsync

    def fsync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(number, os.strerror(number))
        sync(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        driver.check()
        upload(driver, b"x")

    assert driver.get(BLOB, limit=LIMIT) == b"x"


def test_a_file_replaced_through_another_host_is_read_again(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.put(BLOB, b"x")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", failing(errno.ESTALE, after=os.fstat))
        assert driver.get(BLOB, limit=LIMIT) == b"x"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", failing(errno.ESTALE, times=2, after=os.fstat))
        with pytest.raises(DriverError, match="Stale file handle"):
            driver.get(BLOB, limit=LIMIT)


# What the power may take


class PowerWatch:
    """Follows the system calls and knows what a loss of power would take: written bytes and names in directories."""

    _CALLS = ("open", "write", "fsync", "fdatasync", "link", "rename", "mkdir", "unlink", "rmdir")

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, *, ordered: bool = False) -> None:
        self._ordered = ordered
        for module in (filesystem_files, filesystem_deleting):
            patch.setattr(module, "keeps_order", lambda _: ordered)
        self.bytes_at_risk: set[int] = set()
        self.names_at_risk: set[str] = set()
        self._root = str(root.parent)
        for name in self._CALLS:
            patch.setattr(os, name, self._followed(getattr(os, name), getattr(self, f"_{name}")))

    def _followed(self, call: Any, follow: Any) -> Any:
        def followed(*arguments: Any, **options: Any) -> Any:
            if options.get("dir_fd") is not None:
                return call(*arguments, **options)  # within a tree that has lost its name already
            result = call(*arguments, **options)
            follow(*arguments)
            return result

        return followed

    def _lose_name(self, name: str) -> None:
        if name.startswith(self._root):
            self.names_at_risk.add(os.path.dirname(name))  # noqa: PTH120

    def _open(self, name: str, flags: int, *mode: int) -> None:
        del mode
        if flags & os.O_CREAT:
            self._lose_name(name)

    def _write(self, fd: int, piece: Sequence[int]) -> None:
        del piece
        self.bytes_at_risk.add(os.fstat(fd).st_ino)

    def _fsync(self, fd: int) -> None:
        self.bytes_at_risk.discard(os.fstat(fd).st_ino)
        if self._ordered:
            self.names_at_risk.clear()
        self.names_at_risk.discard(str(Path(f"/proc/self/fd/{fd}").readlink()))

    def _fdatasync(self, fd: int) -> None:
        self.bytes_at_risk.discard(os.fstat(fd).st_ino)

    def _link(self, source: str, target: str) -> None:
        assert os.stat(source).st_ino not in self.bytes_at_risk, "linked before it was durable"  # noqa: PTH116
        self._lose_name(target)

    def _rename(self, source: str, target: str) -> None:
        assert os.stat(target).st_ino not in self.bytes_at_risk, "renamed before it was durable"  # noqa: PTH116
        self._lose_name(source)
        self._lose_name(target)

    def _mkdir(self, name: str, *mode: int) -> None:
        del mode
        self._lose_name(name)

    def _unlink(self, name: str) -> None:
        self._lose_name(name)

    def _rmdir(self, name: str) -> None:
        self._lose_name(name)
        self.names_at_risk.discard(name)

    def assert_nothing_at_risk(self) -> None:
        assert not self.bytes_at_risk
        assert not self.names_at_risk


@pytest.mark.parametrize("ordered", [False, True])
def test_what_a_call_has_done_survives_a_loss_of_power(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch, ordered: bool
) -> None:
    with monkeypatch.context() as patch:
        watch = PowerWatch(medium.root, patch, ordered=ordered)

        driver.check()
        watch.assert_nothing_at_risk()
        for content in (b"old", b"new"):
            driver.put(f"{ROOT}/a/b/c", content)
            watch.assert_nothing_at_risk()
            driver.put_in_order([(f"{ROOT}/a/{each}/c", content) for each in "xyz"])
            watch.assert_nothing_at_risk()
        driver.put(f"{ROOT}/a/d", b"")
        watch.assert_nothing_at_risk()
        driver.create(f"{ROOT}/a/e", b"new")
        watch.assert_nothing_at_risk()
        for _ in range(2):
            driver.put_in_order(
                [(f"{ROOT}/a/{each}", b"x") for each in ("new/v1/x", "new/v1/y/z/x", "new/v1/y/x", "d")]
            )
            watch.assert_nothing_at_risk()
            driver.start_upload(f"{ROOT}/a/up/data", [(f"{ROOT}/a/up/{each}", b"x") for each in "xy"])
            watch.assert_nothing_at_risk()
            driver.start_upload(f"{ROOT}/a/far/data", [(f"{ROOT}/a/away/x", b"x")])
            watch.assert_nothing_at_risk()
        for _ in range(2):
            driver.create_upload(UPLOAD)
            watch.assert_nothing_at_risk()
            with driver.open_upload(UPLOAD) as writer:
                writer.write(b"x")
                assert watch.bytes_at_risk
            watch.assert_nothing_at_risk()
            with driver.open_upload(UPLOAD) as writer:
                writer.write(b"y")
                writer.commit(BLOB)
                watch.assert_nothing_at_risk()
        driver.discard(driver.walk(f"{ROOT}/a/new"))
        watch.assert_nothing_at_risk()
        for path in (f"{ROOT}/a/b/c", f"{ROOT}/uploads/1", f"{ROOT}/a", BLOB):
            driver.delete(path)
            watch.assert_nothing_at_risk()

    assert list(medium.root.iterdir()) == []


@pytest.mark.parametrize("ordered", [False, True])
def test_an_object_gets_its_name_once_those_before_it_are_durable(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch, ordered: bool
) -> None:
    placed: list[str] = []

    class Watch(PowerWatch):
        def _rename(self, source: str, target: str) -> None:
            for each in placed:
                assert not {str(Path(each).parent), str(Path(each).parents[1])} & self.names_at_risk
            super()._rename(source, target)
            placed.append(target)

    with monkeypatch.context() as patch:
        watch = Watch(medium.root, patch, ordered=ordered)

        for tag in ("v1", "v2"):
            placed.clear()
            driver.put_in_order(
                [(f"{ROOT}/{each}/{tag}/link", b"x") for each in ("blobs", "revisions", "tags")],
                best_effort=[(f"{ROOT}/history/{tag}/link", b"x")],
            )
            lost = {name.removeprefix(str(medium.root)) for name in watch.names_at_risk}
            assert lost <= {ROOT, f"{ROOT}/history", f"{ROOT}/history/{tag}"}
            assert not watch.bytes_at_risk
            watch.names_at_risk.clear()

            assert len(placed) == 4


@pytest.mark.parametrize(("ordered", "syncs"), [(False, [10, 3, 4, 3, 1]), (True, [4, 2, 2, 2, 1])])
def test_nothing_is_synced_that_need_not_be(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch, ordered: bool, syncs: list[int]
) -> None:
    counted: list[int] = []
    driver.put_in_order([(f"{ROOT}/{each}/old/data", b"x") for each in ("blobs", "revisions", "tags", "up", "links")])
    monkeypatch.setattr(filesystem_files, "keeps_order", lambda _: ordered)

    def count(call: Callable[[], object]) -> None:
        made: list[None] = []
        with monkeypatch.context() as patch:
            sync = os.fsync
            patch.setattr(os, "fsync", lambda fd: made.append(sync(fd)))
            call()
        counted.append(len(made))

    manifest = [(f"{ROOT}/{each}", b"x") for each in ("blobs/1/data", "revisions/1/link", "tags/v1/current/link")]
    history = [(f"{ROOT}/tags/v1/index/sha256/1/link", b"x")]
    count(lambda: driver.put_in_order(manifest, best_effort=history, copies_of=manifest[1][0]))
    count(lambda: driver.start_upload(f"{ROOT}/up/1/data", [(f"{ROOT}/up/1/startedat", b"x")]))
    with driver.open_upload(f"{ROOT}/up/1/data") as writer:
        writer.write(b"x")
        count(lambda: writer.commit(f"{ROOT}/blobs/2/data"))
    count(lambda: driver.put(f"{ROOT}/links/2/link", b"x"))
    count(lambda: driver.delete(f"{ROOT}/up/1"))

    assert counted == syncs


@pytest.mark.parametrize("ordered", [False, True])
def test_what_is_stored_as_one_gets_its_second_name_once_all_before_it_is_durable(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch, ordered: bool
) -> None:
    class Watch(PowerWatch):
        def _link(self, source: str, target: str) -> None:
            assert not self.before_history()
            super()._link(source, target)

        def before_history(self) -> set[str]:
            return {each for each in self.names_at_risk if "history" not in each}

    revision, pointer, history = (f"{ROOT}/{each}/1/link" for each in ("revisions", "tags", "history"))
    driver.put(f"{ROOT}/history/0", b"x")
    with monkeypatch.context() as patch:
        watch = Watch(medium.root, patch, ordered=ordered)
        driver.put_in_order([(revision, b"x"), (pointer, b"x")], best_effort=[(history, b"x")], copies_of=revision)
        assert watch.names_at_risk
        assert not watch.before_history()

    assert os.path.samefile(medium.file(revision), medium.file(history))  # noqa: PTH121
    assert medium.file(pointer).stat().st_nlink == 1


def test_directories_that_somebody_prunes_meanwhile_are_made_again(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"{ROOT}/tags/v1/current/link", f"{ROOT}/tags/v1/index/sha256/1/link"]
    rename, pruned = os.rename, iter([True])

    def renamed(source: str, target: str) -> None:
        rename(source, target)
        if next(pruned, False):
            shutil.rmtree(medium.file(f"{ROOT}/tags"))

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", renamed)
        driver.put_in_order([(path, b"x") for path in paths])

    assert medium.everything() == {paths[1]}


def test_a_full_disk_keeps_the_first_objects_of_several(driver: FilesystemDriver, medium: Directory) -> None:
    objects = [(f"{ROOT}/1", b"x"), (f"{ROOT}/2", noise(20_000)), (f"{ROOT}/3", b"x")]

    with room_for(10_000), pytest.raises(NoSpaceError):
        driver.put_in_order(objects, best_effort=[(f"{ROOT}/4", b"x")])

    assert medium.everything() == {f"{ROOT}/1"}


def test_bytes_of_a_dead_writer_are_durable_once_published(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium.write(UPLOAD, b"written, never synced")

    with monkeypatch.context() as patch:
        watch = PowerWatch(medium.root, patch)
        watch.bytes_at_risk.add(medium.file(UPLOAD).stat().st_ino)
        with driver.open_upload(UPLOAD) as writer:
            writer.commit(BLOB)

        watch.assert_nothing_at_risk()


def test_a_purge_takes_what_crashes_have_left_and_is_old(driver: FilesystemDriver, medium: Directory) -> None:
    driver.put(BLOB, b"x")
    directory = medium.file(BLOB).parent
    for name in (".tmp-old", ".tmp-young"):
        (directory / name).write_bytes(b"half")
    (directory / ".tmp-tree").mkdir()
    (directory / ".tmp-tree/data").write_bytes(b"half deleted")
    for name in (".tmp-old", ".tmp-tree", "data"):
        os.utime(directory / name, (0, 0))

    assert driver.purge(time.time() - 3600) == 2

    assert {entry.name for entry in directory.iterdir()} == {"data", ".tmp-young"}
    (directory / ".tmp-young").unlink()


@pytest.mark.parametrize("good", range(len(["bytes", "directory", "parent"]) * 3))
def test_a_sync_that_fails_is_not_tried_again(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    objects = [(f"{ROOT}/{each}/1/link", b"x") for each in ("blobs", "revisions", "tags", "history")]
    for path, content in objects:
        driver.put(path.replace("/1/", "/0/"), content)
    sync, calls = os.fsync, iter(range(99))

    def fsync(fd: int) -> None:
        if next(calls) == good:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    with monkeypatch.context() as patch:
        patch.setattr(filesystem_files, "keeps_order", lambda _: False)
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(DriverError, match=r"^filesystem: put .*: Input/output error$"):
            driver.put_in_order(objects[:3], best_effort=objects[3:], copies_of=objects[1][0])

    assert next(calls) == good + 1
    assert objects[3][0] not in medium.everything()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK, errno.ENOENT])
def test_what_cannot_be_stored_as_one_is_stored_twice(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "link", failing(number))
    driver.put_in_order([(f"{ROOT}/1", b"x")], best_effort=[(BLOB, b"x")], copies_of=f"{ROOT}/1")

    assert medium.content(BLOB) == b"x"
    assert medium.file(BLOB).stat().st_nlink == 1


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_create_works_where_there_are_no_hard_links(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def link(source: str, target: str) -> None:
        raise OSError(number, os.strerror(number), source, None, target)

    monkeypatch.setattr(os, "link", link)  # no such file system can be mounted here
    driver.create(BLOB, b"first")

    with pytest.raises(PathExistsError):
        driver.create(BLOB, b"second")
    assert driver.get(BLOB, limit=9) == b"first"
