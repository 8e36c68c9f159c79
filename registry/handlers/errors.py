"""Answers to requests that a view has refused, with the headers that belong to each error.

Codes and statuses are those of registry.error_codes; no view of the API sets an error status. What Flask refuses, and a
failed precondition (412), have the status of their HTTPException.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from flask import request
from werkzeug.exceptions import HTTPException

import auth.base
import drivers.base
from registry.error_codes import FAULTS, RETRY_SECONDS, UNKNOWN, UNSUPPORTED, body, code_of, entry, message_of
from registry.foundation.reasons import reason
from registry.handlers.auditing import note_refusal
from registry.handlers.response import Response
from registry.handlers.urls import upload_url
from registry.oci import encoding, errors, media_types
from registry.oci.uploads import OffsetError

if TYPE_CHECKING:
    from flask import Flask

    from registry.services import Services

_log = logging.getLogger(__name__)

_ACCESS_ERRORS = (
    auth.base.UnauthorizedError,
    auth.base.DeniedError,
    auth.base.ThrottledError,
    auth.base.TokenRequestError,
    auth.base.ControllerError,
)
_HTTP_CODES = {404: "NAME_UNKNOWN", 405: UNSUPPORTED, 413: "SIZE_INVALID"}


def register(app: Flask, services: Services) -> None:
    """Let `app` answer every exception with the specification's JSON."""
    app.register_error_handler(Exception, partial(answer, services=services))


def answer(error: Exception, services: Services) -> Response:
    """Return what the API says of `error`, and tell the logs what belongs there."""
    response = _answer_http(error) if isinstance(error, HTTPException) else _answer(error)
    _add_headers(response, error, services)
    note_refusal(error, response)
    return response


def _answer(error: Exception) -> Response:
    code, status = code_of(error)
    if isinstance(error, errors.ManifestDependenciesError):
        entries = [entry(code_of(each)[0], each.message, each.detail) for each in error.errors]
        return _json(entries, code_of(error.errors[0])[1])
    if isinstance(error, errors.RegistryError):
        return _json([entry(code, error.message, error.detail)], status)
    if isinstance(error, _ACCESS_ERRORS):
        return _answer_access(error, code, status)
    if isinstance(error, FAULTS):
        of_storage = isinstance(error, drivers.base.DriverError)
        _log.error("%s %s: %s" if of_storage else "%s %s: %r", request.method, request.path, error)
        return _json([entry(code, message_of(error))], status)
    # A bug of ours. The Go registry panics here, and operators who want mail of it ask for mail of that level.
    _log.critical("%s %s failed", request.method, request.path, exc_info=error)
    return _json([entry(code, "unknown error")], status)


def _answer_access(error: Exception, code: str, status: int) -> Response:
    if isinstance(error, auth.base.ControllerError):
        _log.error("%s %s: %s", request.method, request.path, error)
        return _json([entry(code, "the access control of this registry is out of order")], status)
    told = entry(code, str(error))
    if isinstance(error, auth.base.UnauthorizedError):
        wanted = [{"Type": each.type, "Class": "", "Name": each.name, "Action": each.action} for each in error.accesses]
        # As in the Go registry, whose list of nothing is null.
        told["detail"] = wanted or None
    if isinstance(error, auth.base.TokenRequestError):
        # Two readers: registry clients know "errors", those of RFC 6749 section 5.2 know "error".
        both = {"error": error.code, "error_description": str(error), "errors": [told]}
        response = Response(encoding.answer(both), status, content_type=media_types.JSON)
        response.errors = [told]
        return response
    return _json([told], status)


def _answer_http(error: HTTPException) -> Response:
    """Answer what the framework itself refuses: no such route, no such method."""
    status = error.code or 500
    response = _json([entry(_HTTP_CODES.get(status, UNKNOWN), reason(status).lower())], status)
    for name, value in error.get_headers():
        if name.lower() == "allow":
            response.headers[name] = value
    return response


def _add_headers(response: Response, error: Exception, services: Services) -> None:
    if isinstance(error, auth.base.UnauthorizedError):
        response.headers["Www-Authenticate"] = error.challenge
    elif isinstance(error, auth.base.ThrottledError):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    elif isinstance(error, OffsetError):
        state = error.state
        response.headers["Location"] = upload_url(state.name, state.upload_id, services.tokens.sign(state))
        response.headers["Range"] = upload_range(state.offset)
        response.headers["Docker-Upload-Uuid"] = state.upload_id
    elif isinstance(error, errors.RangeNotSatisfiableError):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    elif isinstance(error, errors.UpstreamError | drivers.base.UnavailableError) and error.retry_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_seconds)
    elif response.status_code in {503, 507}:
        response.headers["Retry-After"] = RETRY_SECONDS


def upload_range(offset: int) -> str:
    """Return the Range header that says `offset` bytes are stored; the Go registry says 0-0 for none, too."""
    return f"0-{max(offset - 1, 0)}"


def _json(entries: list[dict[str, object]], status: int) -> Response:
    response = Response(body(entries), status, content_type=media_types.JSON)
    response.errors = entries
    return response
