"""A server that notes what it is asked, and answers as a test wants."""

from __future__ import annotations

import http.server
import re
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

HEAD = {"ETag": '"1"', "Last-Modified": "Thu, 26 Nov 2026 10:00:00 GMT"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; the names of its headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def access_key(self) -> str:
        """Who has signed it."""
        return self._signed_for()[0]

    @property
    def region(self) -> str:
        """What it was signed for."""
        return self._signed_for()[1]

    def _signed_for(self) -> tuple[str, str]:
        found = re.search(r"Credential=([^/]+)/[0-9]+/([^/]+)/s3/", self.headers["authorization"])
        assert found, self.headers["authorization"]
        return found[1], found[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; by default as a store does to GET, HEAD and PUT."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: dict(HEAD))
    body: bytes = b"ok"


def refusal(status: int, code: str, more: str = "", headers: dict[str, str] | None = None) -> Answer:
    """Give the answer with which S3 refuses."""
    return Answer(status, headers or {}, f"<Error><Code>{code}</Code><Message>no</Message>{more}</Error>".encode())


class Recorder:
    """`answer` says what is answered, `asked` has all requests; `url` is ``http://HOST:PORT``."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer] = lambda _: Answer()

    def parameters(self, **more: object) -> dict[str, object]:
        """Give the section ``storage.s3`` for it, with credentials."""
        return {
            "bucket": "images",
            "region": "us-east-1",
            "regionendpoint": self.url,
            "accesskey": "key",
            "secretkey": "secret",
        } | more

    def unsigned(self, **more: object) -> dict[str, object]:
        """Give the section without credentials."""
        return self.parameters(accesskey="", secretkey="", **more)


@contextmanager
def recording(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Recorder]:
    """Run the server, with TLS if there is a `context`."""
    recorder = Recorder()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            recorder.asked.append(asked)
            answer = recorder.answer(asked)
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - the base class looks for these names

        def log_message(self, *_: Any) -> None:
            pass

    class Listener(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # clients that hang up are what is tested

    with Listener((host, 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        name = f"[{host}]" if ":" in host else host
        recorder.url = f"http{'s' if context else ''}://{name}:{server.server_port}"
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()
