"""A proxy as one finds them in the wild: it buffers requests, and spoils what it is told to."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: ClassVar[int]
    fault: ClassVar[str]

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if self.fault == "limit" and length > 1024 * 1024:
            self.answer(413, {"Content-Type": "text/html"}, b"<html>too large</html>")
            self.close_connection = True
            return
        if self.fault == "impatient" and self.command == "PATCH":
            self.close_connection = True
            return
        status, headers, body = self.forwarded(self.rfile.read(length))
        self.spoiled(status, headers, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815  the base class looks for them

    def forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = dict(self.headers)
        if self.fault == "host":
            headers["Host"] = "backend.internal:5000"
        if self.fault == "range":
            headers.pop("Range", None)
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=30)
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def spoiled(self, status: int, headers: dict[str, str], body: bytes) -> None:
        if self.fault == "errors" and status == 404:
            headers, body = {"Content-Type": "text/html"}, b"<html>not found</html>"
        if self.fault == "header":
            headers.pop("Docker-Distribution-Api-Version", None)
        if self.fault == "clock":
            headers["Date"] = "Thu, 01 Jan 2015 00:00:00 GMT"
        if self.fault == "challenge":
            headers = {name: value for name, value in headers.items() if name.lower() != "www-authenticate"}
            status = 401
        if self.fault == "no token":
            asked = self.path.startswith("/token")
            headers = {"WWW-Authenticate": f'Bearer realm="http://{self.headers["Host"]}/token",service="x"'}
            status, body = (200, b"<html>log in</html>") if asked else (401, body)
        if self.fault == "redirect" and self.command == "GET" and "/blobs/sha256" in self.path:
            status, headers, body = 307, {"Location": "http://127.0.0.1:1/blob"}, b""
        self.answer(status, headers, body)

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name not in {"Content-Length", "Transfer-Encoding", "Connection"}:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def proxy(port: int, spoil: str) -> Iterator[str]:
    """Give the URL of a proxy before 127.0.0.1:`port` with one fault."""

    class Faulty(_Proxy):
        upstream = port
        fault = spoil

    with ThreadingHTTPServer(("127.0.0.1", 0), Faulty) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
