"""The endpoint of the access controller's token service, if it has one.

It lies outside of ``/v2/``: distribution's "Token Authentication Specification" and RFC 6749 describe it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, g, request

from auth.base import Grant
from registry.handlers.auditing import note_login
from registry.handlers.context import AccessRequest
from registry.handlers.current import services
from registry.handlers.response import Response
from registry.oci import encoding, media_types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.datastructures import MultiDict

    from auth.base import Issued, TokenService

blueprint = Blueprint("token", __name__)

_LARGEST_FORM = 64 * 1024


@blueprint.get("")
def issue_token() -> Response:
    """Answer a client that was sent here by a challenge."""
    return _answer(_service().issue(AccessRequest(), _fields(request.args)))


@blueprint.post("")
def exchange_token() -> Response:
    """Answer a client that speaks OAuth 2."""
    request.max_content_length = _LARGEST_FORM
    return _answer(_service().exchange(AccessRequest(), _fields(request.form)))


def _service() -> TokenService:
    service = services().access.token_service
    if service is None:
        raise LookupError("the access controller has no token service")
    return service


def _fields(values: MultiDict[str, str]) -> Mapping[str, list[str]]:
    return {name: values.getlist(name) for name in values}


def _answer(issued: Issued) -> Response:
    g.grant = Grant(issued.user)
    note_login()
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response(encoding.answer(issued.members), headers=headers, content_type=media_types.JSON)
