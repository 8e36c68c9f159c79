"""How what was fetched from an upstream becomes visible here: through registry.publishing, as all that clients see.

So a garbage collection may run at any time. Nobody is told of it, no quota counts it, and what a manifest names need
not be there: it is fetched when somebody asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.oci.errors import BlobUnknownError
from registry.publishing import Operator, Publishing
from registry.storage.validation import ValidationPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.base import Writer
    from registry import ports
    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest
    from registry.oci.reference import Tag
    from registry.storage.passage import Passage
    from registry.storage.repository import Repository


class Caching:
    """Publishes what was fetched, on behalf of the registry itself, past a garbage collection by `passage`."""

    def __init__(self, passage: Passage | None) -> None:
        self._publishing = Publishing(ValidationPolicy(enabled=False), Operator(), passage=passage)

    def adopt_blob(self, repository: Repository, writer: Writer, digest: Digest) -> None:
        """Let what `writer` holds, whose digest was verified to be `digest`, become a blob of the repository.

        Raises:
            drivers.base.DriverError: it could not be stored.
        """
        self._publishing.cache_blob(repository, digest, digest, lambda: repository.blobs.adopt(writer, digest))

    def link_blob(self, repository: Repository, blob: ports.Blob) -> None:
        """Let the repository have a blob whose bytes are stored, and which its upstream has under the same name.

        Raises:
            BlobUnknownError: its bytes have gone.
            drivers.base.DriverError: it could not be stored.
        """

        def link() -> None:
            if repository.blobs.stored_size(blob.target) != blob.size:
                raise BlobUnknownError("blob unknown to registry", str(blob.digest))
            repository.blobs.mount(blob)

        self._publishing.cache_blob(repository, blob.digest, blob.target, link)

    def put_manifest(
        self, repository: ports.Repository, manifest: Manifest, digest: Digest, tags: Sequence[Tag] = ()
    ) -> None:
        """Let the repository have a manifest, and let `tags` point to it.

        Raises:
            DigestInvalidError: the digest is not that of the content.
            drivers.base.DriverError: it could not be stored.
        """
        self._publishing.cache_manifest(repository, manifest, digest, tags)

    def move_tag(
        self, repository: ports.Repository, tag: Tag, manifest: Manifest, digest: Digest, current: Digest | None
    ) -> None:
        """Let the repository have a manifest, and `tag` point to it, which points to `current` now, or None: nowhere.

        Raises:
            DigestInvalidError: the digest is not that of the content.
            registry.ports.ChangedError: the tag points elsewhere, and stays; the repository has the manifest.
            drivers.base.DriverError: it could not be stored.
        """
        self._publishing.cache_tag(repository, tag, manifest, digest, current)
