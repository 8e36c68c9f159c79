"""The registry: reads of manifests, blobs, tags and referrers, with a login if wanted, each answer open to a fault."""

from __future__ import annotations

import base64
import http.server
import itertools
import json
import re
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from registry.oci import media_types
from registry.oci.digest import Digest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags|referrers)/(?P<reference>[^/]+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Asked:
    """A request as it came; `port` tells one connection of a client from another."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    port: int

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


@dataclass(frozen=True)
class Answer:
    """What the registry would answer; a fault sends something else of it."""

    status: int
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def having(self, **headers: str) -> Answer:
        """Give the same with these headers, whose names have - for _."""
        return replace(self, headers={**self.headers, **{name.replace("_", "-"): it for name, it in headers.items()}})

    def lacking(self, name: str) -> Answer:
        return replace(self, headers={each: it for each, it in self.headers.items() if each.lower() != name.lower()})


@dataclass
class _Misbehaviour:
    fault: Callable[[Handler, Answer], None]
    method: str
    path: str
    left: float


@dataclass
class Registry:
    """What is served, and what was asked. `ended` is set when the test is over: whoever hangs waits for it.

    With a `login`, USER and password, all below /v2/ is for who has it: in a Basic header, or if `realm` is set by a
    token of a service there. The service of this registry is at `token_url`; `expires_in` is what it says of its
    tokens.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    login: tuple[str, str] | None = None
    realm: str = ""
    expires_in: int = 300
    tokens: set[str] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)
    page_size: int = 1000
    _blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    _tags: dict[tuple[str, str], str] = field(default_factory=dict)
    _faults: list[_Misbehaviour] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    def put_blob(self, name: str, content: bytes) -> Digest:
        digest = Digest.of(content)
        self._blobs[name, str(digest)] = content
        return digest

    def put_manifest(self, name: str, content: bytes, *tags: str, media_type: str = media_types.OCI_MANIFEST) -> Digest:
        """Serve a manifest by its digest, and by `tags`, which move if they are there."""
        digest = Digest.of(content)
        self._manifests[name, str(digest)] = media_type, content
        self._tags.update({(name, tag): str(digest) for tag in tags})
        return digest

    def remove(self, name: str, reference: str | Digest) -> None:
        """Serve a tag, a manifest or a blob no more."""
        for table in (self._blobs, self._manifests, self._tags):
            table.pop((name, str(reference)), None)

    def misbehave(
        self, fault: Callable[[Handler, Answer], None], *, method: str = "", path: str = "", times: float = float("inf")
    ) -> None:
        """Answer the next `times` requests of that method, in whose path `path` occurs, by `fault`."""
        with self._lock:
            self._faults.append(_Misbehaviour(fault, method, path, times))

    def behave(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def count(self, method: str, path: str = "") -> int:
        """Give how many requests came of that method, in whose path `path` occurs."""
        return sum(each.method == method and path in each.path for each in list(self.asked))

    def fault_of(self, asked: Asked) -> Callable[[Handler, Answer], None] | None:
        with self._lock:
            for each in self._faults:
                if each.left > 0 and each.method in {"", asked.method} and each.path in asked.path:
                    each.left -= 1
                    return each.fault
        return None

    def answer(self, asked: Asked) -> Answer:
        """Give what a well-behaved registry answers."""
        if asked.path == "/token":
            return self._token(asked)
        if not self._knows(asked):
            return _error(401, "UNAUTHORIZED").having(WWW_Authenticate=self._challenge(asked))
        if asked.path == "/v2/":
            return Answer(200, b"{}", {"Content-Type": "application/json"})
        found = _PATH.fullmatch(asked.path)
        if not found:
            return _error(404, "NAME_UNKNOWN")
        serve: Callable[[str, str, Asked], Answer] = getattr(self, f"_{found['kind']}_answer")
        return serve(found["name"], found["reference"], asked)

    def _knows(self, asked: Asked) -> bool:
        if self.login is None:
            return True
        scheme, _, value = asked.authorization.partition(" ")
        if self.realm:
            return scheme == "Bearer" and value in self.tokens
        return scheme == "Basic" and value == _encoded(self.login)

    def _challenge(self, asked: Asked) -> str:
        if not self.realm:
            return 'Basic realm="registry"'
        found = _PATH.fullmatch(asked.path)
        scope = f',scope="repository:{found["name"]}:pull"' if found else ""
        return f'Bearer realm="{self.realm}",service="registry"{scope}'

    def _token(self, asked: Asked) -> Answer:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        knows = self.login is None or asked.authorization == f"Basic {_encoded(self.login)}"
        if not knows and form.get("refresh_token") != (self.login or ("", ""))[1]:
            return _error(401, "UNAUTHORIZED")
        token = f"token-{next(self._numbers)}"
        self.tokens.add(token)
        return Answer(200, json.dumps({"token": token, "expires_in": self.expires_in}).encode())

    def _manifests_answer(self, name: str, reference: str, _: Asked) -> Answer:
        digest = self._tags.get((name, reference), reference)
        if (name, digest) not in self._manifests:
            return _error(404, "MANIFEST_UNKNOWN")
        media_type, content = self._manifests[name, digest]
        return Answer(200, content, {"Content-Type": media_type, "Docker-Content-Digest": digest})

    def _blobs_answer(self, name: str, reference: str, asked: Asked) -> Answer:
        content = self._blobs.get((name, reference))
        if content is None:
            return _error(404, "BLOB_UNKNOWN")
        headers = {"Content-Type": media_types.OCTET_STREAM, "Docker-Content-Digest": reference}
        found = _RANGE.fullmatch(asked.headers.get("range", ""))
        if not found:
            return Answer(200, content, headers)
        start, stop = int(found[1]), min(int(found[2] or len(content)) + 1, len(content))
        if start >= len(content):
            return _error(416, "RANGE_INVALID")
        return Answer(206, content[start:stop], headers).having(
            Content_Range=f"bytes {start}-{stop - 1}/{len(content)}"
        )

    def _tags_answer(self, name: str, _: str, asked: Asked) -> Answer:
        tags = sorted(tag for repository, tag in self._tags if repository == name)
        if not tags:
            return _error(404, "NAME_UNKNOWN")
        after, most = asked.query.get("last", ""), min(int(asked.query.get("n", "1000")), self.page_size)
        left = [tag for tag in tags if tag > after]
        answer = Answer(200, json.dumps({"name": name, "tags": left[:most]}).encode())
        if len(left) <= most:
            return answer
        return answer.having(Link=f'<{asked.path}?n={most}&last={left[most - 1]}>; rel="next"')

    def _referrers_answer(self, name: str, reference: str, _: Asked) -> Answer:
        listed = [
            {"mediaType": media_type, "digest": digest, "size": len(content)}
            for (repository, digest), (media_type, content) in list(self._manifests.items())
            if repository == name and json.loads(content).get("subject", {}).get("digest") == reference
        ]
        index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": listed}
        return Answer(200, json.dumps(index).encode(), {"Content-Type": media_types.OCI_INDEX})


class Handler(http.server.BaseHTTPRequestHandler):
    """A connection; what a fault is given, to send whatever it likes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: Registry
    asked: Asked

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        split = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.command, split.path, query, headers, body, self.client_address[1])
        self.state.asked.append(self.asked)
        fault = self.state.fault_of(self.asked)
        answer = self.state.answer(self.asked)
        if fault:
            fault(self, answer)
        else:
            self.send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = serve  # noqa: N815  the base class looks for these names

    def send_head(self, answer: Answer, *, length: int | None) -> None:
        """Send status and headers, with a Content-Length unless it is None or among them."""
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if length is not None and "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def send(self, answer: Answer) -> None:
        """Send an answer as it should be."""
        self.send_head(answer, length=len(answer.content))
        if self.command != "HEAD":
            self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def registry(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Registry]:
    """Serve a registry, with TLS if there is a `context`, until the block is left."""
    state = Registry()
    handler = type("StatefulHandler", (Handler,), {"state": state})

    class Listener(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True
        block_on_close = False
        request_queue_size = 256

        def handle_error(self, *_: object) -> None:
            pass  # clients that hang up are what is tested

    with Listener((host, 0), handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        name = f"[{host}]" if ":" in host else host
        state.url = f"http{'s' if context else ''}://{name}:{server.server_port}"
        try:
            yield state
        finally:
            state.ended.set()
            with suppress(OSError):
                server.shutdown()


def _error(status: int, code: str) -> Answer:
    content = json.dumps({"errors": [{"code": code, "message": "said by the test"}]}).encode()
    return Answer(status, content, {"Content-Type": "application/json"})


def _encoded(login: tuple[str, str]) -> str:
    return base64.b64encode(":".join(login).encode()).decode()
