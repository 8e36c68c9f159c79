"""A blob as its upstream has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.oci.errors import BlobUnknownError

if TYPE_CHECKING:
    from registry.oci.digest import Digest
    from registry.upstream.client import Upstream
    from registry.upstream.streams import BlobStream


@dataclass(frozen=True, slots=True)
class RemoteBlob:
    """The blob `digest` of what `upstream` calls `repository`; `via` is the header of the request that is answered.

    Each raises:
        BlobUnknownError: the upstream does not have it under that name.
        UpstreamError: it does not give what is asked for.
    """

    upstream: Upstream
    repository: str
    digest: Digest
    via: str = ""

    @property
    def name(self) -> str:
        """What the upstream is called here."""
        return self.upstream.name

    def size(self) -> int:
        """Return its size in bytes, which shows that it is there under that name."""
        size = self.upstream.blob_size(self.repository, self.digest, via=self.via)
        if size is None:
            raise self.unknown()
        return size

    def open(self, start: int = 0, stop: int | None = None) -> BlobStream:
        """Return its bytes from `start` on up to `stop`, or more of them than that."""
        stream = self.upstream.blob(self.repository, self.digest, start, stop, via=self.via)
        if stream is None:
            raise self.unknown()
        return stream

    def unknown(self) -> BlobUnknownError:
        """Return the error that says that nobody has it."""
        return BlobUnknownError("blob unknown to registry", str(self.digest))
