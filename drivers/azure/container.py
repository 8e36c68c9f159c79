"""The calls to Azure Blob Storage, each with its errors turned into the contract's where it is made."""

from __future__ import annotations

import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from drivers.azure.documents import COPIED, Block, block_list, blocks_of, encoded_id, listed
from drivers.azure.errors import ConflictError, Translated, code_of, status_of
from drivers.azure.properties import BLOCK_BLOB, Properties
from drivers.azure.reading import only, pieces_of
from drivers.azure.signing import Signer
from drivers.base import (
    ChangedError,
    DriverError,
    Found,
    ObjectTooLargeError,
    PathExistsError,
    PathNotFoundError,
    Stat,
    UnavailableError,
)
from drivers.calls.request import RefusedError
from drivers.flat import Page, discard_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from drivers.azure.client import Client, Headers
    from drivers.azure.documents import Listed
    from drivers.azure.parameters import AzureParameters
    from registry.foundation.http_client import Reply

PAGE_SIZE: Final = 5000
_MOST_OF_PAGE: Final = 64 * 1024 * 1024
"""Bytes of a page, or of a list of blocks: entries have 1 KiB, with a name of the longest 7 KiB at most."""
_VERSION_OF_STARTS: Final = "2026-02-06"
"""The first version of the protocol in which a listing begins where it is told."""
_COPY_POLL_SECONDS: Final = 5.0
_COPY_SECONDS: Final = 1800.0
_PENDING: Final = "pending"
_WITH_SNAPSHOTS: Final = ("x-ms-delete-snapshots", "include")

_Result = TypeVar("_Result")


