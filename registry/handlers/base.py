"""The version check: clients ask it first, to learn whether and how to authenticate (distribution-spec, "end-1")."""

from __future__ import annotations

from flask import Blueprint

from registry.handlers.auditing import note_login
from registry.handlers.context import authorize
from registry.handlers.response import Response
from registry.oci import media_types

blueprint = Blueprint("base", __name__)


@blueprint.get("/v2/")
def get_version() -> Response:
    """Say that this is a registry, to callers who may come in."""
    authorize()
    note_login()
    return Response("{}", content_type=media_types.JSON)
