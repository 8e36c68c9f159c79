"""Bodies of requests that are a JSON object, which no page of another site can have sent in the name of its visitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from registry.handlers.body import whole_body
from registry.handlers.cors import require_allowed_page
from registry.handlers.flask_internals import current_request
from registry.oci import documents, media_types
from registry.oci.errors import ContentTypeError, ManifestInvalidError, ParameterInvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST: Final = 64 * 1024


def json_object() -> Mapping[str, Any]:
    """Return the object that is the body of this request.

    A browser sends what is said to be JSON to another site only if that has allowed it (see handlers.cors); text,
    forms and what is said to be nothing it sends at once, with the password that it remembers.

    Raises:
        ContentTypeError: it is not said to be JSON.
        DeniedError: a page of another site has sent it.
        ParameterInvalidError: the body is something else.
        ManifestTooLargeError: it has more than 64 KiB.
        BodyCutShortError: it broke off.
    """
    if current_request().mimetype != media_types.JSON:
        raise ContentTypeError("the body has to be JSON, and the request to say so: Content-Type: application/json")
    require_allowed_page()
    content = whole_body(_LARGEST)
    try:
        document = documents.decode(content)
    except ManifestInvalidError:
        document = None
    if not isinstance(document, dict) or isinstance(document, documents.Ambiguous):
        raise ParameterInvalidError("the body has to be a JSON object")
    return document
