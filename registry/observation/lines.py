"""One log line a request, with the fields of the Go registry and some more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from registry.observation.log import info_writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.observation.record import RequestRecord

_VARIABLES: Final = {
    "name": "vars.name",
    "reference": "vars.reference",
    "digest": "vars.digest",
    "upload_id": "vars.uuid",
}
_HEADERS: Final = {
    "http.request.uri": "RAW_URI",
    "http.request.referer": "HTTP_REFERER",
    "http.request.useragent": "HTTP_USER_AGENT",
    "http.request.contenttype": "CONTENT_TYPE",
}
_COMPLETED: Final = "response completed"
_WITH_ERROR: Final = "response completed with error"
_FAILED: Final = 400
_OUR_FAULT: Final = 500
_log = logging.getLogger(__name__)


class RequestLines:
    """Writes them; made when the log of this process is configured."""

    def __init__(self) -> None:
        self._write = info_writer(_log)

    def write(
        self, record: RequestRecord, environ: Mapping[str, object], *, status: int, sent: int, seconds: float
    ) -> None:
        """Write the line: an error if the operator must act, else for information only, as a client's mistake is."""
        facts = _facts(record, environ, status=status, sent=sent, seconds=seconds)
        if status >= _OUR_FAULT:
            _log.error(_WITH_ERROR, extra=facts)
        else:
            self._write(_WITH_ERROR if status >= _FAILED else _COMPLETED, facts)


def _facts(
    record: RequestRecord, environ: Mapping[str, object], *, status: int, sent: int, seconds: float
) -> dict[str, object]:
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
    for field, key in _HEADERS.items():
        value = environ.get(key)
        if value:
            facts[field] = value
    for key, text in record.variables.items():
        if key in _VARIABLES:
            facts[_VARIABLES[key]] = text
    _add_known(facts, record)
    return facts


def _add_known(facts: dict[str, object], record: RequestRecord) -> None:
    """Add what is not known of every request."""
    if record.content_type:
        facts["http.response.contenttype"] = record.content_type
    if record.user:
        facts["auth.user.name"] = record.user
    if record.digest:
        facts["digest"] = record.digest
    if record.cache_hit is not None:
        facts["cache.hit"] = record.cache_hit
    if record.upstream:
        facts["proxy.upstream"] = record.upstream
    for error in record.errors[:1]:
        facts["err.code"] = str(error["code"]).lower().replace("_", " ")
        facts["err.message"] = error["message"]
        if error.get("detail") is not None:
            facts["err.detail"] = error["detail"]


def spell(seconds: float) -> str:
    """Return a duration as the Go registry writes a short one, in six digits: ``1.5s``, ``12.3ms``, ``870µs``.

    The exact spelling of `registry.foundation.durations` takes six times as long, and each request needs two.
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.6g}{unit}"
    return "0s"
