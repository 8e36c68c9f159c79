"""Gathers what is noted of requests and storage calls, for metrics, traces and the log."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING

from registry.observation.lines import RequestLines
from registry.observation.record import ENVIRON_KEY, RequestRecord, current

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.observation.metrics import Metrics
    from registry.observation.tracing import Tracing


class Observer:
    """What handlers, storage and server report to; there is none where all of that is off."""

    def __init__(
        self, metrics: Metrics | None = None, tracing: Tracing | None = None, lines: RequestLines | None = None
    ) -> None:
        self.metrics = metrics
        self._tracing = tracing
        self._lines = lines

    def begin(self, record: RequestRecord, environ: dict[str, object]) -> None:
        """Note that a request has begun."""
        environ[ENVIRON_KEY] = (self, record)
        environ["wsgi.input"] = _CountedInput(environ["wsgi.input"], record)
        current.set(record)
        if self.metrics:
            self.metrics.request_begins(record)
        if self._tracing:
            self._tracing.request_begins(record, environ)

    def end(self, record: RequestRecord, environ: Mapping[str, object], *, status: int, sent: int) -> None:
        """Note that the last byte of an answer was sent, or that the client has gone."""
        seconds = perf_counter() - record.began
        current.set(None)
        if self.metrics:
            self.metrics.request_ends(record, status=status, sent=sent, seconds=seconds)
        if self._tracing:
            self._tracing.request_ends(record, status=status, sent=sent)
        if self._lines:
            self._lines.write(record, environ, status=status, sent=sent, seconds=seconds)

    def storage_called(self, driver: str, action: str, seconds: float) -> None:
        """Note a call of the storage driver."""
        record = current.get()
        if record:
            record.storage_seconds += seconds
            if self._tracing:
                self._tracing.storage_called(record, driver, action, seconds)
        if self.metrics:
            self.metrics.storage_called(driver, action, seconds)

    def upload_opened(self) -> None:
        """Note that an upload is being written to."""
        if self.metrics:
            self.metrics.uploads_in_flight.inc()

    def upload_closed(self) -> None:
        """Note that an upload is no longer being written to."""
        if self.metrics:
            self.metrics.uploads_in_flight.dec()

    def cache_asked(self, *, hit: bool) -> None:
        """Note that a manifest, or the size of a blob, was looked for in a cache."""
        record = current.get()
        if record:
            record.cache_hit = hit
        if self.metrics:
            self.metrics.cache_asked(hit=hit)

    def cache_failed(self) -> None:
        """Note that a call of a cache has failed."""
        if self.metrics:
            self.metrics.cache_failed()

    def redis_called(self, operation: str, seconds: float) -> None:
        """Note a call of redis."""
        if self.metrics:
            self.metrics.redis_called(operation, seconds)


def end_request(environ: Mapping[str, object], *, status: int, sent: int) -> None:
    """Tell the observer of the request in `environ`, if there is one, that the request has ended."""
    observed = environ.get(ENVIRON_KEY)
    if isinstance(observed, tuple):
        observer, record = observed
        observer.end(record, environ, status=status, sent=sent)


def create_observer(metrics: Metrics | None, tracing: Tracing | None) -> Observer | None:
    """Return an observer if there is anything to observe for: metrics, traces, a log that takes a line per request."""
    lines = RequestLines() if logging.getLogger("registry").isEnabledFor(logging.INFO) else None
    return Observer(metrics, tracing, lines) if metrics or tracing or lines else None


class _CountedInput:
    """The body of a request, counted as it is read."""

    def __init__(self, stream: object, record: RequestRecord) -> None:
        self._stream = stream
        self._record = record

    def read(self, size: int = -1) -> bytes:
        piece: bytes = self._stream.read(size)  # type: ignore[attr-defined]  # PEP 3333 gives it no type
        self._record.received += len(piece)
        return piece

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
