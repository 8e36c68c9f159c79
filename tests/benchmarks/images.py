"""Load by skopeo, which pushes and pulls a whole image that no registry has seen before."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from tests.benchmarks.content import KIB, MIB, TAG, make_image
from tests.benchmarks.tools import Load, LoadError, load_of

if TYPE_CHECKING:
    from tests.benchmarks.measuring import Target

_LAYERS = (32 * MIB, 4 * MIB, 256 * KIB)


def make(target: Target) -> None:
    """Make an image to push."""
    shutil.rmtree(target.scratch / "layout", ignore_errors=True)
    make_image(target.scratch / "layout", _LAYERS)


def push(target: Target) -> Load:
    """Push the image that was made."""
    return _skopeo(target, f"oci:{target.scratch}/layout:{TAG}", _remote(target))


def make_and_push(target: Target) -> None:
    """Make an image and push it, to be pulled."""
    make(target)
    push(target)
    shutil.rmtree(target.scratch / "pulled", ignore_errors=True)


def pull(target: Target) -> Load:
    """Pull the image that was pushed."""
    return _skopeo(target, _remote(target), f"dir:{target.scratch}/pulled")


def _remote(target: Target) -> str:
    return f"docker://{target.address.host}:{target.address.port}/bench/skopeo:{TAG}"


def _skopeo(target: Target, source: str, destination: str) -> Load:
    options = ["--src-tls-verify=false"] if source.startswith("docker:") else ["--dest-tls-verify=false"]
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests", *options, source, destination]
    started = time.perf_counter()
    environment = {**os.environ, "HOME": str(target.scratch)}
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if finished.returncode:
        raise LoadError(f"{' '.join(command)}: {finished.stderr}")
    spent = time.perf_counter() - started
    return load_of([spent], spent)
