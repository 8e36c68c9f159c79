"""What is noted of a request while it is served, for the line and the figures at its end."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from registry.foundation.uuids import random_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENVIRON_KEY: Final = "registry.record"
"""Where the WSGI environment of a request has its observer and record; nothing is there if nothing observes it."""


@dataclass(slots=True)
class RequestRecord:
    """One request to the API. Sizes in bytes, without headers."""

    handler: str
    """The Go registry's name for the resource: ``manifest``, ``blob_upload``."""
    method: str
    variables: Mapping[str, str]
    """What the route took out of the path: name, reference, digest, upload_id."""
    remote_address: str
    request_id: str = field(default_factory=random_uuid)
    started_ns: int = field(default_factory=time.time_ns)
    began: float = field(default_factory=time.perf_counter)
    received: int = 0
    user: str = ""
    digest: str = ""
    content_type: str = ""
    errors: Sequence[Mapping[str, object]] = ()
    storage_seconds: float = 0.0
    cache_hit: bool | None = None
    """Whether the manifest, or the size of the blob, was in a cache; None if none was asked for."""
    upstream: str = ""
    """The registry whose repository was asked for, where this one caches it."""
    span: Any = None
    """The tracer's own."""


current: ContextVar[RequestRecord | None] = ContextVar("record", default=None)
"""The record of the request that this thread serves."""
