"""What is done with a bucket. Errors of calls, and of the SDK, become the contract's where they are raised.

What is done often and carries little goes through drivers.s3.calls, the rest through the SDK.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from contextlib import suppress
from functools import partial
from io import SEEK_END
from typing import IO, TYPE_CHECKING, Final

from drivers.base import (
    ChangedError,
    DriverError,
    Found,
    ObjectTooLargeError,
    PathExistsError,
    PathNotFoundError,
    Stat,
    UploadBusyError,
)
from drivers.calls.downloads import download
from drivers.flat import no_bytes
from drivers.s3.answers import deletion, failures, listing, time_of
from drivers.s3.calls import Calls
from drivers.s3.deleting import discard, remove, version_of
from drivers.s3.errors import Translated, code_of
from drivers.s3.listing import MOST_LISTED, pages
from drivers.s3.multiparts import Multiparts
from drivers.s3.parameters import headers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from drivers.flat import Page
    from drivers.s3.answers import Entry, Failure, Listing
    from drivers.s3.parameters import Parameters
    from registry.foundation.http_client import Stream

_BREAKS: Final = 2
"""How often a download may break off, one after the other, before anything more has come."""
"""How often in a row the reading of an object breaks off, without a byte more, until that is told."""
_URL_SECONDS: Final = 20 * 60
_AT_ONCE: Final = 1024 * 1024
"""The largest content that is sent from memory; more goes through the SDK, which reads it as it sends it."""
_MOST_OF_LIST: Final = 16 * 1024 * 1024
"""Bytes of the longest answer about a thousand keys, of which each may have 1,024 bytes that are encoded as three."""
_PARTIAL_CONTENT: Final = 206
_ALWAYS: Final[Mapping[str, str]] = {}

_log = logging.getLogger(__name__)


class Bucket:
    """The bucket that `parameters` name, shared by all threads. `pool` copies parts and asks about several prefixes."""

    def __init__(self, parameters: Parameters, pool: Executor) -> None:
        self.name = parameters.bucket
        self._calls = Calls(parameters)
        self._client = self._calls.client
        self.circuit = self._calls.circuit
        self.multiparts = Multiparts(self._client, parameters, pool)
        self._final = parameters.final_options
        self._staged = parameters.staged_options
        self._pool = pool
        self._compares = True

    def check(self, prefix: str) -> None:
        """Return if the bucket can be listed; otherwise raise UnavailableError or DriverError."""
        with Translated("ListObjectsV2 of bucket", self.name):
            self._list(prefix, limit=1)

    # Objects

    def stat(self, key: str) -> Stat:
        """Return size and time of an object."""
        with Translated("HeadObject", key):
            head = self._calls.call("HeadObject", "HEAD", key).headers
            return Stat(int(head["Content-Length"]), time_of(head["Last-Modified"]))

    def version(self, key: str) -> str:
        """Return the ETag of an object; PathNotFoundError if there is none."""
        with Translated("HeadObject", key):
            return self._calls.call("HeadObject", "HEAD", key).headers["ETag"]

    def get(self, key: str, *, limit: int) -> bytes:
        """Return an object of at most `limit` bytes."""
        return self.fetch(key, limit=limit)[0]

    def fetch(self, key: str, *, limit: int) -> tuple[bytes, str]:
        """Return an object and its ETag; ObjectTooLargeError if it has more than `limit` bytes."""
        with Translated("GetObject", key):
            answer = self._calls.call("GetObject", "GET", key, most_bytes=limit)
            if answer.truncated or len(answer.content) > limit:
                size = answer.headers.get("Content-Length", "more")
                raise ObjectTooLargeError(f"s3: GetObject {key}: {size} bytes, at most {limit} allowed")
            return answer.content, answer.headers["ETag"]

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield bytes ``start..stop``, which is not an empty range; the object is open when this returns."""
        answer = self._open(key, start, stop)
        if answer is None:
            return no_bytes()

        def reopen(position: int) -> Stream | None:
            return self._open(key, position, stop, answer.headers["ETag"])

        return download(answer, reopen, partial(Translated, "GetObject", key), start, _BREAKS)

    def _open(self, key: str, start: int, stop: int | None, version: str = "") -> Stream | None:
        """Begin to read the object, of `version` if that is given; None if `start` is at or after its end."""
        headers = {"If-Match": version} if version else {}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        try:
            with Translated("GetObject", key):
                answer = self._calls.stream("GetObject", key, headers)
        except UploadBusyError as error:
            raise DriverError(f"s3: GetObject {key}: the object was replaced while it was read") from error
        except DriverError as error:
            if code_of(error) in {"InvalidRange", "416"}:
                return None
            raise
        if "Range" in headers and answer.status != _PARTIAL_CONTENT:
            answer.close()
            raise DriverError(f"s3: GetObject {key}: the endpoint gives the whole object where a part was asked for")
        return answer

    def put(self, key: str, content: bytes) -> None:
        """Create or replace an object."""
        self._put(key, content, self._final)

    def create(self, key: str, content: bytes) -> None:
        """Create an object; PathExistsError if there is one.

        If a store answers that it has no conditional writes, the object is looked for and then written in any case.
        """
        try:
            if self._put_if(key, content, self._final, {"If-None-Match": "*"}):
                return
        except UploadBusyError as error:
            if code_of(error) == "ConditionalRequestConflict":  # the store has not decided: the caller may try again
                raise
            raise PathExistsError(str(error)) from error
        with suppress(PathNotFoundError):
            self.version(key)
            raise PathExistsError(f"s3: {key} exists")
        self.put(key, content)

    def replace(self, key: str, content: bytes, expected: bytes) -> None:
        """Replace an object whose content is `expected`; ChangedError if it is not.

        If a store answers that it has no conditional writes, the content is compared first and the object then written.
        """
        self._replace(key, content, expected)

    def delete_if(self, key: str, expected: bytes) -> None:
        """Delete an object whose content is `expected`; ChangedError if it is not.

        Many stores write under a condition, and delete whatever there is. So the object is emptied under the condition
        first: of two callers at a time one succeeds at that.
        """
        version = self._replace(key, b"", expected)
        try:
            with Translated("DeleteObject", key):
                self._calls.call("DeleteObject", "DELETE", key, headers={"If-Match": version} if version else {})
        except (PathNotFoundError, UploadBusyError):
            return  # somebody has deleted it, or has put another object in the place of the empty one
        except DriverError as error:
            if code_of(error) not in {"NotImplemented", "501"}:
                raise
            self.delete(key)

    def _replace(self, key: str, content: bytes, expected: bytes) -> str:
        """Do as replace() and return the new ETag."""
        try:
            found, version = self.fetch(key, limit=len(expected))
            if found == expected:
                return self._put_if(key, content, self._final, {"If-Match": version}) or self._put(
                    key, content, self._final
                )
        except UploadBusyError as error:
            if code_of(error) == "ConditionalRequestConflict":  # the store has not decided: the caller may try again
                raise
            raise ChangedError(str(error)) from error
        except (PathNotFoundError, ObjectTooLargeError) as error:
            raise ChangedError(str(error)) from error
        raise ChangedError(f"s3: {key} is not what it was")

    def put_final(self, key: str, body: IO[bytes]) -> None:
        """Create or replace an object with what `body` holds from its beginning."""
        self._put_all(key, body, self._final)

    def put_staged(self, key: str, body: IO[bytes]) -> None:
        """Create or replace an object of an upload."""
        self._put_all(key, body, self._staged)

    def _put_all(self, key: str, body: IO[bytes], options: Mapping[str, str]) -> None:
        size = body.seek(0, SEEK_END)
        body.seek(0)
        if size <= _AT_ONCE:
            self._put(key, body.read(), options)
            return
        with Translated("PutObject", key):
            self._client.put_object(Bucket=self.name, Key=key, Body=body, **options)

    def swap(self, key: str, content: bytes, version: str) -> str:
        """Replace an object of an upload if its ETag is still `version`; return the new one.

        If a store answers that it has no conditional writes, the ETag is compared first and the object then written.

        Raises:
            UploadBusyError: it has another ETag, or is gone.
        """
        try:
            if written := self._put_if(key, content, self._staged, {"If-Match": version}):
                return written
            if self.version(key) != version:
                raise UploadBusyError(f"s3: {key} was changed by another request")
        except PathNotFoundError as error:
            raise UploadBusyError(str(error)) from error
        return self._put(key, content, self._staged)

    def _put_if(self, key: str, content: bytes, options: Mapping[str, str], condition: Mapping[str, str]) -> str | None:
        """Write under the condition and return the ETag; None if the store has no conditional writes."""
        if not self._compares:
            return None
        try:
            return self._put(key, content, options, condition)
        except DriverError as error:
            if code_of(error) not in {"NotImplemented", "501"}:
                raise
        _log.warning("the S3 endpoint has no conditional writes; of two requests the later one wins")
        self._compares = False
        return None

    def _put(self, key: str, content: bytes, options: Mapping[str, str], condition: Mapping[str, str] = _ALWAYS) -> str:
        """Write and return the ETag."""
        headers = {**headers_of(options), **condition}
        with Translated("PutObject", key):
            return self._calls.call("PutObject", "PUT", key, headers=headers, body=content).headers["ETag"]

    def copy(self, source: str, destination: str) -> None:
        """Copy an object of at most 5 GiB inside the bucket."""
        with Translated("CopyObject", source):
            self._client.copy_object(
                Bucket=self.name,
                Key=destination,
                CopySource={"Bucket": self.name, "Key": source},
                MetadataDirective="REPLACE",
                **self._final,
            )

    def delete(self, key: str) -> None:
        """Delete an object; it is not an error if there is none."""
        with Translated("DeleteObject", key):
            self._calls.call("DeleteObject", "DELETE", key)

    def remove_all(self, keys: Iterable[str]) -> None:
        """Delete objects, a thousand at a time; it is not an error if some are gone already."""
        remove(self, keys)

    def delete_objects(self, objects: Sequence[Mapping[str, str]]) -> list[Failure]:
        """Delete at most a thousand objects with one call; return what the answer says of those that it did not delete.

        Each is given as its ``Key`` and, as a condition, its ``ETag``.
        """
        body = deletion(objects)
        # Amazon accepts any checksum for this call; other vendors accept only the protocol's first one.
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")
        headers = {"Content-MD5": md5, "Content-Type": "application/xml"}
        with Translated("DeleteObjects", objects[0]["Key"]):
            return failures(
                self._calls.call(
                    "DeleteObjects", "POST", query={"delete": ""}, headers=headers, body=body, most_bytes=_MOST_OF_LIST
                )
            )

    def ask(self, key: str) -> Future[str]:
        """Begin to ask for the version of an object, as walk() tells it; PathNotFoundError if there is none."""
        return self._pool.submit(self._ask, key)

    def _ask(self, key: str) -> str:
        with Translated("HeadObject", key):
            head = self._calls.call("HeadObject", "HEAD", key).headers
            return version_of(time_of(head["Last-Modified"]), head["ETag"])

    def discard(self, versions: Mapping[str, str]) -> list[str]:
        """Delete objects that still have their version; drivers.s3.deleting says how."""
        return discard(self, versions)

    def signed_url(self, key: str, method: str) -> str | None:
        """Return a URL that lets anyone GET or HEAD an object for 20 minutes, at the endpoint that clients reach.

        The signature covers the host, so that endpoint must pass on the host name that the client used.
        """
        operation = {"GET": "get_object", "HEAD": "head_object"}.get(method)
        if operation is None:
            return None
        with Translated("sign a URL of", key):
            return self._calls.signed_url(method, operation, key, _URL_SECONDS)

    # Listing

    def page(
        self, prefix: str, *, delimiter: str = "", after: str = "", token: str = "", limit: int | None = None
    ) -> Listing:
        """Return one answer of ListObjectsV2."""
        with Translated("ListObjectsV2", prefix):
            return self._list(prefix, delimiter=delimiter, after=after, token=token, limit=limit)

    def _list(
        self, prefix: str, *, delimiter: str = "", after: str = "", token: str = "", limit: int | None = None
    ) -> Listing:
        asked = {
            "continuation-token": token,
            "delimiter": delimiter,
            "encoding-type": "url",  # XML cannot hold all characters of keys
            "list-type": "2",
            "max-keys": "" if limit is None else str(limit),
            "prefix": prefix,
            "start-after": after,
        }
        query = {name: value for name, value in asked.items() if value}
        answer = self._calls.call("ListObjectsV2", "GET", query=query, most_bytes=_MOST_OF_LIST)
        return listing(answer)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield all keys that begin with `prefix`."""
        return (entry.key for entry in self._entries(prefix))

    def walk(self, prefix: str) -> Iterator[Found]:
        """Yield each object whose key begins with `prefix`, the key in place of the path.

        Raises:
            DriverError: the store does not tell ETags in listings.
        """
        return self.scan(prefix, after="", limit=MOST_LISTED)

    def scan(self, prefix: str, *, after: str, limit: int) -> Iterator[Found]:
        """Yield what walk() does that comes after the key `after`, with `limit` objects an answer."""
        for entry in self._entries(prefix, after, min(limit, MOST_LISTED)):
            if not entry.etag:
                raise DriverError(f"s3: ListObjectsV2 {prefix}: the endpoint tells no ETag of {entry.key}")
            yield Found(entry.key, entry.size, entry.modified, version_of(entry.modified, entry.etag))

    def _entries(self, prefix: str, after: str = "", limit: int | None = None) -> Iterator[Entry]:
        token = ""
        while True:
            page = self.page(prefix, after=after, token=token, limit=limit)
            yield from page.entries
            if not page.token:
                return
            after, token = "", page.token

    def pages(self, prefix: str, *, after: str, limit: int) -> Iterator[Page]:
        """Yield what lies directly below `prefix`, after `after`, in pages of as many names as are missing."""
        return pages(self, prefix, after, limit)

    def hold_any(self, prefixes: Sequence[str]) -> Iterator[bool]:
        """Tell of each prefix whether any key begins with it."""
        return self._pool.map(self._holds_any, prefixes)

    def _holds_any(self, prefix: str) -> bool:
        return bool(self.page(prefix, limit=1).entries)
