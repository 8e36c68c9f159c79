"""The descriptors in a manifest as they stand there, which the Go registry names in its events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.oci.manifest import Manifest


def references_of(manifest: Manifest) -> list[Mapping[str, Any]]:
    """Return the descriptors of an index's manifests, or of an image's config and layers, with all their members."""
    content = json.loads(manifest.content)
    named = [content.get("config"), *(content.get("layers") or ()), *(content.get("manifests") or ())]
    return [each for each in named if isinstance(each, dict)]
