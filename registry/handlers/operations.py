"""What load balancers and operators ask; outside the API and without access control."""

from __future__ import annotations

from flask import Blueprint

from registry.handlers.current import services
from registry.handlers.front_page import front_page, is_wanted
from registry.handlers.response import Response
from registry.handlers.urls import path_of_pages
from registry.health.gate import LIVENESS_PATH, READINESS_PATH
from registry.health.report import public_readiness
from registry.oci import encoding, media_types

blueprint = Blueprint("operations", __name__)

_UNCACHED = {"Cache-Control": "no-cache"}
_FOR_BROWSERS = {"Cache-Control": "no-store", "Vary": "Accept"}


@blueprint.get("/")
def get_root() -> Response:
    """Say that the process answers; to a browser, what this is, where there are no pages to lead it to."""
    if not is_wanted():
        return Response(status=200, headers=_UNCACHED)
    configuration = services().configuration
    if not configuration.ui.enabled:
        return front_page()
    return Response(status=302, headers={**_FOR_BROWSERS, "Location": f"{path_of_pages(configuration)}/"})


@blueprint.get(LIVENESS_PATH)
def get_liveness() -> Response:
    """Say that the process answers: restart it if it does not."""
    return Response("{}\n", headers=_UNCACHED, content_type=media_types.JSON)


@blueprint.get(READINESS_PATH)
def get_readiness() -> Response:
    """Say whether to send requests here, from what is known already, and nothing that only an operator should know."""
    status, errors = public_readiness(services().board)
    return Response(encoding.answer(errors), status, headers=_UNCACHED, content_type=media_types.JSON)
