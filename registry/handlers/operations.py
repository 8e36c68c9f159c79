"""What load balancers and operators ask; outside the API and without access control."""

from __future__ import annotations

from flask import Blueprint

from registry.handlers.current import services
from registry.handlers.front_page import front_page, is_wanted
from registry.handlers.response import Response
from registry.health.gate import LIVENESS_PATH, READINESS_PATH
from registry.health.report import public_readiness
from registry.oci import encoding, media_types

blueprint = Blueprint("operations", __name__)

_UNCACHED = {"Cache-Control": "no-cache"}


@blueprint.get("/")
def get_root() -> Response:
    """Say that the process answers; to a browser, what this is."""
    return front_page() if is_wanted() else Response(status=200, headers=_UNCACHED)


@blueprint.get(LIVENESS_PATH)
def get_liveness() -> Response:
    """Say that the process answers: restart it if it does not."""
    return Response("{}\n", headers=_UNCACHED, content_type=media_types.JSON)


@blueprint.get(READINESS_PATH)
def get_readiness() -> Response:
    """Say whether to send requests here, from what is known already, and nothing that only an operator should know."""
    status, errors = public_readiness(services().board)
    return Response(encoding.answer(errors), status, headers=_UNCACHED, content_type=media_types.JSON)
