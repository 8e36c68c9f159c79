"""Tags that name another manifest by their own name: signatures, attestations, and lists of referrers.

cosign tags a signature ``sha256-<hex>.sig``, and ``.att`` and ``.sbom`` likewise. Clients of a registry that has no API
of referrers tag an index of them ``sha256-<hex>`` (distribution-spec, "Referrers Tag Schema").
"""

from __future__ import annotations

import re
from typing import Final

_SUBJECT: Final = re.compile(r"(?:sha256-([0-9a-f]{64})|sha512-([0-9a-f]{64,128}))(?:\.[A-Za-z0-9._-]+)?")


def subject_of(tag: str) -> str | None:
    """Return what the digest begins with of the manifest that `tag` is about; None if it is a tag like others.

    It is the whole digest, but for a sha512: the schema cuts its hex to 64 characters.
    """
    found = _SUBJECT.fullmatch(tag)
    if not found:
        return None
    short, long = found.groups()
    return f"sha256:{short}" if short else f"sha512:{long}"
