"""A plain client of the registry protocol: one connection a request, no redirects, no retries."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.integration.secrecy import SUITE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping

OCTET_STREAM = "application/octet-stream"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPT = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"}
TIMEOUT_SECONDS = 60


def digest_of(content: bytes) -> str:
    """Give the sha256 digest as the protocol spells it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read to its end; `complete` unless the server hung up before its announced length."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    complete: bool = True

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        """The target of Location: path and query, so that another server can be asked for it."""
        parts = urlsplit(self.headers["Location"])
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def digest(self) -> str:
        return str(self.headers["Docker-Content-Digest"])


def with_digest(location: str, digest: str) -> str:
    """Give an upload's location with the digest that finishes it."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


@dataclass(frozen=True, slots=True)
class Api:
    """The API of one server."""

    address: str
    port: int
    tls: ssl.SSLContext | None = None

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; an iterable body goes out in chunked transfer encoding."""
        SUITE.add_request(target, headers or {})
        connection = self.connect()
        try:
            # A server may refuse before it has read the body; its answer can still be read.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body, dict(headers or {}))
            response = connection.getresponse()
            try:
                content = response.read()
                SUITE.add_answer(response.headers.get("Location", ""), content)
                return Answer(response.status, response.headers, content)
            except http.client.IncompleteRead as error:
                return Answer(response.status, response.headers, error.partial, complete=False)
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        """Give a connection that the caller closes; it opens with the first request."""
        if self.tls:
            return http.client.HTTPSConnection(self.address, self.port, timeout=TIMEOUT_SECONDS, context=self.tls)
        return http.client.HTTPConnection(self.address, self.port, timeout=TIMEOUT_SECONDS)

    def get(self, target: str, **headers: str) -> Answer:
        return self.request("GET", target, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def head(self, target: str) -> Answer:
        return self.request("HEAD", target, headers=ACCEPT)

    def delete(self, target: str) -> Answer:
        return self.request("DELETE", target)

    def manifest(self, repository: str, reference: str) -> Answer:
        return self.request("GET", f"/v2/{repository}/manifests/{reference}", headers=ACCEPT)

    def put_manifest(self, repository: str, reference: str, content: bytes, media_type: str = OCI_MANIFEST) -> Answer:
        return self.request("PUT", f"/v2/{repository}/manifests/{reference}", content, {"Content-Type": media_type})

    def blob(self, repository: str, digest: str) -> Answer:
        return self.get(f"/v2/{repository}/blobs/{digest}")

    def begin_upload(self, repository: str) -> Answer:
        answer = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        assert answer.status == 202, answer
        return answer

    def send_chunk(self, location: str, start: int, chunk: bytes) -> Answer:
        return self.request(
            "PATCH",
            location,
            chunk,
            {"Content-Type": OCTET_STREAM, "Content-Range": f"{start}-{start + len(chunk) - 1}"},
        )

    def finish_upload(self, location: str, digest: str, rest: bytes = b"") -> Answer:
        return self.request("PUT", with_digest(location, digest), rest, {"Content-Type": OCTET_STREAM})

    def push_blob(self, repository: str, content: bytes) -> str:
        """Push a blob and give its digest."""
        digest = digest_of(content)
        answer = self.finish_upload(self.begin_upload(repository).location, digest, content)
        assert answer.status == 201, answer
        return digest
