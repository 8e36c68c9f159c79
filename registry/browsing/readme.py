"""The README of an image or of a repository.

An image has what is attached to it as Markdown, and a chart of helm has a file of its own. A repository has the README
of its tag ``readme``, an artifact with a Markdown file in it, or else that of its ``latest``, or of the tag that the
caller takes for the newest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.browsing import chart
from registry.browsing.documents import annotated_blobs, guessed_kind
from registry.browsing.referrers import references

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.inventory.source import Reader
    from registry.oci.digest import Digest
    from registry.oci.manifest import Descriptor

OWN_TAG: Final = "readme"
LATEST: Final = "latest"
LONGEST: Final = 128 * 1024
"""Bytes of a README that are shown."""

_MOST_REFERRERS: Final = 50


@dataclass(frozen=True, slots=True)
class Readme:
    """A text in Markdown, `cut` where it is long, and the `manifest` that it was found in."""

    text: str
    manifest: Digest
    cut: bool = False


def readme_of_repository(source: Reader, repository: str, newest: str = "") -> Readme | None:
    """Return the README of a repository; None if it has none. `newest` is a tag to look at last, if any is given.

    Raises:
        InventoryError: it cannot be read.
    """
    for tag in dict.fromkeys(filter(None, (OWN_TAG, LATEST, newest))):
        digest = source.resolve(repository, tag)
        found = readme_of(source, repository, digest) if digest else None
        if found:
            return found
    return None


def readme_of(source: Reader, repository: str, digest: Digest) -> Readme | None:
    """Return the README of a manifest: its own file, or what is attached to it; None if there is none.

    Raises:
        InventoryError: it cannot be read.
    """
    own = _in_manifest(source, repository, digest)
    if own:
        return own
    for referrer in references(source, repository, digest, depth=1, limit=_MOST_REFERRERS).roots:
        if guessed_kind(referrer.artifact_type, referrer.annotations) == "readme":
            found = _in_manifest(source, repository, referrer.digest)
            if found:
                return found
    return None


def _in_manifest(source: Reader, repository: str, digest: Digest) -> Readme | None:
    """Return the README among the blobs of a manifest: a Markdown file, or in a chart."""
    stored = source.manifest(repository, digest)
    for blob, said in annotated_blobs(stored.content) if stored else ():
        content = _content(source, repository, blob, said)
        if content is not None:
            text = content[:LONGEST].decode("utf-8", "replace")
            return Readme(text, digest, cut=len(content) > LONGEST)
    return None


def _content(source: Reader, repository: str, blob: Descriptor, said: Mapping[str, str]) -> bytes | None:
    """Return one byte more than is shown of the README that `blob` is, or has; None if it is none."""
    if guessed_kind(blob.media_type, said) == "readme":
        return source.small_blob(repository, blob.digest, chart.LARGEST)
    if blob.media_type in chart.CONTENT_TYPES and blob.size <= chart.LARGEST:
        packed = source.small_blob(repository, blob.digest, chart.LARGEST)
        return chart.readme(packed, LONGEST + 1) if packed else None
    return None
