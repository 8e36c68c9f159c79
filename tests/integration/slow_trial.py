"""The trial of slow clients: what others have of a registry beside a crowd of them."""

from __future__ import annotations

import json
import math
import random
import shutil
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.benchmarks.processes import PeakMemory, memory
from tests.integration.api import OCI_INDEX, Api
from tests.integration.proxies import Proxy, short_deadlines, start_haproxy, start_nginx
from tests.integration.servers import Flavour, Server, merged, ours
from tests.integration.slow_clients import (
    BLOB,
    KINDS,
    REPOSITORY,
    TAG,
    UPLOAD,
    Crowd,
    Kind,
    coming_seconds,
)
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    import http.client
    import ssl
    from collections.abc import Iterator, Sequence

ACCELERATED = {"http": {"accelredirect": {"prefix": "/_registry_blobs"}}}
FRONTS = ("plain", "tls", "nginx", "haproxy")
BLOB_BYTES = 64 << 20
# More than the kernels take of an answer, and little work for a registry: clients that are slow are tried, not load.
MANIFEST_BYTES = 512 << 10
TAGS = 4000
REPOSITORIES = 200
_NAME_BYTES = 128
TAGS_BYTES = TAGS * (_NAME_BYTES + 3)
_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.02
_CONTROL_SECONDS = 0.5
_BESIDE_SECONDS = 1.0
_SILENT_SECONDS = 20.0
"""Until silent clients are given up; more than a deadline."""
_PATIENT_SECONDS = 100.0
"""The same for clients that go on: a rate is judged over a minute."""
_COMING_SECONDS = 60.0
_POLL_SECONDS = 0.1
_ESTABLISHED, _CLOSE_WAIT = "01", "08"
_BYSTANDERS = 2


@dataclass(frozen=True, slots=True)
class Content:
    """A storage root with what slow clients ask for, and the digests of a small and a large blob."""

    root: Path
    small: str
    large: str


def make_content(directory: Path) -> Content:
    """Make a root whose manifest, list of tags and catalog are long; both registries read it."""
    server = Server(ours(), directory / "root", directory).start()
    try:
        small = server.api.push_blob(REPOSITORY, b"small")
        large = server.api.push_blob(REPOSITORY, random.Random(1).randbytes(BLOB_BYTES))
        empty = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        long = empty | {"annotations": {"org.example.filler": "a" * MANIFEST_BYTES}}
        for tag, document in ((TAG, long), ("v1", empty)):
            assert server.api.put_manifest(REPOSITORY, tag, json.dumps(document).encode(), OCI_INDEX).status == 201
        assert server.api.put_manifest("a" * _NAME_BYTES, "v1", json.dumps(empty).encode(), OCI_INDEX).status == 201
    finally:
        server.stop()
    repositories = server.root / "docker/registry/v2/repositories"
    tags = repositories / REPOSITORY / "_manifests/tags"
    for number in range(TAGS):
        (tags / f"{number:0{_NAME_BYTES}}").mkdir()
    for number in range(REPOSITORIES):
        shutil.copytree(repositories / ("a" * _NAME_BYTES), repositories / f"{number:0{_NAME_BYTES}}")
    return Content(server.root, small, large)


@dataclass(frozen=True, slots=True)
class Stand:
    """A registry, reached through `front`: directly, over TLS, or by a proxy."""

    front: str
    server: Server
    content: Content
    port: int
    tls: ssl.SSLContext | None

    @property
    def api(self) -> Api:
        return Api("localhost" if self.tls else "127.0.0.1", self.port, self.tls)

    def openings(self, kind: Kind, count: int) -> list[bytes]:
        """Give what each client of a crowd sends first."""
        count = min(count, kind.most or count)
        text = kind.opening.replace(BLOB, f"/v2/{REPOSITORY}/blobs/{self.content.large}")
        if kind.needs_upload:
            return [text.replace(UPLOAD, self.begin_upload()).encode() for _ in range(count)]
        return [text.encode()] * count

    def held(self) -> int:
        """Tell how many connections of clients the server, or the proxy, has not ended."""
        found = 0
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            found += int(local.rpartition(":")[2], 16) == self.port and state in {_ESTABLISHED, _CLOSE_WAIT}
        return found

    def begin_upload(self) -> str:
        """Give the location of an upload that has begun."""
        answer = self.api.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", headers={"Authorization": "Bearer a"})
        assert answer.status == 202, answer
        return answer.location


@contextmanager
def standing(flavour: Flavour, front: str, content: Content, directory: Path, deadline_seconds: int) -> Iterator[Stand]:
    """Give a stand for the time of the block.

    The deadlines of heads and of stalls are `deadline_seconds`, where the registry and the proxy have them.
    """
    authority = Authority.create(directory / "authority")
    pair = authority.issue("server")
    settings: dict[str, Any] = {"auth": {"silly": {"realm": "http://127.0.0.1/token", "service": "registry"}}}
    if flavour.name != "v3":
        deadlines = {"headertimeout": f"{deadline_seconds}s", "stalltimeout": f"{deadline_seconds}s"}
        settings = merged(settings, {"http": deadlines})
        settings = merged(settings, ACCELERATED if front == "nginx" else {})
    if front == "tls":
        settings = merged(settings, {"http": {"tls": {"certificate": str(pair.certificate), "key": str(pair.key)}}})
    tls = authority.trusting_client() if front == "tls" else None
    server = Server(flavour, content.root, directory, settings=settings, tls=tls)
    proxy = Proxy(front, directory, authority)
    with ExitStack() as stack:
        server.start()
        stack.callback(server.kill)
        if front == "nginx":
            start_nginx(proxy, [server.host], server.root, changes=short_deadlines(front, deadline_seconds))
        elif front == "haproxy":
            start_haproxy(proxy, [server.host], changes=short_deadlines(front, deadline_seconds))
        else:
            yield Stand(front, server, content, server.port, tls)
            return
        stack.callback(proxy.stop)
        yield Stand(front, server, content, proxy.port, authority.trusting_client())