class Container:
    """One container, shared by all threads. `pool` makes the calls that concern many blobs, `circuit` may stop all."""

    def __init__(self, client: Client, parameters: AzureParameters, pool: Executor) -> None:
        self.pool = pool
        self.circuit = client.circuit
        self._client = client
        self._name = parameters.container
        self._signer = Signer(client, parameters)
        self._public_endpoint = parameters.redirectendpoint or client.endpoint
        self._first_pause = parameters.retry_delay_seconds
        self._starts_anywhere = True

    def check(self) -> None:
        """Return if the container can be listed."""
        try:
            with Translated("list the container", self._name):
                self._page("", 1)
        except DriverError as error:
            # A container that is not there may be about to be made.
            word = UnavailableError if isinstance(error, PathNotFoundError) else type(error)
            raise word(f"{error}; check container, accountname, serviceurl or realm, and credentials") from error

    # Blobs

    def stat(self, key: str) -> Stat:
        """Return size and time of a blob."""
        with Translated("stat", key):
            properties = self.properties(key)
            return Stat(properties.size, properties.modified)

    def properties(self, key: str) -> Properties:
        """Return what is known of a blob."""
        with Translated("stat", key):
            return Properties.of_complete(key, self._client.blob("HEAD", key, HTTPStatus.OK))

    def put(self, key: str, content: bytes) -> None:
        """Create or replace a blob."""
        with Translated("put", key):
            self._in_place_of_any(key, lambda: self._put(key, (BLOCK_BLOB,), content))

    def create(self, key: str, content: bytes) -> None:
        """Create a blob; PathExistsError if there is one."""
        with Translated("create", key):
            try:
                self._put(key, (BLOCK_BLOB, ("If-None-Match", "*")), content)
            except RefusedError as error:
                if status_of(error) != HTTPStatus.CONFLICT or code_of(error).startswith(("Account", "Container")):
                    raise
                raise PathExistsError(f"azure: create {key}: it exists") from error

    def replace(self, key: str, content: bytes, expected: bytes) -> None:
        """Replace a blob whose content is `expected`; ChangedError if it is not."""
        condition = only(self._etag_of(key, expected))
        try:
            with Translated("replace", key):
                self._put(key, (BLOCK_BLOB, *condition), content)
        except (ConflictError, PathNotFoundError) as error:
            raise ChangedError(str(error)) from error

    def delete_if(self, key: str, expected: bytes) -> None:
        """Delete a blob whose content is `expected`; ChangedError if it is not."""
        try:
            self.remove(key, self._etag_of(key, expected))
        except (ConflictError, PathNotFoundError) as error:
            raise ChangedError(str(error)) from error

    def _etag_of(self, key: str, expected: bytes) -> str:
        with suppress(PathNotFoundError, ObjectTooLargeError):
            content, etag = self.fetch(key, limit=len(expected))
            if content == expected:
                return etag
        raise ChangedError(f"azure: {key} is not what it was")

    def get(self, key: str, *, limit: int) -> bytes:
        """Return a blob of at most `limit` bytes."""
        return self.fetch(key, limit=limit)[0]

    def fetch(self, key: str, *, limit: int) -> tuple[bytes, str]:
        """Return a blob of at most `limit` bytes and its ETag."""
        with Translated("get", key):
            answer = self._client.blob("GET", key, HTTPStatus.OK, most_bytes=limit)
            found = Properties.of_complete(key, answer)
            if found.size > limit:
                raise ObjectTooLargeError(f"azure: get {key}: {found.size} bytes, at most {limit} allowed")
            return answer.content, found.etag

    def stream(self, key: str, start: int = 0, stop: int | None = None, etag: str | None = None) -> Iterator[bytes]:
        """Return the pieces of a range of a blob, of the version `etag` if given; it is open when this returns.

        All pieces are of one version: if the blob is replaced meanwhile, reading on is an error.
        """
        return pieces_of(self._client, key, start, stop, etag)

    def remove(self, key: str, etag: str | None = None) -> None:
        """Delete a blob, only if it has the version `etag` where that is given."""
        with Translated("delete", key):
            self._client.blob("DELETE", key, HTTPStatus.ACCEPTED, headers=(_WITH_SNAPSHOTS, *only(etag)))

    def remove_below(self, prefix: str) -> bool:
        """Delete every blob whose key begins with `prefix`; tell whether there was any."""
        found = False
        for page in self._listing("list", prefix, PAGE_SIZE):
            keys = page.names()
            self.remove_all(keys)
            found = found or bool(keys)
        return found

    def remove_all(self, keys: Iterable[str]) -> None:
        """Delete blobs; it is not an error if some are gone already."""
        for done in [self.pool.submit(self._remove_any, key) for key in keys]:
            done.result()

    def _remove_any(self, key: str) -> None:
        with suppress(PathNotFoundError):
            self.remove(key)

    def discard(self, versions: Mapping[str, str]) -> list[str]:
        """Delete the blobs that have these ETags; return the keys of those that have not."""
        return discard_each(self.pool, self._discard, versions)

    def _discard(self, key: str, etag: str) -> bool:
        with suppress(PathNotFoundError):
            try:
                self.remove(key, etag)
            except ConflictError:
                self.stat(key)  # a blob that is gone has not that ETag either
                return False
        return True

    # Listing

    def walk(self, prefix: str) -> Iterator[Found]:
        """Yield each blob whose key begins with `prefix`, the key in place of the path."""
        return self.scan(prefix, after="", limit=PAGE_SIZE)

    def scan(self, prefix: str, *, after: str, limit: int) -> Iterator[Found]:
        """Yield what walk() does that comes after the key `after`, with about `limit` blobs an answer."""
        for page in self._listing_from(after, prefix, limit + 1, include="copy"):
            with Translated("list", prefix):
                yield from (each for each in page.found() if each.path > after)

    def pages(self, prefix: str, *, after: str, limit: int) -> Iterator[Page]:
        """Yield what lies directly below `prefix`, from `after` on, in pages of `limit` names and one more."""
        first = prefix + after if after else ""
        for page in self._listing_from(first, prefix, limit + 1, delimiter="/"):
            yield _page(page, prefix)

    def hold_any(self, prefixes: Sequence[str]) -> Iterator[bool]:
        """Tell of each prefix whether any key begins with it."""
        for prefix in prefixes:
            yield any(page.names() for page in self._listing("list", prefix, 1, delimiter="/"))

    def _listing_from(self, first: str, prefix: str, size: int, **more: str) -> Iterator[Listed]:
        """Yield the pages of a listing that begins at the key `first`, of `size` entries each.

        An account that cannot begin in the middle is read from the beginning, 5,000 entries a call.
        """
        size = min(size, PAGE_SIZE)
        if first and self._starts_anywhere:
            try:
                for page in self._listing("list", prefix, size, startFrom=first, **more):
                    if min(page.names(), default=first) < first:
                        self._starts_anywhere = False
                        break
                    yield page
                else:
                    return
            except DriverError as error:
                if status_of(error.__cause__) != HTTPStatus.BAD_REQUEST:
                    raise
                self._starts_anywhere = False
        yield from self._listing("list", prefix, PAGE_SIZE if first else size, **more)

    def _listing(self, call: str, prefix: str, size: int, **more: str) -> Iterator[Listed]:
        """Yield the pages of a listing, of `size` entries each."""
        marker = ""
        while True:
            with Translated(call, prefix):
                page = self._page(prefix, size, **(more | {"marker": marker} if marker else more))
            yield page
            marker = page.marker
            if not marker:
                return

    def _page(self, prefix: str, size: int, **more: str) -> Listed:
        query = {"restype": "container", "comp": "list", "prefix": prefix, "maxresults": str(size), **more}
        headers = (("x-ms-version", _VERSION_OF_STARTS),) if "startFrom" in more else ()
        return listed(self._client.container(query, headers=headers, most_bytes=_MOST_OF_PAGE).content)

    # Blocks

    def blocks(self, key: str) -> tuple[list[Block], str]:
        """Return the blocks that the blob is made of, and its ETag.

        Raises:
            PathNotFoundError: there is no blob that is made of blocks.
        """
        properties = self.properties(key)
        if properties.blob_type != BLOCK_BLOB[1]:
            raise PathNotFoundError(f"azure: {key} is not an upload of ours but a {properties.blob_type}")
        if not properties.size:
            return [], properties.etag
        with Translated("list the blocks of", key):
            query = "comp=blocklist&blocklisttype=committed"
            answer = self._client.blob("GET", key, HTTPStatus.OK, query=query, most_bytes=_MOST_OF_PAGE)
            return blocks_of(answer.content), answer.headers["ETag"]

    def stage(self, key: str, block_id: str, content: bytes) -> Block:
        """Send a block. It becomes part of the blob when it is committed."""
        query = f"comp=block&blockid={quote(encoded_id(block_id), safe='')}"
        with Translated("send a block of", key):
            self._client.blob("PUT", key, HTTPStatus.CREATED, query=query, body=content)
        return Block(block_id, len(content))

    def commit(self, key: str, blocks: Iterable[Block], etag: str) -> str:
        """Let the blob consist of `blocks`, if it has the version `etag`; return its new ETag."""
        with Translated("commit the blocks of", key):
            body = block_list(blocks)
            answer = self._client.blob(
                "PUT", key, HTTPStatus.CREATED, query="comp=blocklist", headers=only(etag), body=body
            )
            return answer.headers["ETag"]

    # Copies

    def copy(self, source: str, destination: str, etag: str) -> None:
        """Copy a blob, which must have the version `etag`, inside the service, and wait for the end of the copy."""
        url = self._client.source_url(source, self._signer.source_token(source))
        copier = self._client.copier
        with Translated("copy", source):
            copy_id, status = self._in_place_of_any(destination, lambda: copier.begin(url, destination, etag))
            status, reason = (status, "") if status != _PENDING else self._copied(destination, copy_id)
            if status == _PENDING:
                copier.abort(destination, copy_id)
        if status != COPIED:
            word = UnavailableError if status == _PENDING else DriverError
            raise word(f"azure: copy {source}: {status} {reason}".rstrip())

    def _copied(self, destination: str, copy_id: str) -> tuple[str, str]:
        """Wait for the end of a copy, but not for ever; return its state and why it is in that."""
        pause, deadline = self._first_pause, time.monotonic() + _COPY_SECONDS
        while True:
            time.sleep(pause)
            pause = min(2 * pause, _COPY_POLL_SECONDS)
            answer = self._client.blob("HEAD", destination, HTTPStatus.OK)
            status = Properties.of(destination, answer).copy_status
            if answer.headers.get("x-ms-copy-id", "") != copy_id:
                raise ConflictError(f"azure: copy to {destination}: another copy took the place of this")
            if status != _PENDING or time.monotonic() > deadline:
                return status, answer.headers.get("x-ms-copy-status-description", "")

    def signed_url(self, key: str) -> str | None:
        """Return a URL with which anyone can fetch the blob, or None if these credentials cannot sign."""
        token = self._signer.token(key)
        # The signature covers account, container and name, but not the host.
        return f"{self._public_endpoint}{self._client.path(key)}?{token}" if token else None

    def _in_place_of_any(self, key: str, write: Callable[[], _Result]) -> _Result:
        """Write a block blob, also in place of an append blob, which the service does not replace by itself."""
        try:
            return write()
        except RefusedError as error:
            if code_of(error) != "InvalidBlobType":
                raise
        self._client.blob("DELETE", key, HTTPStatus.ACCEPTED, headers=(_WITH_SNAPSHOTS,))
        return write()

    def _put(self, key: str, headers: Headers, body: bytes) -> Reply:
        return self._client.blob("PUT", key, HTTPStatus.CREATED, headers=headers, body=body)


def _page(listed: Listed, prefix: str) -> Page:
    """Return what lies directly below `prefix` of a page of a listing."""
    entries = [name.removeprefix(prefix) for name in listed.names()]
    return Page(entries, max(entries, default="") if listed.marker else None)
