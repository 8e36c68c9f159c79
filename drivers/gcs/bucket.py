"""The calls to Google Cloud Storage: https://cloud.google.com/storage/docs/json_api/v1.

What is asked often is asked without Google's SDK, which takes ten times as long for each call and holds several copies
of what it sends; objects are composed by it (drivers.gcs.composing).
"""

from __future__ import annotations

import base64
import json
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import google_crc32c

from drivers.base import (
    ChangedError,
    Found,
    ObjectTooLargeError,
    PathExistsError,
    PathNotFoundError,
    Stat,
    UnavailableError,
)
from drivers.calls.request import RefusedError, Request
from drivers.flat import Page, discard_each
from drivers.gcs.composing import Composer
from drivers.gcs.errors import ConflictError, Translated

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from drivers.gcs.calls import Calls
    from drivers.gcs.composing import Source
    from registry.foundation.http_client import Reply, Stream

PAGE_SIZE: Final = 1000
_MOST_OF_PAGE: Final = 16 * 1024 * 1024
"""Bytes of a page: a name has up to 1024, each of which JSON may spell with six."""
_NAMED: Final = "items(name),prefixes,nextPageToken"
_LISTED: Final = "items(name,size,updated,generation),nextPageToken"
"""The fields of a listing: all others would be sent, too."""
_CONTENT_TYPE: Final = "application/octet-stream"
_OF_CONTENT: Final = (("Content-Type", _CONTENT_TYPE),)

_ATTEMPTS = 4
"""How often in a row a download that breaks off without another byte is continued."""
_LONG: Final = 1024 * 1024
"""Bytes from which on a body is given more time."""
_PARTIAL: Final = 206
_BEYOND_END: Final = 416


