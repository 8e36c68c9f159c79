"""The referrers of a manifest (distribution-spec, "Listing Referrers")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask import Blueprint, request

from registry.handlers.context import open_repository
from registry.handlers.paging import last_seen, next_link, page_size
from registry.handlers.response import Response
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.ports import Repository

blueprint = Blueprint("referrers", __name__)

_MAX_ENTRIES = 1000
_MAX_BYTES = 1024 * 1024
"""Past this a page ends, so that it stays below what clients take for a manifest (4 MiB)."""


@blueprint.get("/v2/<path:name>/referrers/<digest>")
def list_referrers(name: str, digest: str) -> Response:
    """List descriptors of the manifests that name `digest` as their subject, which need not exist."""
    repository = open_repository(name, "pull")
    subject = Digest.parse(digest)
    wanted = request.args.get("artifactType")
    size = page_size(maximum=_MAX_ENTRIES) or _MAX_ENTRIES
    entries: list[str] = []
    length, last, more = 0, "", False
    for referrer, entry in _described(repository, subject, wanted):
        if len(entries) == size or (length + len(entry) > _MAX_BYTES and entries):
            more = True
            break
        entries.append(entry)
        length, last = length + len(entry), str(referrer)
    response = Response(_index(entries), content_type=media_types.OCI_INDEX)
    if wanted is not None:
        response.headers["OCI-Filters-Applied"] = "artifactType"
    if more:
        filtered = {} if wanted is None else {"artifactType": wanted}
        response.headers["Link"] = next_link(last=last, n=size, **filtered)
    return response


def _described(repository: Repository, subject: Digest, wanted: str | None) -> Iterator[tuple[Digest, str]]:
    seen = last_seen()
    for referrer in repository.referrers.after(subject, Digest.parse(seen) if seen else None):
        try:
            manifest = repository.manifests.get(referrer)
        except ManifestUnknownError:
            continue
        if wanted is None or manifest.artifact_type == wanted:
            yield referrer, json.dumps(manifest.listed_as(referrer), separators=(",", ":"))


def _index(entries: list[str]) -> str:
    return f'{{"schemaVersion":2,"mediaType":"{media_types.OCI_INDEX}","manifests":[{",".join(entries)}]}}'
