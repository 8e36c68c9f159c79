"""What the operating system says of the files below the root, at every call that the driver makes."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from itertools import product
from typing import TYPE_CHECKING, Final

import pytest

from drivers.base import (
    Found,
    NoSpaceError,
    NotPermittedError,
    NotWritableError,
    PathNotFoundError,
    StorageDriver,
    UnavailableError,
)
from drivers.filesystem.driver import FilesystemDriver
from tests.faults import CALLS, Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ERRORS: Final = {
    errno.EIO: UnavailableError,
    errno.ESTALE: UnavailableError,
    errno.ENOTCONN: UnavailableError,
    errno.EMFILE: UnavailableError,
    errno.ENOLCK: UnavailableError,
    errno.ENOSPC: NoSpaceError,
    errno.EACCES: NotPermittedError,
    errno.EROFS: NotWritableError,
}
READING: Final = frozenset(
    {"get", "read", "list", "walk", "holds", "stat", "open_local", "probe", "upload_size", "log_read", "log_count"}
)
"""Operations that write nothing."""
UNNOTICED: Final = {
    # A directory that cannot be removed, or looked through for what crashes have left, is left as it is.
    ("delete", "rmdir"),
    ("delete_below", "rmdir"),
    ("discard", "rmdir"),
    ("purge", "opendir"),
    ("purge", "readdir"),
    # Python opens a file also where this fails.
    ("open_local", "fstat"),
    # What was acknowledged is durable before the file is closed.
    ("log", "close"),
    ("log_on", "close"),
    # It is a hint, and the object is put in another way.
    ("put_in_order", "link"),
}


FOUND: Final[list[Found]] = []
"""What a walk has named before an operation."""


def _read(driver: StorageDriver) -> None:
    for piece in driver.read("/docker/medium/object"):
        assert piece


def _append(driver: StorageDriver) -> None:
    with driver.open_upload("/docker/medium/upload") as writer:
        writer.write(b"more")


def _commit(driver: StorageDriver) -> None:
    with driver.open_upload("/docker/medium/upload") as writer:
        writer.write(b"more")
        list(writer.content())
        writer.commit("/docker/medium/new/data")


def _cancel(driver: StorageDriver) -> None:
    with driver.open_upload("/docker/medium/upload") as writer:
        writer.cancel()


def _append_on(driver: StorageDriver) -> None:
    log = driver.log("/docker/medium/log")
    log.append(b"first")
    log.append(b"second")


OPERATIONS: Mapping[str, Callable[[StorageDriver], object]] = {
    "get": lambda driver: driver.get("/docker/medium/object", limit=100),
    "read": _read,
    "open_local": lambda driver: driver.open_local("/docker/medium/object"),
    "stat": lambda driver: driver.stat("/docker/medium/object"),
    "list": lambda driver: driver.list("/docker/medium", limit=9),
    "holds": lambda driver: driver.holds("/docker/medium", likely="missing"),
    "put": lambda driver: driver.put("/docker/medium/object", b"new"),
    "put_in_order": lambda driver: driver.put_in_order(
        [("/docker/medium/a/x", b"x")], best_effort=[("/docker/medium/b/x", b"x")], copies_of="/docker/medium/a/x"
    ),
    "create": lambda driver: driver.create("/docker/medium/created/object", b"new"),
    "delete": lambda driver: driver.delete("/docker/medium/object"),
    "delete_below": lambda driver: driver.delete("/docker/medium/below"),
    "walk": lambda driver: [*driver.walk("/docker/medium")],
    "discard": lambda driver: driver.discard(FOUND),
    "start_upload": lambda driver: driver.start_upload("/docker/medium/started/data", [("/docker/medium/at", b"now")]),
    "upload_size": lambda driver: driver.upload_size("/docker/medium/upload"),
    "append": _append,
    "commit": _commit,
    "cancel": _cancel,
    "log": lambda driver: driver.log("/docker/medium/log").append(b"record"),
    "log_on": _append_on,
    "log_read": lambda driver: driver.log("/docker/medium/logged").after("", before_ns=2**62, limit=9),
    "log_count": lambda driver: driver.log("/docker/medium/logged").count(""),
    "log_trim": lambda driver: driver.log("/docker/medium/trimmed").trim(2**62),
    "purge": lambda driver: driver.purge(0),
    "probe": lambda driver: driver.probe(),
}


def try_all(root: str) -> None:
    """Print a line for each error that an operation has met: the class of what it has become, and its text."""
    faults = Faults(os.environ)
    driver = FilesystemDriver(root, lock_seconds=0)
    never: set[tuple[str, str]] = set()
    for (name, operation), call, number in product(OPERATIONS.items(), CALLS, ERRORS):
        if (name, call) in never:
            continue
        with suppress(PathNotFoundError):
            driver.delete("/docker/medium")
        driver.put("/docker/medium/object", b"old")
        driver.put("/docker/medium/below/object", b"old")
        driver.create_upload("/docker/medium/upload")
        if name.startswith("log_"):
            driver.log("/docker/medium/logged").append(b"record")
            driver.put(f"/docker/medium/trimmed/{0:019}-{0:016x}", b"old")
        FOUND[:] = driver.walk("/docker/medium/below")
        kind, text, result = "-", "-", None
        with faults.raising(call, number, root if name == "probe" else "/medium"):
            try:
                result = operation(driver)
            except Exception as error:  # noqa: BLE001  which it is, is the question
                kind, text = type(error).__name__, str(error)
        if isinstance(result, FileIO):
            result.close()
        if faults.count:
            print(name, call, number, kind, text, sep="\t")
        else:
            never.add((name, call))


@dataclass(frozen=True, slots=True)
class Outcome:
    operation: str
    call: str
    number: int
    kind: str
    text: str


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    directory = tmp_path_factory.mktemp("faults")
    faults = Faults.build(directory)
    script = f"from tests.drivers.filesystem.test_faults import try_all; try_all('{directory}/root')"
    printed = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], **faults.environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    lines = (line.split("\t") for line in printed.stdout.splitlines())
    return [Outcome(operation, call, int(number), kind, text) for operation, call, number, kind, text in lines]


def test_errors_of_the_operating_system_leave_the_driver_as_the_contracts(outcomes: list[Outcome]) -> None:
    assert {each.call for each in outcomes} == {*CALLS} - {"sendfile"}
    assert {each.operation for each in outcomes} == {*OPERATIONS}
    unnoticed = {(each.operation, each.call) for each in outcomes if each.kind == "-"}
    assert unnoticed <= UNNOTICED
    for each in outcomes:
        kinds = {ERRORS[each.number].__name__, "-"}
        if each.number == errno.ESTALE:
            kinds.add("StaleError")
        elif each.number == errno.EACCES and each.operation not in READING:
            # The content is read back before it is published.
            kinds = {"NotWritableError", "-", *({"NotPermittedError"} if each.operation == "commit" else ())}
        assert each.kind in kinds, each


def test_the_text_is_one_line_that_names_the_call_the_path_and_the_reason(outcomes: list[Outcome]) -> None:
    for each in outcomes:
        if each.kind != "-":
            told, _, advice = each.text.partition("; ")
            assert re.fullmatch(rf"filesystem: [a-z ]+ /\S+: {os.strerror(each.number)}( for user \d+)?", told)
            assert told.endswith(f" for user {os.geteuid()}") == (each.number == errno.EACCES)
            if each.number == errno.EROFS:
                assert advice.startswith("mount it writable, or ")
            else:
                assert not advice or (each.number == errno.EACCES and "SELinux" in advice)
            assert len(each.text.splitlines()) == 1