class Bucket:
    """One bucket, shared by all threads. `pool` makes the calls that concern many objects."""

    def __init__(self, calls: Calls, name: str, pool: Executor) -> None:
        self._calls = calls
        self.circuit = calls.circuit
        self.pool = pool
        self.name = name
        self._objects = f"/storage/v1/b/{quote(name, safe='')}/o"

    def check(self) -> None:
        """Return if the bucket can be listed."""
        try:
            with Translated("list the bucket", self.name):
                query = urlencode({"maxResults": "1", "fields": _NAMED})
                _parsed(self._calls.once.call(Request("GET", self._objects, query), most_bytes=0))
        except PathNotFoundError as error:
            # It may be about to be made.
            raise UnavailableError(f"{error}; there is no such bucket, or the credentials may not see it") from error

    def stat(self, key: str) -> Stat:
        """Return size and time of an object."""
        with Translated("stat", key):
            found = _parsed(self._call(Request("GET", self._path(key), "fields=size,updated")))
            return Stat(int(found["size"]), _time(found["updated"]))

    def put(self, key: str, content: bytes) -> None:
        """Create or replace an object."""
        self.insert(key, content)

    def create(self, key: str, content: bytes) -> None:
        """Create an object; PathExistsError if there is one."""
        try:
            self.insert(key, content, 0)
        except ConflictError as error:
            raise PathExistsError(str(error)) from error

    def replace(self, key: str, content: bytes, expected: bytes) -> None:
        """Replace an object whose content is `expected`; ChangedError if it is not."""
        try:
            self.insert(key, content, self._generation_of(key, expected))
        except ConflictError as error:
            raise ChangedError(str(error)) from error

    def delete_if(self, key: str, expected: bytes) -> None:
        """Delete an object whose content is `expected`; ChangedError if it is not."""
        try:
            self.remove(key, self._generation_of(key, expected))
        except (ConflictError, PathNotFoundError) as error:
            raise ChangedError(str(error)) from error

    def _generation_of(self, key: str, expected: bytes) -> int:
        with suppress(PathNotFoundError, ObjectTooLargeError):
            content, generation = self.fetch(key, limit=len(expected))
            if content == expected:
                return generation
        raise ChangedError(f"gcs: {key} is not what it was")

    def insert(self, key: str, content: bytes, generation: int | None = None) -> int:
        """Store an object and return its new generation, provided that it has `generation` now (0: there is none)."""
        query = f"uploadType=media&fields=generation,crc32c&name={_quoted(key)}"
        if generation is not None:
            query += f"&ifGenerationMatch={generation}"
        caller = self._calls.long if len(content) > _LONG else self._calls.usual
        with Translated("put", key):
            request = Request("POST", f"/upload{self._objects}", query, _OF_CONTENT, content)
            stored = _parsed(caller.call(request, most_bytes=0))
            if stored.get("crc32c") != _checksum(content):
                raise UnavailableError(f"gcs: put {key}: what arrived is not what was sent")
            return int(stored["generation"])

    def generation_with(self, key: str, content: bytes) -> int | None:
        """Return the generation of an object if it has `content`, which is told by size and checksum."""
        with Translated("stat", key):
            found = _parsed(self._call(Request("GET", self._path(key), "fields=size,crc32c,generation")))
            same = int(found["size"]) == len(content) and found["crc32c"] == _checksum(content)
            return int(found["generation"]) if same else None

    def get(self, key: str, *, limit: int) -> bytes:
        """Return an object of at most `limit` bytes."""
        return self.fetch(key, limit=limit)[0]

    def fetch(self, key: str, *, limit: int) -> tuple[bytes, int]:
        """Return an object of at most `limit` bytes and its generation."""
        with Translated("get", key):
            answer = self._call(Request("GET", f"/download{self._path(key)}", "alt=media"), most_bytes=limit)
            if len(answer.content) > limit or answer.truncated:
                size = answer.headers.get("Content-Length", "more")
                raise ObjectTooLargeError(f"gcs: get {key}: {size} bytes, at most {limit} allowed")
            return answer.content, int(answer.headers["X-Goog-Generation"])

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Return the pieces of a range of an object, which is open when this returns.

        If the connection breaks, the download continues from there, with the same generation of the object.
        """
        pieces = self._pieces(key, start, stop)
        next(pieces)
        return pieces

    def _pieces(self, key: str, start: int, stop: int | None) -> Generator[bytes]:
        position, generation, failures = start, "", 0
        while True:
            try:
                with Translated("read", key), self._open(key, position, stop, generation) as answer:
                    if not generation:
                        generation = answer.headers["X-Goog-Generation"] if answer else "0"
                        yield b""
                    if answer is None:
                        return
                    for piece in answer.pieces():
                        yield piece
                        position, failures = position + len(piece), 0
                    return
            except UnavailableError:
                failures += 1
                if not generation or failures == _ATTEMPTS:
                    raise

    def _open(self, key: str, start: int, stop: int | None, generation: str) -> AbstractContextManager[Stream | None]:
        """Return the answer to a download of this range, of this generation if one is given; None behind the end."""
        query = f"alt=media&generation={generation}" if generation else "alt=media"
        asked = _range(start, stop)
        try:
            answer = self._calls.usual.stream(Request("GET", f"/download{self._path(key)}", query, asked))
        except RefusedError as error:
            if error.answer.status == _BEYOND_END:
                return nullcontext()
            raise
        if asked and answer.status != _PARTIAL:
            answer.close()
            raise UnavailableError(f"gcs: read {key}: a range was asked for, and something else came")
        return answer

    def compose(self, key: str, sources: Sequence[Source]) -> int:
        """Concatenate `sources` into one object, inside the service; return its generation."""
        with Translated("compose", key):
            return self._composer.compose(key, sources)

    @cached_property
    def _composer(self) -> Composer:
        return Composer(self._calls.long, self._calls.endpoint, self.name)

    def remove(self, key: str, generation: int | None = None) -> None:
        """Delete an object, only if it has `generation` where that is given."""
        query = "" if generation is None else f"ifGenerationMatch={generation}"
        with Translated("delete", key):
            answer = self._call(Request("DELETE", self._path(key), query))
            if answer.content:
                json.loads(answer.content)  # a page of a proxy is not an answer

    def remove_all(self, keys: Iterable[str]) -> None:
        """Delete objects; it is not an error if some are gone already."""
        for done in [self.pool.submit(self._remove_any, key) for key in keys]:
            done.result()

    def _remove_any(self, key: str) -> None:
        with suppress(PathNotFoundError):
            self.remove(key)

    def discard(self, versions: Mapping[str, str]) -> list[str]:
        """Delete the objects that have these generations; return the keys of those that have not."""
        return discard_each(self.pool, self._discard, versions)

    def _discard(self, key: str, version: str) -> bool:
        with suppress(PathNotFoundError):
            try:
                self.remove(key, int(version))
            except ConflictError:
                self.stat(key)  # an object that is gone has not that generation either
                return False
        return True

    def remove_below(self, prefix: str) -> bool:
        """Delete every object whose key begins with `prefix`; tell whether there was any."""
        found = False
        for page in self._listing(prefix, PAGE_SIZE):
            keys = [item["name"] for item in page.get("items", ())]
            self.remove_all(keys)
            found = found or bool(keys)
        return found

    def walk(self, prefix: str) -> Iterator[Found]:
        """Yield each object whose key begins with `prefix`, the key in place of the path."""
        return self.scan(prefix, after="", limit=PAGE_SIZE)

    def scan(self, prefix: str, *, after: str, limit: int) -> Iterator[Found]:
        """Yield what walk() does that comes after the key `after`, with about `limit` objects an answer."""
        more = {"startOffset": after} if after else {}  # which is where it begins
        for page in self._listing(prefix, limit + 1, fields=_LISTED, **more):
            with Translated("list", prefix):
                found = [
                    Found(item["name"], int(item["size"]), _time(item["updated"]), str(item["generation"]))
                    for item in page.get("items", ())
                    if item["name"] > after
                ]
            yield from found

    def pages(self, prefix: str, *, after: str, limit: int) -> Iterator[Page]:
        """Yield what lies directly below `prefix`, from `after` on, in pages of `limit` names and one more."""
        more = {"delimiter": "/"}
        if after:
            more["startOffset"] = prefix + after
        for page in self._listing(prefix, limit + 1, **more):
            keys = [*(item["name"] for item in page.get("items", ())), *page.get("prefixes", ())]
            entries = [key.removeprefix(prefix) for key in keys]
            yield Page(entries, max(entries, default="") if "nextPageToken" in page else None)

    def hold_any(self, prefixes: Sequence[str]) -> Iterator[bool]:
        """Tell of each prefix whether any key begins with it."""
        for prefix in prefixes:
            yield any(page.get("items") for page in self._listing(prefix, 1))

    def _listing(self, prefix: str, size: int, fields: str = _NAMED, **more: str) -> Iterator[dict[str, Any]]:
        asked = {"prefix": prefix, "maxResults": str(min(size, PAGE_SIZE)), "fields": fields, **more}
        while True:
            with Translated("list", prefix):
                request = Request("GET", self._objects, urlencode(asked))
                page = _parsed(self._call(request, most_bytes=_MOST_OF_PAGE))
            yield page
            if "nextPageToken" not in page:
                return
            asked["pageToken"] = page["nextPageToken"]

    def signed_url(self, key: str, method: str) -> str | None:
        """Return a URL with which anyone can fetch the object, or None if these credentials cannot sign."""
        return self._calls.urls.signed_url(method, self.name, key)

    def _path(self, key: str) -> str:
        return f"{self._objects}/{_quoted(key)}"

    def _call(self, request: Request, *, most_bytes: int = 0) -> Reply:
        return self._calls.usual.call(request, most_bytes=most_bytes)


def _parsed(answer: Reply) -> dict[str, Any]:
    """Return the JSON object that is the content.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(answer.content)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as JSON that cannot be parsed
    return found


def _quoted(key: str) -> str:
    """Return `key` as one segment of a path, or the value in a query."""
    return quote(key).replace("/", "%2F")  # faster than to have it quoted by quote()


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _checksum(content: bytes) -> str:
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode("ascii")


def _range(start: int, stop: int | None) -> tuple[tuple[str, str], ...]:
    if stop is not None:
        return (("Range", f"bytes={start}-{stop - 1}"),)
    return (("Range", f"bytes={start}-"),) if start else ()
