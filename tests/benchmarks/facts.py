"""What the figures depend on, and the limits that the machine sets to every registry."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
import time
from typing import TYPE_CHECKING

from tests.benchmarks.content import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.processor import Processor


_HASHING = """
import hashlib, time
content = bytes(64 << 20)
started = time.process_time()
hashlib.sha256(content).digest()
print(time.process_time() - started)
"""


def gather(directory: Path, processor: Processor, *, without_sha: bool) -> dict[str, object]:
    """Return the facts by name; `directory` is where one can write to tmpfs.

    `without_sha` says that our environment keeps programs from the SHA instructions of the `processor`.
    """
    # A process of its own: OpenSSL reads our environment when it is loaded.
    finished = subprocess.run([sys.executable, "-c", _HASHING], capture_output=True, text=True, check=True)
    hashing = float(finished.stdout)
    content = bytes(64 * MIB)
    started = time.perf_counter()
    (directory / "probe").write_bytes(content)
    writing = time.perf_counter() - started
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor.described(switched_off=without_sha),
        "machine": f"{platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}",
        "Python was built": build_of(sysconfig.get_config_var("CONFIG_ARGS") or ""),
        "SHA-256, MiB/s of one core": round(64 / hashing),
        "writing to tmpfs, MiB/s": round(64 / writing),
    }


def build_of(options: str) -> str:
    """Say whether the Python that runs our registry is optimised, by its `options` of configure."""
    if "--enable-optimizations" in options:
        return "optimised (--enable-optimizations)"
    return "NOT optimised (no --enable-optimizations; Debian's is): ours is slower than it need be"
