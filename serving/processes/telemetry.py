"""Export the traces and metrics of a process to an OpenTelemetry collector."""

from __future__ import annotations

import os
import socket
from importlib.metadata import version

from opentelemetry import metrics, trace

from data_schema.errors import UsageError
from serving.settings import Settings

__all__ = ["configure_telemetry"]


def configure_telemetry(settings: Settings) -> None:
    """Export over OTLP, as `Settings.telemetry` and the `OTEL_*` variables say.

    Raises
    ------
    UsageError
        If the exporter is not installed.
    """
    if settings.telemetry == "none":
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise UsageError(
            "OSTEON_TELEMETRY needs the exporter of OpenTelemetry (not installed). "
            "Install it with `pip install -e '.[telemetry]'` in Osteon's folder."
        ) from None
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "osteon"),
            "service.version": version("osteon"),
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        }
    )
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[reader]))