@dataclass(slots=True)
class Bystanders:
    """Others who use the registry during the block: one probes it, one pulls; each request has a connection of its own.

    `worst_seconds` is the longest wait for an answer, `failures` are requests that got none or a wrong one.
    """

    stand: Stand
    worst_seconds: float = 0.0
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        probe = "/" if self.stand.server.flavour.name == "v3" else "/healthz"
        small = self.stand.content.small
        pulls = (f"/v2/{REPOSITORY}/manifests/v1", f"/v2/{REPOSITORY}/blobs/{small}")
        for targets in ((probe,), pulls):
            thread = threading.Thread(target=self._ask, args=(targets,))
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, targets: tuple[str, ...]) -> None:
        while not self._done.wait(_PAUSE_SECONDS):
            for target in targets:
                begin = time.monotonic()
                said = self._answer_to(target)
                self.worst_seconds = max(self.worst_seconds, time.monotonic() - begin)
                self.answers += 1
                if said != "200":
                    self.failures.append(f"{target}: {said}")

    def _answer_to(self, target: str) -> str:
        connection: http.client.HTTPConnection = self.stand.api.connect()
        connection.timeout = _PATIENCE_SECONDS
        try:
            connection.request("GET", target, headers={"Authorization": "Bearer a", "Accept": OCI_INDEX})
            response = connection.getresponse()
            response.read()
        except OSError as error:
            return repr(error)
        finally:
            connection.close()
        return str(response.status)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a trial has shown.

    `control_seconds` is the worst answer without slow clients, or beside quick ones who ask for the same. `most_held`
    is how many slow clients were connected at a time, `bytes_each` the growth of the registry's memory for each.
    `ended_seconds` is how long it took until all were ended, counted from the last one that came, or infinite.
    """

    clients: int
    control_seconds: float
    worst_seconds: float
    answers: int
    failures: tuple[str, ...]
    most_held: int
    memory_bytes: int
    ended_seconds: float

    @property
    def bytes_each(self) -> float:
        return self.memory_bytes / self.clients


def try_out(stand: Stand, kind: Kind, count: int, *, patient: bool = False) -> Figures:
    """Have a crowd come and be slow, beside bystanders.

    After a while the crowd falls silent, so that what has no progress is ended; if `patient`, it goes on until what is
    too slow is ended as well.
    """
    openings = stand.openings(kind, count)
    control = _control(stand, kind, openings)
    before = memory(stand.server.pid).pss
    ended_seconds, most_held = math.inf, 0
    with (
        PeakMemory([stand.server.pid]) as used,
        Bystanders(stand) as bystanders,
        Crowd(kind, stand.port, openings, stand.tls) as crowd,
    ):
        crowd.wait_until_complete(_COMING_SECONDS + coming_seconds(len(openings)))
        complete = time.monotonic()
        deadline = complete + _BESIDE_SECONDS
        while time.monotonic() < deadline:
            most_held = max(most_held, stand.held())
            time.sleep(_POLL_SECONDS)
        if not patient:
            crowd.fall_silent()
        deadline += 0 if not kind.ends else _PATIENT_SECONDS if patient else _SILENT_SECONDS
        while time.monotonic() < deadline:
            if stand.held() <= _BYSTANDERS:
                ended_seconds = time.monotonic() - complete
                break
            time.sleep(_POLL_SECONDS)
    return Figures(
        len(openings),
        control.worst_seconds,
        bystanders.worst_seconds,
        bystanders.answers,
        tuple(control.failures + bystanders.failures),
        most_held,
        max(0, used.peak.pss - before),
        ended_seconds,
    )


def _control(stand: Stand, kind: Kind, openings: Sequence[bytes]) -> Bystanders:
    """Give what bystanders have without slow clients; if a kind makes work, beside as many quick ones."""
    with Bystanders(stand) as bystanders, ExitStack() as stack:
        if kind.work:
            quick = Crowd(replace(kind, quick=True), stand.port, openings, stand.tls)
            stack.enter_context(quick).wait_until_complete(_COMING_SECONDS + coming_seconds(len(openings)))
        time.sleep(_CONTROL_SECONDS)
    return bystanders


def deadline_seconds(count: int) -> int:
    """Give a deadline at which the first of a crowd are ended when the last have come, on a busy machine too."""
    return max(2, math.ceil(1.5 * coming_seconds(count)))


def kinds_of(front: str) -> list[Kind]:
    """Give the kinds that can be tried through `front`."""
    return [kind for kind in KINDS.values() if front != "plain" or not kind.half_handshake]
