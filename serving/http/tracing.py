"""Spans and instruments of OpenTelemetry, which do nothing until a process exports them.

They hold routes, models, codes and durations: no caller, no address as it was sent, and no text of
an exception, any of which could identify a patient. `serving.processes.telemetry` exports them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager

from opentelemetry import context, metrics, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

__all__ = [
    "CDS_CALLS",
    "MODEL_SECONDS",
    "PREDICTIONS",
    "REGISTRY_SECONDS",
    "REQUEST_SECONDS",
    "TRAIL_SECONDS",
    "continue_trace",
    "name_request",
    "request_span",
    "span",
    "trace_id",
]

_TRACER = trace.get_tracer("osteon")
_METER = metrics.get_meter("osteon")
_PROPAGATOR = TraceContextTextMapPropagator()

REQUEST_SECONDS = _METER.create_histogram("http.server.request.duration", unit="s")
PREDICTIONS = _METER.create_counter("osteon.predictions")
MODEL_SECONDS = _METER.create_histogram("osteon.model.duration", unit="s")
TRAIL_SECONDS = _METER.create_histogram("osteon.audit_trail.duration", unit="s")
REGISTRY_SECONDS = _METER.create_histogram("osteon.registry.duration", unit="s")
CDS_CALLS = _METER.create_counter("osteon.cds.calls")


@contextmanager
def span(name: str, attributes: Mapping[str, str] | None = None) -> Iterator[None]:
    """Time a step of the current request, without the text of an exception."""
    with _TRACER.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ):
        yield


@contextmanager
def request_span(scope: Scope) -> Iterator[trace.Span]:
    """Continue the trace of a request's `traceparent`, or begin one."""
    stated = {str(name, "latin-1"): str(text, "latin-1") for name, text in scope["headers"]}
    token = context.attach(_PROPAGATOR.extract(stated, context.Context()))
    try:
        with _TRACER.start_as_current_span(
            "request",
            kind=trace.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as started:
            yield started
    finally:
        context.detach(token)


def trace_id(started: trace.Span) -> str | None:
    """Return the id of a span's trace, or None if neither caller nor exporter traces."""
    found = started.get_span_context()
    return trace.format_trace_id(found.trace_id) if found.is_valid else None


def name_request(
    started: trace.Span, method: str, route: str, status: int, prediction_ids: Sequence[str]
) -> None:
    """Name the span of a request by its route's template, once that is known."""
    started.update_name(f"{method} {route}")
    started.set_attributes(
        {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "osteon.prediction_ids": list(prediction_ids),
        }
    )


def continue_trace(headers: MutableMapping[str, str]) -> None:
    """Add `traceparent` to the headers of an outbound request, if there is a trace."""
    _PROPAGATOR.inject(headers)
