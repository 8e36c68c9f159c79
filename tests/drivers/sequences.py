"""How many calls of a store follow one another during a request: those that overlap count once."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.storage import paths
from tests.content import image
from tests.handlers.pushing import push_blob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flask.testing import FlaskClient

_DELAY_SECONDS: Final = 0.02
_TRIES: Final = 6

_numbers = count(1)


class Calls:
    """The calls of a store, each from its beginning to its end, of which each takes a while."""

    def __init__(self) -> None:
        self.delay_seconds = 0.0
        self._spans: list[tuple[float, float]] = []
        self._lock = threading.Lock()

    @contextmanager
    def during(self, target: str) -> Iterator[None]:
        """Note what is done in the block for a call of `target`."""
        began = time.monotonic()
        time.sleep(self.delay_seconds)
        try:
            yield
        finally:
            # Each process asks once in a while, whatever the request, whether a garbage collection is on.
            if paths.GC_RUN not in f"/{unquote(target)}":
                with self._lock:
                    self._spans.append((began, time.monotonic()))

    def sequence(self, do: Callable[[], object]) -> int:
        """Return how many calls follow one another, at most, while `do` is done."""
        self._spans.clear()
        do()
        longest, last = 0, 0.0
        for began, ended in sorted(self._spans, key=lambda span: span[1]):
            if began >= last:
                longest, last = longest + 1, ended
        return longest

    def fewest(self, prepare: Callable[[], Callable[[], object]], expected: int) -> int:
        """Return how many calls follow one another in what `prepare` returns, made anew for each try.

        A busy machine may let calls follow one another that could overlap, and never the other way round. So it is
        tried again, with calls that take longer, until there are no more than `expected`.
        """
        fewest = 0
        for number in range(_TRIES):
            self.delay_seconds = 0.0
            do = prepare()
            self.delay_seconds = _DELAY_SECONDS * 2**number
            found = self.sequence(do)
            fewest = min(fewest or found, found)
            if fewest <= expected:
                break
        return fewest


class Requests:
    """The requests of clients to a registry; `start` gives a client of one that has nothing in memory."""

    def __init__(self, start: Callable[[], FlaskClient]) -> None:
        self._start = start
        self._client = start()

    def kinds(self) -> Mapping[str, Callable[[], Callable[[], object]]]:
        """Return of each kind of request what prepares one, and gives what makes it."""
        return {
            "push a blob of 4 KiB: POST, PUT": lambda: self._pushed(4096, streamed=False),
            "push a blob of 4 KiB: POST, PATCH, PUT": lambda: self._pushed(4096, streamed=True),
            "push a blob of 1 MiB: POST, PUT": lambda: self._pushed(1 << 20, streamed=False),
            "mount a blob": self._mounted,
            "PUT a manifest by a new tag": self._tagged,
            "GET a manifest by tag, the first time in a process": lambda: self._manifest("v1", first=True),
            "GET a manifest by tag, later": lambda: self._manifest("v1", first=False),
            "HEAD a manifest by tag, later": lambda: self._manifest("v1", first=False, method="HEAD"),
            "GET a manifest by digest, the first time in a process": lambda: self._manifest("", first=True),
            "GET a manifest by digest, later": lambda: self._manifest("", first=False),
            "HEAD a blob, the first time in a process": lambda: self._blob(4096, first=True, method="HEAD"),
            "HEAD a blob, later": lambda: self._blob(4096, first=False, method="HEAD"),
            "GET a blob of 4 KiB, the first time in a process": lambda: self._blob(4096, first=True),
            "GET a blob of 4 KiB, later": lambda: self._blob(4096, first=False),
            "GET a blob of 1 MiB, later": lambda: self._blob(1 << 20, first=False),
            "GET a range of it": lambda: self._blob(1 << 20, first=False, span="bytes=1000-5095"),
            "a page of tags": lambda: self._asked("/v2/sequence/tags/list?n=100"),
            "a page of the catalog": lambda: self._asked("/v2/_catalog?n=100"),
        }

    def _content(self, size: int) -> bytes:
        return (b"%d " % next(_numbers)).ljust(size, b"x")

    def _pushed(self, size: int, *, streamed: bool) -> Callable[[], object]:
        content = self._content(size)

        def push() -> None:
            location = self._client.post("/v2/sequence/blobs/uploads/").headers["Location"]
            rest = content
            if streamed:
                location, rest = self._client.patch(location, data=content).headers["Location"], b""
            answer = self._client.put(f"{location}&digest={Digest.of(content)}", data=rest)
            assert answer.status_code == 201

        return push

    def _mounted(self) -> Callable[[], object]:
        digest = push_blob(self._client, "sequence", self._content(4096))
        path = f"/v2/other/blobs/uploads/?mount={digest}&from=sequence"

        def mount() -> None:
            assert self._client.post(path).status_code == 201

        return mount

    def _image(self) -> bytes:
        config, layer = self._content(100), self._content(4096)
        for each in (config, layer):
            push_blob(self._client, "sequence", each)
        return image(config, layer)

    def _tagged(self) -> Callable[[], object]:
        content = self._image()
        return lambda: self._tag(f"v{next(_numbers)}", content)

    def _tag(self, tag: str, content: bytes) -> None:
        path = f"/v2/sequence/manifests/{tag}"
        assert self._client.put(path, data=content, content_type=media_types.OCI_MANIFEST).status_code == 201

    def _manifest(self, tag: str, *, first: bool, method: str = "GET") -> Callable[[], object]:
        content = self._image()
        self._tag("v1", content)
        client = self._start() if first else self._client
        return lambda: self._ask(client, f"/v2/sequence/manifests/{tag or Digest.of(content)}", method)

    def _blob(self, size: int, *, first: bool, method: str = "GET", span: str = "") -> Callable[[], object]:
        digest = push_blob(self._client, "sequence", self._content(size))
        client = self._start() if first else self._client
        headers = {"Range": span} if span else {}
        return lambda: self._ask(client, f"/v2/sequence/blobs/{digest}", method, headers)

    def _asked(self, path: str) -> Callable[[], object]:
        self._tag("v1", self._image())
        return lambda: self._ask(self._client, path, "GET")

    def _ask(self, client: FlaskClient, path: str, method: str, headers: Mapping[str, str] | None = None) -> None:
        answer = client.open(path, method=method, headers=headers)
        assert answer.status_code in {200, 206}
        assert answer.data or method == "HEAD"
