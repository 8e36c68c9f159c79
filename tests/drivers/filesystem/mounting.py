"""A file system that is read-only, seen by one process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_CANNOT_MOUNT: Final = 77
_MOUNT: Final = (
    f'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit {_CANNOT_MOUNT}; exec "$2" -c "$3" "$1"'
)


def run_on_read_only(directory: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run `script`, in Python, on `directory`, its argument, which it finds read-only; skip the test without mounts."""
    child = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _MOUNT, "sh", directory, sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode == _CANNOT_MOUNT or child.stderr.startswith("unshare:"):
        pytest.skip("nothing can be mounted here")
    return child
