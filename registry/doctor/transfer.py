"""What happens to a blob on its way in and out: Location, limits, buffering, pauses, ranges, redirects."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.doctor.client import UnreachableError
from registry.doctor.findings import odd, skipped, well, wrong
from registry.doctor.front import REPOSITORY
from registry.foundation.sizes import spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.doctor.client import Deployment, Reply
    from registry.doctor.findings import Finding

_ACCEPTED, _CREATED, _NO_CONTENT, _PARTIAL, _REDIRECT, _NOT_ALLOWED, _TOO_LARGE = 202, 201, 204, 206, 307, 405, 413
_PIECE_BYTES: Final = 256 * 1024
_POLL_SECONDS: Final = 0.2
_OCTETS: Final = {"Content-Type": "application/octet-stream"}
_FORWARDED: Final = "let the proxy pass Host and X-Forwarded-Proto, or set http.host to the public URL"
_TIMEOUTS: Final = "raise the proxy's timeouts for request bodies (nginx: client_body_timeout, proxy_read_timeout)"
_UNBUFFERED: Final = "switch request buffering off (nginx: proxy_request_buffering off)"


@dataclass(slots=True)
class _Paused:
    """A body that stops half-way until the doctor has seen how much of it has arrived."""

    content: bytes
    half_sent: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __iter__(self) -> Iterator[bytes]:
        half = len(self.content) // 2
        for start in range(0, len(self.content), _PIECE_BYTES):
            if start >= half and not self.half_sent.is_set():
                self.half_sent.set()
                self.go_on.wait()
            yield self.content[start : start + _PIECE_BYTES]


def transfer(
    deployment: Deployment, *, size: int, pause_seconds: float, begin: Callable[[str], None]
) -> Iterator[Finding]:
    """Push a blob of `size` bytes with a pause in it, read some of it back, and delete it."""
    begin("beginning an upload")
    begun = deployment.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b"")
    if begun.status == _NOT_ALLOWED:
        yield skipped("push", "this registry takes no pushes: it is read-only, or a cache of another one")
        return
    if begun.status != _ACCEPTED:
        yield skipped(
            "push", f"may not begin an upload: {begun.status} {begun.error_code()}", "--user with the right to push"
        )
        return
    location = begun.header("Location")
    yield _location(deployment, location)
    if not deployment.is_ours(deployment.absolute(location)):
        return
    content = os.urandom(size)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    begin(f"pushing {spelled(size)} with a pause of {pause_seconds:g} s")
    appended, arrived = _append(deployment, location, content, pause_seconds)
    yield from _judged(appended, arrived, size, pause_seconds)
    if appended is None or appended.status != _ACCEPTED:
        with suppress(UnreachableError):
            deployment.ask("DELETE", location)
        return
    location = appended.header("Location")
    separator = "&" if "?" in location else "?"
    begin("finishing the upload")
    finished = deployment.ask("PUT", f"{location}{separator}digest={digest}", b"", _OCTETS)
    if finished.status != _CREATED:
        yield wrong(
            "push", f"the upload is not finished: {finished.status} {finished.error_code()}", "see the registry's log"
        )
        return
    yield well("push", f"{size} bytes pushed")
    blob = f"/v2/{REPOSITORY}/blobs/{digest}"
    begin("reading a part of it")
    yield from _read_back(deployment, blob, content)
    deployment.ask("DELETE", blob)


def _location(deployment: Deployment, location: str) -> Finding:
    given, ours = urlsplit(deployment.absolute(location)), urlsplit(deployment.url)
    if (given.scheme, given.netloc) != (ours.scheme, ours.netloc):
        found = f"{given.scheme}://{given.netloc} instead of {ours.scheme}://{ours.netloc}"
        return wrong("location", f"uploads continue at {found}", _FORWARDED)
    if not given.path.startswith(f"{ours.path}/v2/"):
        return wrong(
            "location", f"uploads continue at {given.path}", "set http.prefix to the path that the proxy serves"
        )
    return well("location", "uploads continue at the same scheme, host and port")


def _append(deployment: Deployment, location: str, content: bytes, pause_seconds: float) -> tuple[Reply | None, int]:
    """Return the answer to a PATCH, None if none came, and how much of its first half had arrived in the pause."""
    body = _Paused(content)
    replies: list[Reply] = []

    def send() -> None:
        with suppress(UnreachableError):
            replies.append(deployment.ask("PATCH", location, body, {**_OCTETS, "Content-Length": str(len(content))}))

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    arrived = 0
    while sending.is_alive() and not body.half_sent.wait(_POLL_SECONDS):
        pass
    ends = time.monotonic() + pause_seconds
    while sending.is_alive() and time.monotonic() < ends:
        with suppress(UnreachableError, ValueError):
            status = deployment.ask("GET", location)
            arrived = max(arrived, int(status.header("Range").rpartition("-")[2]))
        time.sleep(_POLL_SECONDS)
    body.go_on.set()
    sending.join()
    return (replies[0] if replies else None), arrived


def _judged(appended: Reply | None, arrived: int, size: int, pause_seconds: float) -> Iterator[Finding]:
    if appended is None:
        yield wrong("pause", f"the connection broke when an upload paused for {pause_seconds:g} s", _TIMEOUTS)
    elif appended.status == _TOO_LARGE:
        advice = "lift the proxy's limit (nginx: client_max_body_size 0)"
        yield wrong("body limit", f"a body of {size} bytes is too large", advice)
    elif appended.status != _ACCEPTED:
        yield wrong("pause", f"an upload that paused for {pause_seconds:g} s was answered {appended.status}", _TIMEOUTS)
    else:
        yield well("body limit", f"a body of {size} bytes is taken")
        yield well("pause", f"an upload may pause for {pause_seconds:g} s")
        if arrived:
            yield well("buffering", "bytes reach the registry as they are sent")
        else:
            yield odd("buffering", "the registry saw nothing before all was sent", _UNBUFFERED)


def _read_back(deployment: Deployment, blob: str, content: bytes) -> Iterator[Finding]:
    wanted = {"Range": "bytes=5-9"}
    reply = deployment.ask("GET", blob, None, wanted)
    if reply.status == _REDIRECT:
        target = reply.header("Location")
        host = f"{urlsplit(target).scheme}://{urlsplit(target).netloc}"
        try:
            reply = deployment.ask("GET", target, None, wanted)
        except UnreachableError as error:
            advice = "clients must reach the storage themselves, or set storage.redirect.disable"
            yield wrong("redirect", f"blobs are at {host}, which cannot be reached: {error}", advice)
            return
        yield well("redirect", f"blobs are sent by {host}")
    if reply.status == _PARTIAL and reply.body == content[5:10]:
        yield well("range", "a part of a blob can be had")
    else:
        advice = "let the proxy pass Range and Content-Range; pulls that broke off begin anew without them"
        yield odd("range", f"a part of a blob was asked for, and {len(reply.body)} bytes came ({reply.status})", advice)
