"""What is known of a manifest for ever: its type, its platforms, and all the bytes that it leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.foundation.found_digests import FoundDigests
from registry.inventory.walking import follow

if TYPE_CHECKING:
    from registry.browsing.images import Images
    from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Facts:
    """As registry.browsing.images.Image. `contents` are the digests that it leads to, itself included, with sizes."""

    media_type: str
    size: int | None
    platforms: tuple[str, ...]
    contents: tuple[tuple[Digest, int], ...]


def find_facts(images: Images, repository: str, digest: Digest) -> Facts | None:
    """Return what is known of a manifest that `repository` has; None if it is not there.

    Raises:
        DriverError: the storage fails.
    """
    image = images.look_at(repository, digest)
    if image is None:
        return None
    with FoundDigests() as manifests, FoundDigests() as content:
        manifests.add(digest)
        for found in follow(images.source, repository, manifests):
            content.add(found.digest, len(found.stored.content))
            found.add_blobs_to(content)
        return Facts(image.media_type, image.size, image.platforms, tuple(content.all()))
