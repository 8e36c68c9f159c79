"""What a cache of another registry costs: hits, misses, and hits while its upstream is slow."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack
from itertools import product
from typing import TYPE_CHECKING

from tests.benchmarks.content import TAG, forget_pushed
from tests.benchmarks.measuring import Target, through, under_load
from tests.benchmarks.tools import ACCEPT, Load, LoadError, hey, load_of, wrk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.measuring import Measurement

_CLIENTS = 32
_FEW = 4
_COLD = 64
_WAITING = 200
_ACCEPT = {"Accept": ACCEPT}
_PIECE_BYTES = 256 * 1024
_SETTLES_SECONDS = 0.3
"""Until a cache has stored what it has served."""
_MARGIN_SECONDS = 3.0
"""Longer than a load generator takes to start and to end."""
_TIMEOUT_SECONDS = 300


def measured(run: Callable[[Target], Load], *, delay: float = 0.0) -> Callable[[Target], Measurement]:
    """Return what measures a registry under the load of `run`; if it is a cache, with an upstream that far away."""

    def measure(target: Target) -> Measurement:
        upstream = target.upstream
        if upstream is None:
            return under_load(run)(target)
        wall = time.time()
        try:
            return through(upstream.relay, delay, run, target)
        finally:
            forget_pushed(upstream.server.site.root, wall)

    return measure


def prepare(target: Target) -> None:
    """Let a cache have all samples."""
    if target.upstream is None:
        return
    manifests = (f"manifests/{reference}" for reference in (TAG, target.samples.manifest_digest))
    wanted = [*manifests, *(f"blobs/{digest}" for digest in target.samples.blobs.values())]
    for name, what in product((target.cached, target.asked), wanted):
        hey(target.address, f"/v2/{name}/{what}", clients=1, requests=1, headers=_ACCEPT)
    time.sleep(_SETTLES_SECONDS)


def manifest_by_digest(target: Target) -> Load:
    """GET a manifest that is cached."""
    return _hits(target, f"/v2/{target.cached}/manifests/{target.samples.manifest_digest}", _CLIENTS)


def blob(target: Target, *, size: int) -> Load:
    """GET a blob that is cached."""
    return _hits(target, f"/v2/{target.cached}/blobs/{target.samples.blobs[size]}", _CLIENTS)


def fresh_tag(target: Target) -> Load:
    """GET a manifest by a tag of which the upstream was asked not long ago, where the cache has such a thing."""
    return _hits(target, f"/v2/{target.cached}/manifests/{TAG}", _CLIENTS)


def asked_tag(target: Target) -> Load:
    """GET a manifest by a tag that is looked for upstream each time. One client: several might share an answer."""
    return _hits(target, f"/v2/{target.asked}/manifests/{TAG}", 1)


def miss(target: Target) -> Load:
    """GET a large blob that is not cached, once; how long all of it takes is the latency."""
    size = target.samples.scale.huge
    _, last = _download(target, _new_blob(target, size), size)
    return load_of([last], last)


def first_byte(target: Target) -> Load:
    """GET a large blob that is not cached, once; how long its first byte takes is the latency."""
    size = target.samples.scale.large
    first, last = _download(target, _new_blob(target, size), size)
    return load_of([first], last)


def cold(target: Target) -> Load:
    """GET a blob that is not cached, by many clients at once."""
    path = _new_blob(target, target.samples.scale.large)
    return hey(target.address, path, clients=_COLD, requests=_COLD, headers={})


def beside_waiting(target: Target) -> Load:
    """GET a manifest that is cached, while many clients wait for an upstream that takes longer than this does."""
    if target.upstream is None:
        raise LoadError("there is no upstream to wait for")
    seconds = target.samples.scale.seconds + _MARGIN_SECONDS
    target.upstream.relay.delay(seconds)
    with ExitStack() as stack:
        for _ in range(_WAITING):
            client = stack.enter_context(socket.create_connection((target.address.host, target.address.port)))
            client.sendall(_request(target, f"/v2/{target.cached}/manifests/sha256:{os.urandom(32).hex()}"))
        time.sleep(_SETTLES_SECONDS)
        load = _hits(target, f"/v2/{target.cached}/manifests/{target.samples.manifest_digest}", _FEW)
    target.upstream.relay.delay(0)
    time.sleep(seconds)  # what was asked for is not part of the next row
    return load


def _hits(target: Target, path: str, clients: int) -> Load:
    scale = target.samples.scale
    if scale.seconds < 1:
        return hey(target.address, path, clients=clients, requests=scale.requests, headers=_ACCEPT)
    return wrk(target.address, path, clients=clients, seconds=scale.seconds, headers=_ACCEPT)


def _new_blob(target: Target, size: int) -> str:
    """Return the path of a blob that only the upstream has."""
    if target.upstream is None:
        raise LoadError("there is no upstream to have a blob")
    return f"/v2/{target.cached}/blobs/{target.upstream.push(target.samples.push_file(size))}"


def _download(target: Target, path: str, size: int) -> tuple[float, float]:
    """Return after how many seconds the first byte of a blob of `size` bytes came, and the last."""
    buffer, started = bytearray(_PIECE_BYTES), time.perf_counter()
    with socket.create_connection((target.address.host, target.address.port), _TIMEOUT_SECONDS) as client:
        client.sendall(_request(target, path))
        head = b""
        while b"\r\n\r\n" not in head:
            head += _received(client, buffer)
        head, _, body = head.partition(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise LoadError(f"{path}: {head.decode('latin-1')}")
        left, first = size - len(body), time.perf_counter() if body else 0.0
        while left > 0:
            left -= len(_received(client, buffer))
            first = first or time.perf_counter()
    return first - started, time.perf_counter() - started


def _received(client: socket.socket, buffer: bytearray) -> memoryview:
    count = client.recv_into(buffer)
    if not count:
        raise LoadError("an answer ends too early")
    return memoryview(buffer)[:count]


def _request(target: Target, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {target.address.host}:{target.address.port}\r\n\r\n".encode()
