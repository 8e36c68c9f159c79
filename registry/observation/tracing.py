"""Traces by OpenTelemetry (the extra ``otel``), off unless its variables name an exporter.

A span for each request to the API, named ``<METHOD> <path>``, with one for each storage call below it, as in the Go
registry. What a caller sends in ``traceparent`` is continued.
"""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError
from registry.foundation.extras import installing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span

    from registry.observation.record import RequestRecord

_EXPORTER_VARIABLE: Final = "OTEL_TRACES_EXPORTER"
_ENDPOINT_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SERVICE_NAME: Final = "distribution"
_NONE, _CONSOLE, _OTLP = "none", "console", "otlp"
_NANOSECONDS: Final = 1_000_000_000
_OUR_FAULT: Final = 500
_PROPAGATED: Final = {
    "traceparent": "HTTP_TRACEPARENT",
    "tracestate": "HTTP_TRACESTATE",
    "baggage": "HTTP_BAGGAGE",
}


def exporter_of(environ: Mapping[str, str]) -> str:
    """Return which exporter the variables ask for; "" for none.

    Raises:
        ConfigurationError: it is not one that there is, the extra is not installed, or another variable is wrong.
    """
    given = environ.get(_EXPORTER_VARIABLE, "")
    exporter = given or (_OTLP if any(environ.get(name) for name in _ENDPOINT_VARIABLES) else _NONE)
    if exporter == _NONE:
        return ""
    if exporter not in {_CONSOLE, _OTLP}:
        raise ConfigurationError(_EXPORTER_VARIABLE, f"must be one of otlp, console, none, not {exporter!r}")
    if importlib.util.find_spec("opentelemetry") is None:
        raise ConfigurationError(_EXPORTER_VARIABLE, f"traces need OpenTelemetry; try: {installing('otel')}")
    try:
        Tracing(exporter).close()
    except Exception as error:  # the libraries read a dozen variables, and raise what comes
        text = f"traces cannot be sent as the variables OTEL_... say: {type(error).__name__}: {error}"
        raise ConfigurationError(_EXPORTER_VARIABLE, text) from error
    return exporter


class Tracing:
    """Makes spans of what is noted; made after the fork, as it sends them from a thread of its own."""

    def __init__(self, exporter: str) -> None:
        from opentelemetry import propagate, trace  # noqa: PLC0415  an extra, and slow to load
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter  # noqa: PLC0415

        self._trace = trace
        self._extract = propagate.extract
        sender: SpanExporter
        if exporter == _CONSOLE:
            sender = ConsoleSpanExporter()
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

            sender = OTLPSpanExporter()
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before.
        resource = Resource({"service.name": _SERVICE_NAME}).merge(Resource(OTELResourceDetector().detect().attributes))
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(sender))
        self._provider = provider
        self._tracer = provider.get_tracer("registry")

    def close(self) -> None:
        """Send what is still to be sent, and end the thread."""
        self._provider.shutdown()

    def request_begins(self, record: RequestRecord, environ: Mapping[str, object]) -> None:
        """Begin the span of a request."""
        headers = {name: str(environ[key]) for name, key in _PROPAGATED.items() if key in environ}
        record.span = self._tracer.start_span(
            f"{record.method} {environ['PATH_INFO']}",
            context=self._extract(headers),
            kind=self._trace.SpanKind.SERVER,
            start_time=record.started_ns,
            attributes={"http.request.method": record.method, "http.request.id": record.request_id},
        )

    def request_ends(self, record: RequestRecord, *, status: int, sent: int) -> None:
        """End it."""
        span: Span = record.span
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("http.response.body.size", sent)
        if record.user:
            span.set_attribute("enduser.id", record.user)
        if status >= _OUR_FAULT:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def storage_called(self, record: RequestRecord, driver: str, action: str, seconds: float) -> None:
        """Add the span of a storage call that has just ended."""
        ended = time.time_ns()
        span = self._tracer.start_span(
            action,
            context=self._trace.set_span_in_context(record.span),
            start_time=ended - int(seconds * _NANOSECONDS),
            attributes={"io.cncf.distribution.storage.drivername": driver},
        )
        span.end(ended)
