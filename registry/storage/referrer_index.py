"""The index of referrers: one entry for each (subject, referrer), so that concurrent pushes never rewrite each other's.

An entry is a link and, beside it, the descriptor that stands in lists, so that nobody reads the manifest for it. The
link says that there is a referrer; the descriptor is derived from the manifest, and never changes. It may be missing
where an earlier version of this registry wrote the entry: that knows links only, and lists by them.

The index lies where the Go registry does not look; ``registry referrers rebuild`` derives it from the manifests.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError
from registry.ports import Referrer
from registry.storage import paths
from registry.storage.links import link

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest

LONGEST_DESCRIPTOR: Final = 1024 * 1024
"""Bytes. With a few that are longer, a list would be larger than what clients take (4 MiB)."""
_LONGEST_TYPE: Final = 255
"""Characters of the longest media type (RFC 6838 section 4.2)."""


class ReferrerIndex:
    """The index of one repository."""

    def __init__(self, driver: StorageDriver, name: str) -> None:
        self._driver = driver
        self._name = name

    def objects(self, manifest: Manifest, digest: Digest) -> list[tuple[str, bytes]]:
        """Return the objects of the entry of a manifest, each a path and its content, in the order to put them in.

        There are none if the manifest has no subject.
        """
        if not manifest.subject:
            return []
        subject = manifest.subject.digest
        return [
            self._description(subject, describe(manifest, digest)),
            link(paths.referrer_link(self._name, subject, digest), digest),
        ]

    def add(self, manifest: Manifest, digest: Digest) -> bool:
        """Remember a manifest, which the repository has, if it has a subject; tell whether it has."""
        objects = self.objects(manifest, digest)
        self._driver.put_in_order(objects)
        return bool(objects)

    def add_descriptor(self, subject: Digest, referrer: Referrer) -> None:
        """Remember what stands in lists for a referrer whose link is there."""
        self._driver.put(*self._description(subject, referrer))

    def remove_descriptor(self, subject: Digest, digest: Digest) -> None:
        """Forget what stands in lists for a referrer; if there is a link, it stays."""
        with suppress(PathNotFoundError):
            self._driver.delete(paths.referrer_descriptor(self._name, subject, digest))

    def remove(self, subject: Digest, digest: Digest) -> None:
        """Forget a referrer, if it was known."""
        with suppress(PathNotFoundError):
            self._driver.delete(paths.referrer(self._name, subject, digest))

    def _description(self, subject: Digest, referrer: Referrer) -> tuple[str, bytes]:
        return paths.referrer_descriptor(self._name, subject, referrer.digest), referrer.descriptor.encode("ascii")


def describe(manifest: Manifest, digest: Digest) -> Referrer:
    """Return a manifest as it stands in lists.

    One whose descriptor would be longer than LONGEST_DESCRIPTOR is listed without its annotations. What is longer than
    a media type may be is not listed as its artifactType.
    """
    described = manifest.listed_as(digest)
    artifact_type = manifest.artifact_type
    if len(artifact_type) > _LONGEST_TYPE:
        artifact_type = ""
        del described["artifactType"]
    text = json.dumps(described, separators=(",", ":"))
    if len(text) > LONGEST_DESCRIPTOR:
        del described["annotations"]
        text = json.dumps(described, separators=(",", ":"))
    return Referrer(digest, artifact_type, text)


def read_descriptor(content: bytes, digest: Digest) -> Referrer | None:
    """Return the referrer that `content` describes, or None if that is not a descriptor of `digest`."""
    try:
        text = content.decode("ascii")
        described = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(described, dict) or described.get("digest") != str(digest):
        return None
    artifact_type = described.get("artifactType", "")
    return Referrer(digest, artifact_type, text) if isinstance(artifact_type, str) else None
