"""Notes pulls for the endpoints that want to be told of them, and for retention what manifests are asked for."""

from __future__ import annotations

import time
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from registry.audit.trail import bounded
from registry.handlers.current import services
from registry.handlers.flask_internals import current_request
from registry.handlers.origins import asked, origin_of, size_of
from registry.journal.entry import BLOB, MANIFEST
from registry.notifications.pulls import Pull
from registry.oci import media_types
from registry.oci.reference import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask import Flask

    from registry.config.values import HTTP
    from registry.handlers.response import Response
    from registry.journal.entry import Origin
    from registry.oci.digest import Digest
    from registry.ports import Blob, ServedManifest
    from registry.retention.pulls import LastPulls

_MOST_CHARACTERS: Final = 1024
"""Of a client, in a pull that waits as it is: thousands wait in memory, and a client may send 64 KiB in each header."""
_FOUND: Final = frozenset({200, 304})
_itself: Final = itemgetter(0)


def note_manifest(repository: str, reference: Tag | Digest, digest: Digest, manifest: ServedManifest) -> None:
    """Note that this client is given `manifest`, which it has asked for as `reference`."""
    all_services = services()
    pulls = all_services.pulls
    if pulls:
        tag = reference.name if isinstance(reference, Tag) else ""
        who, now_ns = _asker(all_services.configuration.http), time.time_ns()
        told = (now_ns, MANIFEST, repository, digest, tag, manifest.media_type, len(manifest.content), *who)
        pulls.note(Pull._make(told))


def install(app: Flask, last_pulls: LastPulls) -> None:
    """Let retention know of each manifest that `app` is asked for and has, also of one that the client has already."""

    def note(response: Response) -> Response:
        request = current_request()
        if request.endpoint == "manifests.get_manifest" and response.status_code in _FOUND and request.view_args:
            digest = response.headers["Docker-Content-Digest"]
            last_pulls.note(request.view_args["name"], request.view_args["reference"], digest)
        return response

    app.after_request(note)


def note_blob(repository: str, blob: Blob) -> None:
    """Note that this client is given `blob`, or a part of it, or that it has it already."""
    all_services = services()
    pulls = all_services.pulls
    if pulls:
        who, now_ns = _asker(all_services.configuration.http), time.time_ns()
        told = (now_ns, BLOB, repository, blob.digest, "", media_types.OCTET_STREAM, blob.size, *who)
        pulls.note(Pull._make(told))


def _asker(http: HTTP) -> tuple[Sequence[Any], Callable[[Sequence[Any]], Origin]]:
    """Return what is known of this request, and what makes its origin of that; of a lot little is kept."""
    known = asked(http)
    return (known, origin_of) if size_of(known) <= _MOST_CHARACTERS else ((bounded(origin_of(known)),), _itself)
