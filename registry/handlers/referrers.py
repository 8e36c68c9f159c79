"""The referrers of a manifest (distribution-spec, "Listing Referrers")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, request

from registry.handlers.client import is_connected
from registry.handlers.context import open_repository
from registry.handlers.paging import last_seen, next_link, page_size
from registry.handlers.response import Response
from registry.oci import media_types
from registry.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.ports import Referrer

blueprint = Blueprint("referrers", __name__)

_MAX_ENTRIES = 1000


@blueprint.get("/v2/<path:name>/referrers/<digest>")
def list_referrers(name: str, digest: str) -> Response:
    """List descriptors of the manifests that name `digest` as their subject, which need not exist."""
    referrers = open_repository(name, "pull").referrers
    subject, seen = Digest.parse(digest), last_seen()
    wanted = request.args.get("artifactType")
    size = page_size(maximum=_MAX_ENTRIES) or _MAX_ENTRIES
    page = referrers.page(
        subject,
        after=Digest.parse(seen) if seen else None,
        # A form has "+" for a space. No media type has a space, and many have a "+", which not every client escapes.
        artifact_types=None if wanted is None else {wanted, wanted.replace(" ", "+")},
        limit=size,
        awaited=is_connected,
    )
    response = Response(_index(page.referrers), content_type=media_types.OCI_INDEX)
    if wanted is not None:
        response.headers["OCI-Filters-Applied"] = "artifactType"
    if page.last:
        filtered = {} if wanted is None else {"artifactType": wanted}
        response.headers["Link"] = next_link(last=str(page.last), n=size, **filtered)
    return response


def _index(referrers: Iterable[Referrer]) -> str:
    listed = ",".join(each.descriptor for each in referrers)
    return f'{{"schemaVersion":2,"mediaType":"{media_types.OCI_INDEX}","manifests":[{listed}]}}'
