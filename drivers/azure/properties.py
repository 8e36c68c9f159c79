"""What the head of an answer says of a blob."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Self

from drivers.azure.documents import COPIED
from drivers.base import PathNotFoundError, UnavailableError

if TYPE_CHECKING:
    from registry.foundation.http_client import Reply, Stream

BLOCK_BLOB: Final = ("x-ms-blob-type", "BlockBlob")
"""The header that makes a blob of blocks, which all others are told from."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What is known of a blob; of a copy that makes or has made it, its state, "" where there is none."""

    size: int
    etag: str
    last_modified: str
    blob_type: str
    copy_status: str

    @classmethod
    def of(cls, key: str, answer: Reply | Stream) -> Self:
        """Return what `answer` says of the blob at `key`; where that is a part of it, the size of this part.

        Raises:
            UnavailableError: it says nothing of a blob: something else has answered.
        """
        one = answer.headers.get
        size, modified, etag = one("Content-Length", ""), one("Last-Modified", ""), one("ETag", "")
        if not (size.isascii() and size.isdigit() and modified and etag):
            raise UnavailableError(f"azure: {key}: an answer that cannot be understood")
        return cls(int(size), etag, modified, one("x-ms-blob-type", ""), one("x-ms-copy-status", ""))

    @classmethod
    def of_complete(cls, key: str, answer: Reply | Stream) -> Self:
        """Return the same of a blob that is complete.

        Raises:
            PathNotFoundError: it is still being made by a copy, or that copy failed.
            UnavailableError: as of().
        """
        found = cls.of(key, answer)
        if found.copy_status not in {"", COPIED}:
            raise PathNotFoundError(f"azure: {key}: the copy that makes it is {found.copy_status}")
        return found

    @property
    def modified(self) -> float:
        """When it was changed last, in seconds since 1970.

        Raises:
            ValueError: that is not a date.
        """
        return parsedate_to_datetime(self.last_modified).timestamp()
