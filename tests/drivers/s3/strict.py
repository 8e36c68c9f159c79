"""An S3 server that is as strict as the strictest vendor in each respect, counts calls, and fails when told to.

Emulators accept what real stores refuse. This one does not: parts of a multipart upload must be of one size
(Cloudflare R2) and not too small, the completion must name the ETags that the parts have, a prefix sorts
where its slash puts it, a page holds at most 1,000 names, and ``If-Match`` is obeyed or, if so told, unknown.
"""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 1000


class RefusedError(Exception):
    """An S3 error: status and code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class HangUpError(Exception):
    """The connection ends here, without an answer."""


@dataclass
class Multipart:
    """A multipart upload: its key and its parts by number."""

    key: str
    parts: dict[int, bytes] = field(default_factory=dict)
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Answer:
    """What is sent back; `cut` bytes of the body are withheld and the connection closed."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


class StrictS3:
    """One bucket of objects, whatever its name. `before` is called with each operation and key and may raise."""

    def __init__(
        self,
        *,
        least_part: int = 5 * 1024 * 1024,
        compares: bool = True,
        refuses_with: str = "NotImplemented",
    ) -> None:
        self.objects: dict[str, bytes] = {}
        self.times: dict[str, datetime] = {}
        self.multiparts: dict[str, Multipart] = {}
        self.calls: Counter[str] = Counter()
        self.received = self.sent = 0
        self.joined_sizes: list[list[int]] = []
        self.before: Callable[[str, str], None] = lambda operation, key: None  # noqa: ARG005
        self.after: Callable[[str, str, Answer], None] = lambda operation, key, answer: None  # noqa: ARG005
        self._least_part = least_part
        self._compares = compares
        self._refusal = refuses_with
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, operation: str, key: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> Answer:
        """Do one operation."""
        with self._lock:
            self.calls[operation] += 1
            self.received += len(body)
        self.before(operation, key)
        with self._lock:
            answer: Answer = getattr(self, f"_{operation}")(key, query, headers, body)
            self.sent += len(answer.body)
        self.after(operation, key, answer)
        return answer

    # Objects

    def _PutObject(self, key: str, _: dict[str, str], headers: dict[str, str], body: bytes) -> Answer:  # noqa: N802
        wanted = headers.get("if-match")
        new = headers.get("if-none-match") == "*"
        if (wanted or new) and not self._compares:
            raise RefusedError(501, "NotImplemented")
        if new and key in self.objects:
            raise RefusedError(412, "PreconditionFailed")
        if wanted and key not in self.objects:
            raise RefusedError(404, "NoSuchKey")
        if wanted and wanted != _etag(self.objects[key]):
            raise RefusedError(412, "PreconditionFailed")
        self._store(key, body)
        return Answer(headers={"ETag": _etag(body)})

    def _CopyObject(self, key: str, _: dict[str, str], headers: dict[str, str], __: bytes) -> Answer:  # noqa: N802
        content = self._source(headers)
        self._store(key, content)
        return _xml("CopyObjectResult", f"<ETag>{_etag(content)}</ETag><LastModified>{_time()}</LastModified>")

    def _GetObject(self, key: str, _: dict[str, str], headers: dict[str, str], __: bytes) -> Answer:  # noqa: N802
        content = self._object(key)
        if headers.get("if-match", _etag(content)) != _etag(content):
            raise RefusedError(412, "PreconditionFailed")
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        described = self._described(key)
        if not found:
            return Answer(content, 200, described)
        start, stop = int(found[1]), int(found[2]) + 1 if found[2] else len(content)
        if start >= len(content):
            raise RefusedError(416, "InvalidRange")
        piece = content[start:stop]
        described["Content-Range"] = f"bytes {start}-{start + len(piece) - 1}/{len(content)}"
        return Answer(piece, 206, described)

    def _HeadObject(self, key: str, _: dict[str, str], __: dict[str, str], ___: bytes) -> Answer:  # noqa: N802
        return Answer(b"", 200, {**self._described(key), "Content-Length": str(len(self._object(key)))})

    def _DeleteObject(self, key: str, _: dict[str, str], __: dict[str, str], ___: bytes) -> Answer:  # noqa: N802
        self.objects.pop(key, None)
        return Answer(status=204)

    def _DeleteObjects(self, _: str, __: dict[str, str], headers: dict[str, str], body: bytes) -> Answer:  # noqa: N802
        if "content-md5" not in headers:
            raise RefusedError(400, "InvalidRequest")
        objects = [
            {field.tag.rpartition("}")[2]: field.text or "" for field in element}
            for element in ET.fromstring(body)
            if element.tag.endswith("Object")
        ]
        if len(objects) > PAGE:
            raise RefusedError(400, "MalformedXML")
        if not self._compares and any("ETag" in each for each in objects):
            raise RefusedError(501 if self._refusal == "NotImplemented" else 400, self._refusal)
        errors = [error for each in objects if (error := self._deleted(each["Key"], each.get("ETag")))]
        return _xml("DeleteResult", "".join(errors))

    def _deleted(self, key: str, etag: str | None) -> str:
        """Delete an object; give what is said of it in the answer if it is not deleted."""
        if etag and key in self.objects and etag != _etag(self.objects[key]):
            return _error(key, "PreconditionFailed")
        try:
            self.before("delete", key)
        except RefusedError as error:
            return _error(key, error.code)
        self.objects.pop(key, None)
        return ""

    def _object(self, key: str) -> bytes:
        if key not in self.objects:
            raise RefusedError(404, "NoSuchKey")
        return self.objects[key]

    def _described(self, key: str) -> dict[str, str]:
        modified = formatdate(self.times[key].timestamp(), usegmt=True) if key in self.times else ""
        return {"ETag": _etag(self._object(key)), "Last-Modified": modified}

    def _store(self, key: str, content: bytes) -> None:
        self.objects[key] = content
        self.times[key] = datetime.now(UTC)

    def _source(self, headers: dict[str, str]) -> bytes:
        return self._object(unquote(headers["x-amz-copy-source"]).lstrip("/").partition("/")[2])

    # Listing

    def _ListObjectsV2(self, _: str, query: dict[str, str], __: dict[str, str], ___: bytes) -> Answer:  # noqa: N802
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        names: dict[str, bool] = {}
        for key in sorted(self.objects):
            if not key.startswith(prefix) or key <= query.get("start-after", ""):
                continue
            head, found, _rest = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            names[prefix + head + found if found else key] = bool(found)
        entries = [each for each in sorted(names.items()) if each[0] > query.get("continuation-token", "")]
        page = entries[: min(int(query.get("max-keys", PAGE)), PAGE)]
        parts = [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" if is_prefix else self._listed(name)
            for name, is_prefix in page
        ]
        truncated = len(page) < len(entries)
        parts.append(f"<IsTruncated>{str(truncated).lower()}</IsTruncated>")
        if truncated:
            parts.append(f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>")
        return _xml("ListBucketResult", "".join(parts))

    def _listed(self, key: str) -> str:
        content, modified = self.objects[key], _time(self.times.get(key))
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>"
            f"<ETag>{escape(_etag(content))}</ETag><Size>{len(content)}</Size></Contents>"
        )

    # Multipart uploads

    def _CreateMultipartUpload(self, key: str, _: dict[str, str], __: dict[str, str], ___: bytes) -> Answer:  # noqa: N802
        multipart_id = uuid.uuid4().hex
        self.multiparts[multipart_id] = Multipart(key)
        return _xml("InitiateMultipartUploadResult", f"<UploadId>{multipart_id}</UploadId>")

    def _UploadPart(self, _: str, query: dict[str, str], __: dict[str, str], body: bytes) -> Answer:  # noqa: N802
        self._multipart(query).parts[int(query["partNumber"])] = body
        return Answer(headers={"ETag": _etag(body)})

    def _UploadPartCopy(self, _: str, query: dict[str, str], headers: dict[str, str], __: bytes) -> Answer:  # noqa: N802
        content = self._source(headers)
        self._multipart(query).parts[int(query["partNumber"])] = content
        return _xml("CopyPartResult", f"<ETag>{_etag(content)}</ETag><LastModified>{_time()}</LastModified>")

    def _CompleteMultipartUpload(self, key: str, query: dict[str, str], _: dict[str, str], body: bytes) -> Answer:  # noqa: N802
        multipart = self._multipart(query)
        numbers = [int(each.text or "") for each in ET.fromstring(body).iter() if each.tag.endswith("PartNumber")]
        etags = [each.text or "" for each in ET.fromstring(body).iter() if each.tag.endswith("ETag")]
        if numbers != sorted(set(numbers)) or max(numbers) > 10_000:
            raise RefusedError(400, "InvalidPartOrder")
        for number, etag in zip(numbers, etags, strict=True):
            if number not in multipart.parts or _etag(multipart.parts[number]) != etag:
                raise RefusedError(400, "InvalidPart")
        parts = [multipart.parts[number] for number in numbers]
        sizes = [len(part) for part in parts]
        if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
            raise RefusedError(400, "InvalidPart")  # R2: all but the last must have the same length
        if any(size < self._least_part for size in sizes[:-1]):
            raise RefusedError(400, "EntityTooSmall")
        self.joined_sizes.append(sizes)
        self._store(key, b"".join(parts))
        del self.multiparts[query["uploadId"]]
        return _xml("CompleteMultipartUploadResult", f"<Key>{escape(key)}</Key><ETag>{_etag(b'')}</ETag>")

    def _AbortMultipartUpload(self, _: str, query: dict[str, str], __: dict[str, str], ___: bytes) -> Answer:  # noqa: N802
        self._multipart(query)
        del self.multiparts[query["uploadId"]]
        return Answer(status=204)

    def _ListMultipartUploads(self, _: str, query: dict[str, str], __: dict[str, str], ___: bytes) -> Answer:  # noqa: N802
        entries = "".join(
            f"<Upload><Key>{escape(each.key)}</Key><UploadId>{multipart_id}</UploadId>"
            f"<Initiated>{_time(each.begun)}</Initiated></Upload>"
            for multipart_id, each in self.multiparts.items()
            if each.key.startswith(query.get("prefix", ""))
        )
        return _xml("ListMultipartUploadsResult", f"<IsTruncated>false</IsTruncated>{entries}")

    def _multipart(self, query: dict[str, str]) -> Multipart:
        if query["uploadId"] not in self.multiparts:
            raise RefusedError(404, "NoSuchUpload")
        return self.multiparts[query["uploadId"]]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client may hang up."""


def _handler(store: StrictS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def _serve(self) -> None:
            url = urlsplit(self.path)
            key = unquote(url.path).lstrip("/").partition("/")[2]
            query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            try:
                answer = store.answer(_operation(self.command, key, query, headers), key, query, headers, body)
            except RefusedError as error:
                answer = _xml("Error", f"<Code>{error.code}</Code><Message>as asked for</Message>", error.status)
            except HangUpError:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: len(answer.body) - answer.cut])
            self.wfile.flush()
            self.close_connection = self.close_connection or bool(answer.cut)

        def handle_expect_100(self) -> bool:
            found = super().handle_expect_100()
            self.wfile.flush()
            return found

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


def _operation(method: str, key: str, query: dict[str, str], headers: dict[str, str]) -> str:
    if not key:
        listing = "ListMultipartUploads" if "uploads" in query else "ListObjectsV2"
        return {"GET": listing, "POST": "DeleteObjects", "HEAD": "HeadBucket"}[method]
    if "uploads" in query:
        return "CreateMultipartUpload"
    copies = "x-amz-copy-source" in headers
    if "uploadId" in query:
        part = "UploadPartCopy" if copies else "UploadPart"
        return {"PUT": part, "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}[method]
    put = "CopyObject" if copies else "PutObject"
    return {"GET": "GetObject", "HEAD": "HeadObject", "PUT": put, "DELETE": "DeleteObject"}[method]


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _error(key: str, code: str) -> str:
    return f"<Error><Key>{escape(key)}</Key><Code>{code}</Code><Message>as asked for</Message></Error>"


def _time(moment: datetime | None = None) -> str:
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _xml(tag: str, content: str, status: int = 200) -> Answer:
    document = f'<?xml version="1.0" encoding="UTF-8"?><{tag}>{content}</{tag}>'
    return Answer(document.encode(), status, {"Content-Type": "application/xml"})
