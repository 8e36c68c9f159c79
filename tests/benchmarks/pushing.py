"""Load by pushes, which no common tool makes. A process of its own, as wrk and hey are.

Prints a line of JSON: the seconds that each push took, and how long all of them took together.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.connection import Connection, with_digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Barrier

_TAIL_BYTES = 32
_MIB = 1024 * 1024
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Content:
    """Endlessly many blobs of one size: the bytes of a file, and a tail that is never the same."""

    path: Path
    _hash: Any

    @classmethod
    def load(cls, path: Path) -> Content:
        """Hash the file once, so that pushes need not."""
        with path.open("rb") as file:
            return cls(path, hashlib.file_digest(file, "sha256"))

    def vary(self) -> tuple[bytes, str]:
        """Return a tail and the digest of the file with it."""
        tail, digest = os.urandom(_TAIL_BYTES), self._hash.copy()
        digest.update(tail)
        return tail, f"sha256:{digest.hexdigest()}"


def push_put(connection: Connection, repository: str, content: Content) -> float:
    """POST, PUT with the body."""
    tail, digest = content.vary()
    with content.path.open("rb") as file:
        started = time.perf_counter()
        location = _start(connection, repository)
        connection.request("PUT", with_digest(location, digest), expected=201, file=file, body=tail)
        return time.perf_counter() - started


def push_patch(connection: Connection, repository: str, content: Content) -> float:
    """POST, PATCH with the body, PUT."""
    tail, digest = content.vary()
    with content.path.open("rb") as file:
        started = time.perf_counter()
        location = _start(connection, repository)
        location = connection.request("PATCH", location, expected=202, file=file, body=tail).location
        connection.request("PUT", with_digest(location, digest), expected=201)
        return time.perf_counter() - started


def push_chunks(connection: Connection, repository: str, content: Content) -> float:
    """POST, one PATCH for each MiB, PUT with the tail."""
    tail, digest = content.vary()
    with content.path.open("rb") as file:
        started = time.perf_counter()
        location = _start(connection, repository)
        while chunk := file.read(_MIB):
            # zot takes further chunks only with the range that the specification asks for.
            span = f"{file.tell() - len(chunk)}-{file.tell() - 1}"
            location = connection.request("PATCH", location, expected=202, body=chunk, content_range=span).location
        span = f"{file.tell()}-{file.tell() + len(tail) - 1}"
        connection.request("PUT", with_digest(location, digest), expected=201, body=tail, content_range=span)
        return time.perf_counter() - started


def push_manifest(connection: Connection, repository: str, content: Content) -> float:
    """PUT of a manifest, each under a tag of its own; `content` is the manifest to vary."""
    document = json.loads(content.path.read_bytes())
    unique = os.urandom(8).hex()
    document["annotations"] = {"unique": unique}
    body = json.dumps(document).encode()
    started = time.perf_counter()
    target = f"/v2/{repository}/manifests/{unique}"
    connection.request("PUT", target, expected=201, body=body, media_type=_MANIFEST)
    return time.perf_counter() - started


WAYS: dict[str, Callable[[Connection, str, Content], float]] = {
    "put": push_put,
    "patch": push_patch,
    "chunks": push_chunks,
    "manifest": push_manifest,
}


def main() -> None:
    """Push as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("repository")
    parser.add_argument("content", type=Path)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.0)
    options = parser.parse_args()
    content = Content.load(options.content)
    context = get_context("fork")
    barrier = context.Barrier(options.clients)
    with context.Pool(options.clients, _prepare, (options, content, barrier)) as pool:
        results = pool.map(_client, range(options.clients), chunksize=1)
    latencies = [seconds for result in results for seconds in result[2]]
    spent = max(result[1] for result in results) - min(result[0] for result in results)
    print(json.dumps({"seconds": spent, "latencies": latencies}))


_prepared: tuple[argparse.Namespace, Content, Barrier]


def _prepare(options: argparse.Namespace, content: Content, barrier: Barrier) -> None:
    global _prepared  # noqa: PLW0603  how a pool hands over what is inherited by fork, not pickled
    _prepared = options, content, barrier


def _client(_: int) -> tuple[float, float, list[float]]:
    """Push until the time is up, at least once; return when that began and ended, and how long each took."""
    options, content, barrier = _prepared
    push = WAYS[options.way]
    latencies: list[float] = []
    with Connection(options.address, options.port) as connection:
        barrier.wait()
        started = time.perf_counter()
        while not latencies or time.perf_counter() - started < options.seconds:
            latencies.append(push(connection, options.repository, content))
        return started, time.perf_counter(), latencies


def _start(connection: Connection, repository: str) -> str:
    return connection.request("POST", f"/v2/{repository}/blobs/uploads/", expected=202).location


if __name__ == "__main__":
    main()
