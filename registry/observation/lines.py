"""One log line a request, with the fields of the Go registry and some more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.observation.record import RequestRecord

_VARIABLES: Final = {"name": "name", "reference": "reference", "digest": "digest", "upload_id": "uuid"}
_HEADERS: Final = {
    "http.request.uri": "RAW_URI",
    "http.request.referer": "HTTP_REFERER",
    "http.request.useragent": "HTTP_USER_AGENT",
    "http.request.contenttype": "CONTENT_TYPE",
}
_FAILED: Final = 400
_OUR_FAULT: Final = 500
_log = logging.getLogger(__name__)


def write_line(record: RequestRecord, environ: Mapping[str, object], *, status: int, sent: int, seconds: float) -> None:
    """Write the line: an error if the operator must act, else for information only; a client's mistake is no error."""
    facts: dict[str, object] = {
        "http.request.id": record.request_id,
        "http.request.method": record.method,
        # What stands before an "@" would be credentials.
        "http.request.host": str(environ.get("HTTP_HOST", "")).rpartition("@")[2],
        "http.request.remoteaddr": record.remote_address,
        "http.request.read": record.received,
        "http.response.status": status,
        "http.response.written": sent,
        "http.response.duration": spell(seconds),
        "storage.duration": spell(record.storage_seconds),
    }
    facts |= {field: environ[key] for field, key in _HEADERS.items() if environ.get(key)}
    facts |= {f"vars.{_VARIABLES[key]}": value for key, value in record.variables.items() if key in _VARIABLES}
    facts |= _known(record)
    message = "response completed with error" if status >= _FAILED else "response completed"
    _log.log(logging.ERROR if status >= _OUR_FAULT else logging.INFO, message, extra=facts)


def _known(record: RequestRecord) -> dict[str, object]:
    """Return what is not known of every request."""
    facts: dict[str, object] = {}
    if record.content_type:
        facts["http.response.contenttype"] = record.content_type
    if record.user:
        facts["auth.user.name"] = record.user
    if record.digest:
        facts["digest"] = record.digest
    if record.cache_hit is not None:
        facts["cache.hit"] = record.cache_hit
    for error in record.errors[:1]:
        facts["err.code"] = str(error["code"]).lower().replace("_", " ")
        facts["err.message"] = error["message"]
        if "detail" in error:
            facts["err.detail"] = error["detail"]
    return facts


def spell(seconds: float) -> str:
    """Return a duration as the Go registry writes it: ``1.5s``, ``12.3ms``, ``870µs``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.6g}{unit}"
    return "0s"
