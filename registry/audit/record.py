"""What a line of the audit log says of an entry of the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from registry.foundation import addresses, times
from registry.journal.entry import DELETE, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.journal.entry import Entry, Origin

OK: Final = "ok"
FAILED: Final = "failed"
DENIED: Final = "denied"
OUTCOMES: Final = (OK, FAILED, DENIED)

LOGIN: Final = "login"
LOGOUT: Final = "logout"
LIST: Final = "list"
START: Final = "start"
CONFIGURE: Final = "configure"
CREATE: Final = "create"
CHANGE: Final = "change"
REVOKE: Final = "revoke"
TRIM: Final = "trim"
SEAL: Final = "seal"

SERVER: Final = "registry"
CONFIGURATION: Final = "configuration"
FILE: Final = "file"
KEY: Final = "key"
USER: Final = "user"
LOGINS: Final = "login"
UPLOAD: Final = "upload"
REFERRER: Final = "referrer"
COLLECTION: Final = "collection"
SEGMENT: Final = "segment"

LONGEST_TEXT: Final = 512
"""Characters of one text that a client has sent. Longer ones are cut off."""
_TOP: Final = ("outcome", "rule", "code", "since")
_NUMBERS: Final = ("count", "status")


def record_of(time_ns: int, entry: Entry) -> dict[str, Any]:
    """Return what a line says of `entry`, which was made at `time_ns`, without what is empty."""
    details = dict(entry.details)
    outcome = details.pop("outcome", OK)
    record: dict[str, Any] = {
        "time": times.spell(time_ns),
        "id": entry.id,
        "action": entry.action,
        "kind": entry.kind,
        "outcome": outcome,
        "repository": entry.repository,
        "digest": entry.digest,
        "tags": list(entry.tags),
        "previous": _previous(entry),
        "media_type": entry.media_type,
        "size": entry.size,
        "source": entry.source,
        "instance": entry.instance.addr,
        **_of_origin(entry.origin),
        **{name: details.pop(name) for name in _TOP if name in details},
        **{name: int(details.pop(name)) for name in _NUMBERS if name in details},
        "details": details,
    }
    return {name: _bounded(value) for name, value in record.items() if value}


def day_of(time_ns: int) -> str:
    """Return the day of a time in UTC, ``YYYYMMDD``."""
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y%m%d}"


def _previous(entry: Entry) -> Mapping[str, str]:
    """Return where tags pointed before; those that a manifest took with it pointed to it."""
    if entry.action == DELETE and entry.kind == MANIFEST:
        return dict.fromkeys(entry.tags, entry.digest)
    return entry.previous


def _of_origin(origin: Origin) -> dict[str, str]:
    return {
        "actor": origin.actor,
        "claimed_user": origin.claimed_user,
        "client": origin.client,
        "claimed_client": "" if _host_of(origin.claimed) == _host_of(origin.client) else origin.claimed,
        "host": origin.host,
        "method": origin.method,
        "user_agent": origin.user_agent,
        "request": origin.request_id,
    }


def _host_of(address: str) -> str:
    """Return `address` without its port, if it has one."""
    try:
        return addresses.parse(address, default_port=0)[0]
    except ValueError:  # an IPv6 address without brackets, which has none
        return address


def _bounded(value: Any) -> Any:
    return value[:LONGEST_TEXT] if isinstance(value, str) else value
