"""Faults of a medium and of a machine, as the operating system reports them.

A disk is made to fail by a library that is loaded before libc (``faults.c``): the program under test makes its system
calls as ever, in its own process.
"""

from __future__ import annotations

import mmap
import os
import resource
import shutil
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PAGE: Final = struct.Struct("<iii20s480s")
_NOBODY: Final = 65534
CALLS: Final = (
    *("open", "read", "pread", "write", "fsync", "stat", "fstat", "flock", "mkdir", "rmdir", "unlink", "rename"),
    *("link", "opendir", "readdir", "sendfile", "close", "fdatasync"),
)
"""The calls that can be made to fail."""


class Faults:
    """The calls of programs that run with `environ` fail as they are told; such a program may itself tell."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        with Path(environ["FAULTS_PAGE"]).open("r+b") as page:
            self._page = mmap.mmap(page.fileno(), _PAGE.size)

    @classmethod
    def build(cls, directory: Path) -> Faults:
        """Compile what a program needs; skip the test where that is not possible."""
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("there is no C compiler")
        library, page = directory / "faults.so", directory / "faults"
        source = Path(__file__).with_name("faults.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True, timeout=60)
        page.write_bytes(bytes(_PAGE.size))
        return cls({"LD_PRELOAD": str(library), "FAULTS_PAGE": str(page)})

    @property
    def count(self) -> int:
        """How many calls have failed since the last block began."""
        failed: int = _PAGE.unpack(self._page[: _PAGE.size])[2]
        return failed

    @contextmanager
    def raising(self, call: str, number: int, part: str, *, after: int = 0) -> Iterator[None]:
        """Let `call` fail with the error `number` on files with `part` in their path, after so many calls."""
        self._page[:] = _PAGE.pack(0, after, 0, call.encode(), part.encode())
        self._set_error(number)
        try:
            yield
        finally:
            self._set_error(0)

    @contextmanager
    def killing(self, part: str, *, after: int) -> Iterator[None]:
        """Let the process be killed at any call on files with `part` in their path, after so many calls."""
        with self.raising("", -1, part, after=after):
            yield

    def _set_error(self, number: int) -> None:
        self._page[:4] = struct.pack("<i", number)


@contextmanager
def no_more_threads() -> Iterator[None]:
    """Let this process start no thread in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if not os.getuid():
        os.setresuid(_NOBODY, _NOBODY, 0)  # the limit does not bind root
    resource.setrlimit(resource.RLIMIT_NPROC, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))
        if os.getresuid()[2] == 0:
            os.setresuid(0, 0, 0)
