"""Notes pulls for the endpoints that want to be told of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from registry.handlers.current import services
from registry.handlers.origins import asked, origin_of
from registry.journal.entry import BLOB, MANIFEST
from registry.notifications.pulls import Pull
from registry.oci import media_types
from registry.oci.reference import Tag

if TYPE_CHECKING:
    from registry.oci.digest import Digest
    from registry.ports import Blob, ServedManifest


def note_manifest(repository: str, reference: Tag | Digest, digest: Digest, manifest: ServedManifest) -> None:
    """Note that this client is given `manifest`, which it has asked for as `reference`."""
    all_services = services()
    pulls = all_services.pulls
    if pulls:
        tag = reference.name if isinstance(reference, Tag) else ""
        who, now_ns = asked(all_services.configuration.http), time.time_ns()
        told = (now_ns, MANIFEST, repository, digest, tag, manifest.media_type, len(manifest.content), who, origin_of)
        pulls.note(Pull._make(told))


def note_blob(repository: str, blob: Blob) -> None:
    """Note that this client is given `blob`, or a part of it, or that it has it already."""
    all_services = services()
    pulls = all_services.pulls
    if pulls:
        who, now_ns = asked(all_services.configuration.http), time.time_ns()
        told = (now_ns, BLOB, repository, blob.digest, "", media_types.OCTET_STREAM, blob.size, who, origin_of)
        pulls.note(Pull._make(told))
