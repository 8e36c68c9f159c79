"""Bodies of requests that are a JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from registry.handlers.body import whole_body
from registry.oci import documents
from registry.oci.errors import ManifestInvalidError, ParameterInvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST: Final = 64 * 1024


def json_object() -> Mapping[str, Any]:
    """Return the object that is the body of this request.

    Raises:
        ParameterInvalidError: the body is something else.
        ManifestTooLargeError: it has more than 64 KiB.
        BodyCutShortError: it broke off.
    """
    content = whole_body(_LARGEST)
    try:
        document = documents.decode(content)
    except ManifestInvalidError:
        document = None
    if not isinstance(document, dict) or isinstance(document, documents.Ambiguous):
        raise ParameterInvalidError("the body has to be a JSON object")
    return document
