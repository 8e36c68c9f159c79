"""What an import takes of memory at its peak, in a process of its own, beside what a small archive takes."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.archive.tars import MANIFEST, archive, blob, entry, header, index, member, pax
from tests.content import image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PEAK = """
import sys
sys.argv[0] = "registry"
from registry.cli import main
try:
    main()
finally:
    status = open("/proc/self/status").read()
    print(status.partition("VmHWM:")[2].split()[0])
"""


def write_long_name(path: Path, kind: bytes, size: int) -> None:
    begin = b"" if kind != tarfile.XHDTYPE else f"{size} path=".encode()
    with path.open("wb") as file:
        file.write(header("x", size, kind) + begin)
        for _ in range(size // 1_000_000):
            file.write(b"n" * 1_000_000)


def write_index(path: Path, document: bytes) -> None:
    path.write_bytes(archive(index=member("index.json", document)))


def write_manifests(path: Path, count: int, size: int) -> None:
    manifests = [image(b"{}", b"layer", annotations={f"{number}": "x" * size}) for number in range(count)]
    entries = [entry(manifest, f"app:v{number}") for number, manifest in enumerate(manifests)]
    path.write_bytes(archive(index=member("index.json", index(*entries)), after=b"".join(map(blob, manifests))))


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda path: write_long_name(path, tarfile.XHDTYPE, 200_000_000), "a name, or other attributes, of 200000000"),
        (lambda path: write_long_name(path, tarfile.GNUTYPE_LONGNAME, 200_000_000), "a name, or other attributes, of"),
        (lambda path: write_long_name(path, tarfile.XGLTYPE, 200_000_000), "a name, or other attributes, of"),
        (lambda path: path.write_bytes(archive(before=header("x", 0) * 100_000)), ""),
        (lambda path: path.write_bytes(archive(before=pax(("a", b"x" * 400)) * 50_000)), ""),
        (lambda path: write_index(path, b'{"manifests":[' + b"{}," * 5_000_000 + b"{}]}"), "more than 1000000 values"),
        (lambda path: write_index(path, index(*[entry(MANIFEST)] * 40_000)), ""),
        (lambda path: write_index(path, index(entry(MANIFEST), x="y" * 15_000_000)), ""),
        (lambda path: write_index(path, b" " * 200_000_000), "has 200000000 bytes"),
        (lambda path: write_manifests(path, count=30, size=3_000_000), ""),
    ],
    ids=["pax name", "gnu name", "global", "members", "headers", "values", "entries", "string", "blanks", "manifests"],
)  # fmt: skip
def test_memory_does_not_grow_with_what_an_archive_holds(
    tmp_path: Path, write: Callable[[Path], None], expected: str
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "config.yml").write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/root}}}}\n")
    (tmp_path / "good.tar").write_bytes(archive())
    write(tmp_path / "bad.tar")

    def imported(path: Path) -> tuple[int, str, int]:
        command = [sys.executable, "-c", PEAK, "import", "--config", str(tmp_path / "config.yml"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr, int(done.stdout.split()[-1])

    code, told, peak = imported(tmp_path / "bad.tar")
    assert (code, told.count("\n")) == ((1, 1) if expected else (0, 0))
    assert expected in told
    assert expected == "" or list((tmp_path / "root").rglob("*")) == []
    assert peak < imported(tmp_path / "good.tar")[2] + 64 * 1024
