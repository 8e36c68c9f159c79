"""The calls to Azure Blob Storage, each with its errors turned into the contract's where it is made."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobType

from drivers.azure.client import ConflictError, Translated, code_of, status_of
from drivers.azure.signing import Signer
from drivers.base import (
    PIECE_SIZE,
    ChangedError,
    DriverError,
    Found,
    ObjectTooLargeError,
    PathExistsError,
    PathNotFoundError,
    Stat,
    UnavailableError,
)
from drivers.flat import Page, discard_each, no_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from azure.storage.blob import BlobClient, BlobProperties, BlobServiceClient

    from drivers.azure.parameters import AzureParameters

PAGE_SIZE: Final = 5000
_COPY_POLL_SECONDS = 5.0
_COPY_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Block:
    """A committed part of a blob."""

    block_id: str
    size: int


class Container:
    """One container, shared by all threads. `pool` makes the calls that concern many blobs."""

    def __init__(self, service: BlobServiceClient, parameters: AzureParameters, pool: Executor) -> None:
        self.pool = pool
        self._container = service.get_container_client(parameters.container)
        self._signer = Signer(service, parameters)
        self._redirect_endpoint = parameters.redirectendpoint
        self._first_pause = parameters.retry_delay_seconds
        self._starts_anywhere = True

    def check(self) -> None:
        """Return if the container can be listed."""
        name = self._container.container_name
        try:
            with Translated("list the container", name):
                next(iter(self._container.list_blob_names(results_per_page=1)), None)
        except DriverError as error:
            # A container that is not there may be about to be made.
            word = UnavailableError if isinstance(error, PathNotFoundError) else type(error)
            raise word(f"{error}; check container, accountname, serviceurl or realm, and credentials") from error

    # Blobs

    def stat(self, key: str) -> Stat:
        """Return size and time of a blob."""
        with Translated("stat", key):
            properties = self.properties(key)
            return Stat(properties.size, properties.last_modified.timestamp())

    def properties(self, key: str) -> BlobProperties:
        """Return what is known of a blob."""
        with Translated("stat", key):
            return _complete(self._blob(key).get_blob_properties())

    def put(self, key: str, content: bytes) -> None:
        """Create or replace a blob."""
        with Translated("put", key):
            self._in_place_of_any(key, lambda blob: blob.upload_blob(content, overwrite=True))

    def create(self, key: str, content: bytes) -> None:
        """Create a blob; PathExistsError if there is one."""
        with Translated("create", key):
            try:
                self._blob(key).upload_blob(content, overwrite=False)
            except HttpResponseError as error:
                if status_of(error) != HTTPStatus.CONFLICT:
                    raise
                raise PathExistsError(f"azure: create {key}: it exists") from error

    def replace(self, key: str, content: bytes, expected: bytes) -> None:
        """Replace a blob whose content is `expected`; ChangedError if it is not."""
        condition = _only(self._etag_of(key, expected))
        try:
            with Translated("replace", key):
                self._blob(key).upload_blob(content, overwrite=True, **condition)
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
            download = self._blob(key).download_blob()
            size = _complete(download.properties).size
            if size > limit:
                raise ObjectTooLargeError(f"azure: get {key}: {size} bytes, at most {limit} allowed")
            return download.readall(), download.properties.etag

    def stream(self, key: str, start: int = 0, stop: int | None = None, etag: str | None = None) -> Iterator[bytes]:
        """Return the pieces of a range of a blob, of the version `etag` if given; it is open when this returns.

        All pieces are of one version: if the blob is replaced meanwhile, reading on is an error.
        """
        whole = not start and stop is None
        try:
            with Translated("read", key):
                download = self._blob(key).download_blob(
                    offset=None if whole else start,
                    length=None if stop is None else stop - start,
                    **_only(etag),
                )
                _complete(download.properties)
        except DriverError as error:
            if status_of(error.__cause__) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return no_bytes()
            raise
        return self._pieces(key, download.chunks())

    @staticmethod
    def _pieces(key: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        with Translated("read", key):
            for chunk in chunks:
                view = memoryview(chunk)
                for position in range(0, len(view), PIECE_SIZE):
                    yield bytes(view[position : position + PIECE_SIZE])

    def remove(self, key: str, etag: str | None = None) -> None:
        """Delete a blob, only if it has the version `etag` where that is given."""
        with Translated("delete", key):
            self._blob(key).delete_blob(delete_snapshots="include", **_only(etag))

    def remove_below(self, prefix: str) -> bool:
        """Delete every blob whose key begins with `prefix`; tell whether there was any."""
        with Translated("list", prefix):
            keys = list(self._container.list_blob_names(name_starts_with=prefix))
        for done in [self.pool.submit(self._remove_any, key) for key in keys]:
            done.result()
        return bool(keys)

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
        with Translated("list", prefix):
            for blob in self._container.list_blobs(prefix, include=["copy"], results_per_page=PAGE_SIZE):
                if _is_complete(blob):
                    # A listing gives the ETag without the quotes that it has in a condition.
                    etag = '"{}"'.format(blob.etag.strip('"'))
                    yield Found(blob.name, blob.size, blob.last_modified.timestamp(), etag)

    def pages(self, prefix: str, *, after: str, limit: int) -> Iterator[Page]:
        """Yield what lies directly below `prefix`, from `after` on, in pages of `limit` names and one more.

        An account that cannot begin in the middle is read from the beginning, 5,000 entries a call.
        """
        if after and self._starts_anywhere:
            try:
                for page in self._pages(prefix, limit + 1, start_from=prefix + after):
                    if page.entries and min(page.entries) < after:
                        self._starts_anywhere = False
                        break
                    yield page
                else:
                    return
            except DriverError as error:
                if status_of(error.__cause__) != HTTPStatus.BAD_REQUEST:
                    raise
                self._starts_anywhere = False
        yield from self._pages(prefix, PAGE_SIZE if after else limit + 1)

    def hold_any(self, prefixes: Sequence[str]) -> Iterator[bool]:
        """Tell of each prefix whether any key begins with it."""
        for prefix in prefixes:
            yield any(page.entries for page in self._pages(prefix, 1))

    def _pages(self, prefix: str, size: int, **more: Any) -> Iterator[Page]:
        with Translated("list", prefix):
            listing = self._container.walk_blobs(
                prefix,
                delimiter="/",
                results_per_page=min(size, PAGE_SIZE),
                **more,
            )
            pages: Any = listing.by_page()
            for page in pages:
                entries = [entry.name.removeprefix(prefix) for entry in page]
                yield Page(entries, max(entries, default="") if pages.continuation_token else None)

    # Blocks

    def blocks(self, key: str) -> tuple[list[Block], str]:
        """Return the blocks that the blob is made of, and its ETag.

        Raises:
            PathNotFoundError: there is no blob that is made of blocks.
        """
        properties = self.properties(key)
        if properties.blob_type != BlobType.BLOCKBLOB:
            raise PathNotFoundError(f"azure: {key} is not an upload of ours but a {properties.blob_type}")
        if not properties.size:
            return [], properties.etag
        etags: list[str] = []
        with Translated("list the blocks of", key):
            blocks, _ = self._blob(key).get_block_list(
                "committed", raw_response_hook=lambda answer: etags.append(answer.http_response.headers["ETag"])
            )
            return [Block(block.id, block.size) for block in blocks], etags[-1]

    def stage(self, key: str, block_id: str, content: bytes) -> Block:
        """Send a block. It becomes part of the blob when it is committed."""
        with Translated("send a block of", key):
            self._blob(key).stage_block(block_id, content, len(content))
        return Block(block_id, len(content))

    def commit(self, key: str, blocks: Iterable[Block], etag: str) -> str:
        """Let the blob consist of `blocks`, if it has the version `etag`; return its new ETag."""
        with Translated("commit the blocks of", key):
            answer: dict[str, Any] = self._blob(key).commit_block_list(
                [BlobBlock(block.block_id) for block in blocks],
                **_only(etag),
            )
            return str(answer["etag"])

    # Copies

    def copy(self, source: str, destination: str, etag: str) -> None:
        """Copy a blob, which must have the version `etag`, inside the service, and wait for the end of the copy."""
        token = self._signer.source_token(source)
        url = self._blob(source).url
        with Translated("copy", source):
            answer = self._in_place_of_any(
                destination,
                lambda blob: blob.start_copy_from_url(
                    f"{url}?{token}" if token else url,
                    source_etag=etag,
                    source_match_condition=MatchConditions.IfNotModified,
                ),
            )
            status, reason = answer["copy_status"], ""
            pause, deadline = self._first_pause, time.monotonic() + _COPY_SECONDS
            while status == "pending" and time.monotonic() < deadline:
                time.sleep(pause)
                pause = min(2 * pause, _COPY_POLL_SECONDS)
                copy = self._blob(destination).get_blob_properties().copy
                if copy.id != answer["copy_id"]:
                    raise ConflictError(f"azure: copy {source}: another copy to {destination} took the place of this")
                status, reason = copy.status, copy.status_description or ""
            if status == "pending":
                self._blob(destination).abort_copy(answer["copy_id"])
        if status != "success":
            word = UnavailableError if status == "pending" else DriverError
            raise word(f"azure: copy {source}: {status} {reason}".rstrip())

    def signed_url(self, key: str) -> str | None:
        """Return a URL with which anyone can fetch the blob, or None if these credentials cannot sign."""
        token = self._signer.token(key)
        if not token:
            return None
        url: str = self._blob(key).url
        if self._redirect_endpoint:  # the signature covers account, container and name, but not the host
            url = self._redirect_endpoint + urlsplit(url).path
        return f"{url}?{token}"

    def _blob(self, key: str) -> BlobClient:
        return self._container.get_blob_client(key)

    def _in_place_of_any(self, key: str, write: Callable[[BlobClient], Any]) -> Any:
        """Write a block blob, also in place of an append blob, which the service does not replace by itself."""
        try:
            return write(self._blob(key))
        except HttpResponseError as error:
            if code_of(error) != "InvalidBlobType":
                raise
        self._blob(key).delete_blob(delete_snapshots="include")
        return write(self._blob(key))


def _complete(properties: BlobProperties) -> BlobProperties:
    """Return `properties` of a blob that is complete.

    Raises:
        PathNotFoundError: the blob is still being made by a copy, or that copy failed.
        UnavailableError: they are not those of a blob: something else has answered.
    """
    if properties.last_modified is None:
        raise UnavailableError(f"azure: {properties.name}: an answer that cannot be understood")
    if not _is_complete(properties):
        raise PathNotFoundError(f"azure: {properties.name}: the copy that makes it is {properties.copy.status}")
    return properties


def _is_complete(properties: BlobProperties) -> bool:
    return properties.copy.status in {None, "success"}


def _only(etag: str | None) -> dict[str, Any]:
    """Return the condition that a blob has the version `etag`; no condition if that is None."""
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
