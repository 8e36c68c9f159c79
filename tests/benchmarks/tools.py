"""Load from programs: wrk and hey where they can make it, our own for pushes."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class LoadError(Exception):
    """A load generator failed, or the server refused what it asked for."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator saw; times in seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Address:
    """Where clients send their requests."""

    host: str
    port: int

    def url(self, target: str) -> str:
        """Return the URL of `target`."""
        return f"http://{self.host}:{self.port}{target}"


def missing_tools() -> list[str]:
    """Return the load generators that this machine lacks."""
    return [name for name in ("wrk", "hey") if shutil.which(name) is None]


def wrk(address: Address, target: str, *, clients: int, seconds: float, headers: Mapping[str, str]) -> Load:
    """GET `target` over and over."""
    # Its default timeout of two seconds is less than a page of a large list may take with many clients.
    options = [f"-c{clients}", f"-t{min(clients, 2)}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "60s"]
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    text = _run(["wrk", *options, *fields, address.url(target)])
    found = re.search(r"(\d+) requests in ([\d.]+)(\w+),", text)
    if not found or "Non-2xx" in text or "Socket errors" in text:
        raise LoadError(f"wrk of {target}: {text}")
    p50, p99 = (_wrk_percentile(text, each) for each in (50, 99))
    return Load(int(found[1]), float(found[2]) * _UNITS[found[3]], p50, p99)


def hey(
    address: Address,
    target: str,
    *,
    method: str = "GET",
    clients: int,
    requests: int,
    headers: Mapping[str, str],
) -> Load:
    """Send `requests` requests, rounded down to a multiple of `clients`."""
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    amounts = ["-n", str(requests), "-c", str(clients)]
    text = _run(["hey", *amounts, "-m", method, "-o", "csv", "-t", "0", *fields, address.url(target)])
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or any(row["status-code"][:1] != "2" for row in rows):
        raise LoadError(f"hey {method} {target}: {text[:400]}")
    latencies = [float(row["response-time"]) for row in rows]
    spent = max(float(row["offset"]) + float(row["response-time"]) for row in rows)
    return load_of(latencies, spent)


def push(address: Address, way: str, repository: str, content: Path, *, clients: int, seconds: float) -> Load:
    """Push variations of `content` into `repository` for `seconds`, at least one for each client."""
    options = ["--clients", str(clients), "--seconds", str(seconds)]
    program = [sys.executable, "-m", "tests.benchmarks.pushing"]
    text = _run([*program, way, address.host, str(address.port), repository, str(content), *options])
    report = json.loads(text)
    return load_of(report["latencies"], report["seconds"])


def load_of(latencies: Sequence[float], seconds: float) -> Load:
    """Return the figures of requests that took `latencies` each and `seconds` together."""
    ordered = sorted(latencies)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return Load(len(ordered), seconds, statistics.median(ordered), p99)


def _wrk_percentile(text: str, percent: int) -> float:
    found = re.search(rf"^\s*{percent}%\s+([\d.]+)(\w+)\s*$", text, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def _run(command: Sequence[str]) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise LoadError(f"{' '.join(command)}: {finished.stderr[-2000:]}")
    return finished.stdout
