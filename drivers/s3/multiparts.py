"""Multipart uploads, by which large objects are published, through the SDK."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from drivers.base import PathNotFoundError
from drivers.s3.errors import Translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor

    from drivers.s3.parameters import Parameters


class Multiparts:
    """The multipart uploads of the bucket that `parameters` name, by the SDK's `client`. `pool` copies parts."""

    def __init__(self, client: Any, parameters: Parameters, pool: Executor) -> None:
        self._client = client
        self._bucket = parameters.bucket
        self._copies_at_once = parameters.copies_at_once
        self._final = parameters.final_options
        self._pool = pool

    def begin(self, destination: str) -> str:
        """Begin a multipart upload at `destination` and return its id."""
        with Translated("CreateMultipartUpload", destination):
            answer = self._client.create_multipart_upload(Bucket=self._bucket, Key=destination, **self._final)
            return str(answer["UploadId"])

    def join(self, multipart_id: str, destination: str, sources: Sequence[str], rest: IO[bytes] | None) -> None:
        """Complete the multipart upload atomically, with exactly `sources`, copied in parallel, and what `rest` holds.

        Raises:
            PathNotFoundError: a source is gone; nothing was published.
        """
        etags = self._copy_parts(multipart_id, destination, sources)
        target = {"Bucket": self._bucket, "Key": destination, "UploadId": multipart_id}
        if rest:
            rest.seek(0)
            with Translated("UploadPart", destination):
                part = self._client.upload_part(**target, PartNumber=len(etags) + 1, Body=rest)
                etags.append(part["ETag"])
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        with Translated("CompleteMultipartUpload", destination):
            self._client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})

    def _copy_parts(self, multipart_id: str, destination: str, sources: Sequence[str]) -> list[str]:
        etags: list[str] = []
        for start in range(0, len(sources), self._copies_at_once):
            window = enumerate(sources[start : start + self._copies_at_once], start + 1)
            copies = [self._pool.submit(self._copy_part, multipart_id, destination, *each) for each in window]
            wait(copies, return_when=FIRST_EXCEPTION)
            for copy in copies:
                copy.cancel()
            wait(copies)
            etags += [copy.result() for copy in copies]
        return etags

    def _copy_part(self, multipart_id: str, destination: str, number: int, source: str) -> str:
        with Translated("UploadPartCopy", source):
            answer = self._client.upload_part_copy(
                Bucket=self._bucket,
                Key=destination,
                UploadId=multipart_id,
                PartNumber=number,
                CopySource={"Bucket": self._bucket, "Key": source},
            )
            return str(answer["CopyPartResult"]["ETag"])

    def abandon(self, multipart_id: str, destination: str) -> None:
        """Abort a multipart upload; it is not an error if it has ended already."""
        with suppress(PathNotFoundError), Translated("AbortMultipartUpload", destination):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=destination, UploadId=multipart_id)

    def below(self, prefix: str) -> Iterator[tuple[str, str, float]]:
        """Yield key, id and start time of all multipart uploads below `prefix`, also those of other programs."""
        with Translated("ListMultipartUploads", prefix):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                for entry in page.get("Uploads", ()):
                    yield entry["Key"], entry["UploadId"], entry["Initiated"].timestamp()
