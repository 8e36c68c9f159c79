"""The calls to Google Cloud Storage. Errors of the SDK become the contract's where they are raised."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import google.auth.exceptions
import google_crc32c
import requests
import urllib3.exceptions
from google.api_core import exceptions as api_errors
from google.cloud.storage.retry import DEFAULT_RETRY

from drivers.base import (
    PIECE_SIZE,
    ChangedError,
    DriverError,
    Found,
    NotPermittedError,
    ObjectTooLargeError,
    PathExistsError,
    PathNotFoundError,
    Stat,
    UnavailableError,
)
from drivers.flat import Page, discard_each
from drivers.gcs.client import signed_url
from drivers.translation import CHECK_RIGHTS, Translation, foreign, one_line

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from google.cloud import storage

PAGE_SIZE: Final = 1000
_NAMED: Final = "items(name),prefixes,nextPageToken"
_LISTED: Final = "items(name,size,updated,generation),nextPageToken"
"""The fields of a listing: all others would be sent, too."""
_CONTENT_TYPE = "application/octet-stream"
_TIMEOUT_SECONDS = (10, 60)
"""For a connection, and for the next bytes of an answer."""

_ATTEMPTS = 4
"""How often in a row a download that breaks off without another byte is continued."""

_RETRY = DEFAULT_RETRY.with_delay(initial=0.5, multiplier=2, maximum=8).with_timeout(30)
_PASSING = (
    api_errors.TooManyRequests,
    api_errors.ServerError,
    api_errors.RetryError,
    google.auth.exceptions.TransportError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
    OSError,
)
_REFUSING = (api_errors.Unauthorized, api_errors.Forbidden)
_TELLING = (*_PASSING, api_errors.GoogleAPIError, google.auth.exceptions.GoogleAuthError)


class ConflictError(DriverError):
    """The object does not have the generation that was asked for."""


@dataclass(frozen=True, slots=True)
class Source:
    """An object for compose(), which takes exactly the generation that the writer saw."""

    key: str
    generation: int


class _Translated(Translation):
    __slots__ = ()
    driver = "gcs"
    # Not all are the SDK's own: connections break in the middle of an answer, or the answer is not this service's.
    failures = (Exception,)
    advice = CHECK_RIGHTS

    @staticmethod
    def text(error: Exception) -> str:
        return one_line(error) if isinstance(error, _TELLING) else foreign(error)

    @staticmethod
    def word(error: Exception) -> type[DriverError]:
        if isinstance(error, api_errors.NotFound):
            return PathNotFoundError
        if isinstance(error, api_errors.PreconditionFailed):
            return ConflictError
        if isinstance(error, _REFUSING):
            return NotPermittedError
        if isinstance(error, _PASSING) or not isinstance(error, _TELLING):
            return UnavailableError
        if isinstance(error, google.auth.exceptions.GoogleAuthError):
            return UnavailableError if error.retryable else NotPermittedError
        code: int = getattr(error, "code", None) or 0
        passing = code == HTTPStatus.REQUEST_TIMEOUT or code >= HTTPStatus.INTERNAL_SERVER_ERROR
        return UnavailableError if passing else DriverError


class Bucket:
    """One bucket, shared by all threads. `pool` makes the calls that concern many objects.

    Clients are sent to `redirect_endpoint`, or if that is empty to the endpoint of `client`.
    """

    def __init__(self, client: storage.Client, name: str, pool: Executor, redirect_endpoint: str = "") -> None:
        self._client = client
        self._bucket = client.bucket(name)
        self.pool = pool
        self.name = name
        self._redirect_endpoint = redirect_endpoint or client.api_endpoint
        # Contents are sent and fetched through the SDK's session, not by its methods: those stream only into a
        # file, and hold four copies of what they send.
        self._session = client._http  # noqa: SLF001
        objects = f"storage/v1/b/{quote(name, safe='')}/o"
        self._download = f"{client.api_endpoint}/download/{objects}"
        self._upload = f"{client.api_endpoint}/upload/{objects}"

    def check(self) -> None:
        """Return if the bucket can be listed."""
        try:
            with _Translated("list the bucket", self.name):
                next(
                    iter(self._client.list_blobs(self.name, max_results=1, retry=None, timeout=_TIMEOUT_SECONDS)), None
                )
        except PathNotFoundError as error:
            # It may be about to be made.
            raise UnavailableError(f"{error}; there is no such bucket, or the credentials may not see it") from error

    def stat(self, key: str) -> Stat:
        """Return size and time of an object."""
        with _Translated("stat", key):
            blob = self._bucket.get_blob(key, retry=_RETRY, timeout=_TIMEOUT_SECONDS)
            if blob is None:
                raise PathNotFoundError(f"gcs: stat {key}: there is no object")
            return Stat(blob.size, blob.updated.timestamp())

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
        query = {"uploadType": "media", "name": key, "fields": "generation,crc32c"}
        if generation is not None:
            query["ifGenerationMatch"] = str(generation)
        with _Translated("put", key), self._send("POST", f"{self._upload}?{urlencode(query)}", content) as response:
            stored = response.json()
            if stored.get("crc32c") != _checksum(content):
                raise UnavailableError(f"gcs: put {key}: what arrived is not what was sent")
            return int(stored["generation"])

    def get(self, key: str, *, limit: int) -> bytes:
        """Return an object of at most `limit` bytes."""
        return self.fetch(key, limit=limit)[0]

    def fetch(self, key: str, *, limit: int) -> tuple[bytes, int]:
        """Return an object of at most `limit` bytes and its generation."""
        with _Translated("get", key), self._get(key, {}) as response:
            size = int(response.headers["Content-Length"])
            if size > limit:
                raise ObjectTooLargeError(f"gcs: get {key}: {size} bytes, at most {limit} allowed")
            return response.content, int(response.headers["X-Goog-Generation"])

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
                with _Translated("read", key), self._get(key, _range(position, stop), generation) as response:
                    if not generation:
                        generation = response.headers["X-Goog-Generation"]
                        yield b""
                    if response.status_code == requests.codes.requested_range_not_satisfiable:
                        return
                    while piece := response.raw.read(PIECE_SIZE, decode_content=False):
                        yield piece
                        position, failures = position + len(piece), 0
                    return
            except UnavailableError:
                failures += 1
                if not generation or failures == _ATTEMPTS:
                    raise

    def compose(self, key: str, sources: Sequence[Source]) -> int:
        """Concatenate `sources` into one object, inside the service; return its generation."""
        blob = self._bucket.blob(key)
        blob.content_type = _CONTENT_TYPE
        with _Translated("compose", key):
            blob.compose(
                [self._bucket.blob(source.key) for source in sources],
                if_source_generation_match=[source.generation for source in sources],
                retry=_RETRY,
                timeout=_TIMEOUT_SECONDS,
            )
            return int(blob.generation)

    def remove(self, key: str, generation: int | None = None) -> None:
        """Delete an object, only if it has `generation` where that is given."""
        with _Translated("delete", key):
            self._bucket.delete_blob(key, if_generation_match=generation, retry=_RETRY, timeout=_TIMEOUT_SECONDS)

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
        with _Translated("list", prefix):
            for page in self._listing(prefix, PAGE_SIZE).pages:
                keys = [blob.name for blob in page]
                self.remove_all(keys)
                found = found or bool(keys)
        return found

    def walk(self, prefix: str) -> Iterator[Found]:
        """Yield each object whose key begins with `prefix`, the key in place of the path."""
        with _Translated("list", prefix):
            for blob in self._listing(prefix, PAGE_SIZE, fields=_LISTED):
                yield Found(blob.name, blob.size, blob.updated.timestamp(), str(blob.generation))

    def pages(self, prefix: str, *, after: str, limit: int) -> Iterator[Page]:
        """Yield what lies directly below `prefix`, from `after` on, in pages of `limit` names and one more."""
        start = prefix + after if after else None
        with _Translated("list", prefix):
            listing = self._listing(prefix, limit + 1, delimiter="/", start_offset=start)
            for page in listing.pages:
                keys = [*(blob.name for blob in page), *page.prefixes]
                entries = [key.removeprefix(prefix) for key in keys]
                yield Page(entries, max(entries, default="") if listing.next_page_token else None)

    def hold_any(self, prefixes: Sequence[str]) -> Iterator[bool]:
        """Tell of each prefix whether any key begins with it."""
        for prefix in prefixes:
            with _Translated("list", prefix):
                yield any(True for page in self._listing(prefix, 1).pages for _ in page)

    def _listing(self, prefix: str, size: int, fields: str = _NAMED, **more: str | None) -> Any:
        return self._client.list_blobs(
            self._bucket,
            prefix=prefix,
            page_size=min(size, PAGE_SIZE),
            fields=fields,
            retry=_RETRY,
            timeout=_TIMEOUT_SECONDS,
            **more,
        )

    def signed_url(self, key: str, method: str) -> str | None:
        """Return a URL with which anyone can fetch the object, or None if these credentials cannot sign."""
        return signed_url(self._client, self._bucket.blob(key), method, self._redirect_endpoint)

    def _get(self, key: str, headers: dict[str, str], generation: str = "") -> requests.Response:
        url = f"{self._download}/{quote(key, safe='')}?alt=media"
        if generation:
            url += f"&generation={generation}"
        return self._send("GET", url, None, {"Accept-Encoding": "identity", **headers})

    def _send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> requests.Response:
        def attempt() -> requests.Response:
            response: requests.Response = self._session.request(
                method,
                url,
                data=body,
                headers={"Content-Type": _CONTENT_TYPE, **headers},
                stream=True,
                timeout=_TIMEOUT_SECONDS,
            )
            if response.ok or response.status_code == requests.codes.requested_range_not_satisfiable:
                return response
            with response:
                raise api_errors.from_http_response(response)  # type: ignore[no-untyped-call]

        answer: requests.Response = _RETRY(attempt)()
        return answer


def _checksum(content: bytes) -> str:
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode("ascii")


def _range(start: int, stop: int | None) -> dict[str, str]:
    if stop is None:
        return {"Range": f"bytes={start}-"} if start else {}
    return {"Range": f"bytes={start}-{stop - 1}"}
