"""What stands in for Amazon: a key that signs, and a server of the document that lists its networks."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NETWORKS: dict[str, Any] = {
    "syncToken": "1",
    "prefixes": [
        {"ip_prefix": "192.0.2.0/25", "region": "eu-central-1", "service": "AMAZON"},
        {"ip_prefix": "192.0.2.0/26", "region": "eu-central-1", "service": "EC2"},
        {"ip_prefix": "192.0.2.128/25", "region": "us-east-1", "service": "AMAZON"},
        {"ip_prefix": "203.0.113.7/32", "region": "GLOBAL", "service": "AMAZON"},
    ],
    "ipv6_prefixes": [{"ipv6_prefix": "2001:db8:1::/48", "region": "us-east-1", "service": "AMAZON"}],
}


def key_file(directory: Path, private_format: PrivateFormat = PrivateFormat.TraditionalOpenSSL) -> str:
    """Write an RSA key, as PKCS #1 unless told otherwise, and give its path."""
    key = rsa.generate_private_key(65537, 2048)
    path = directory / "cloudfront.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, private_format, NoEncryption()))
    return str(path)


@dataclass(slots=True)
class NetworksServer:
    """Answers with `document`, or with an error if it is None; counts how often it was asked."""

    url: str = ""
    document: object = field(default_factory=lambda: NETWORKS)
    asked: int = 0


@contextmanager
def serving_networks() -> Iterator[NetworksServer]:
    """Serve the document until the block ends."""
    state = NetworksServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = state.document if isinstance(state.document, bytes) else json.dumps(state.document).encode()
            state.asked += 1
            self.send_response(200 if state.document is not None else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/ip-ranges.json"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
