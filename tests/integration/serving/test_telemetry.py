"""What an OpenTelemetry collector receives: a small one that the test starts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from models.registry.bundle import write_bundle

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

pytestmark = pytest.mark.slow

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALUE = "3.14159"

# One process: providers of OpenTelemetry are set once.
SCRIPT = """
import sys, threading, time
from pathlib import Path
import httpx, uvicorn
from models.registry.bundle import read_bundle
from models.registry.lifecycle import LoadedModel
from serving.app import create_app
from serving.prediction.served import ServedModel
from serving.processes.server import server_of
from serving.processes.telemetry import configure_telemetry
from serving.settings import read_settings

settings = read_settings(port=0)
configure_telemetry(settings)
bundle = read_bundle(Path(sys.argv[1]))
loaded = LoadedModel(bundle.risk_model, bundle.sha256, "osteon-mortality-simulated", version="3")
server = server_of(create_app(settings, models=[ServedModel(loaded, promoted=True)]), settings)
server.config.port = 0
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.01)
port = server.servers[0].sockets[0].getsockname()[1]
lactate = {"variable": "lactate", "value": float(sys.argv[3]), "unit": "mmol/L"}
albumin = {"variable": "albumin", "value": 2.7, "unit": "g/dL"}
request = {"patient_id": "Sentinel4711", "time_zero": "2026-11-01T08:00:00+01:00",
           "asked_at": "2026-11-01T08:00:00+01:00", "birth_date": "1958-03-02",
           "outcomes": ["mortality"],
           "measurements": [lactate, albumin]}
trace = {"traceparent": f"00-{sys.argv[2]}-00f067aa0ba902b7-01"}
answer = httpx.post(f"http://127.0.0.1:{port}/v1/predict?patient=Sentinel4711", json=request,
                    headers=trace, timeout=60)
assert answer.status_code == 200, answer.text
assert answer.headers["x-request-id"] == sys.argv[2]
print(answer.json()["prediction_id"])
server.should_exit = True
thread.join()
"""


class Collector:
    """Takes traces and metrics over OTLP."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[bytes]] = {"/v1/traces": [], "/v1/metrics": []}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                collector.bodies[self.path].append(self.rfile.read(length))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with closing(Collector()) as running:
        yield running


def test_a_collector_receives_traces_and_metrics_without_values(
    collector: Collector, mortality: ServedModel, tmp_path: Path
) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="osteon[telemetry]")
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    write_bundle(mortality.loaded.risk_model, tmp_path / "bundle")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "bundle"), TRACE, VALUE],
        env=os.environ
        | {
            "OSTEON_STATE_DIR": str(tmp_path / "state"),
            "OSTEON_TELEMETRY": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server.server_port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    prediction_id = done.stdout.split()[-1]
    sent = b"".join(body for bodies in collector.bodies.values() for body in bodies)
    for secret in (b"Sentinel4711", VALUE.encode(), b"1958"):
        assert secret not in sent
    traces = [ExportTraceServiceRequest.FromString(body) for body in collector.bodies["/v1/traces"]]
    spans = {
        span.name: span
        for trace in traces
        for resource in trace.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    request = spans["POST /v1/predict"]
    assert request.trace_id.hex() == TRACE
    assert request.parent_span_id.hex() == "00f067aa0ba902b7"
    for inside in ("model", "audit trail"):
        assert spans[inside].trace_id.hex() == TRACE
        assert spans[inside].parent_span_id == request.span_id
    (ids,) = [one for one in request.attributes if one.key == "osteon.prediction_ids"]
    assert [one.string_value for one in ids.value.array_value.values] == [prediction_id]
    counted = {
        metric.name
        for body in collector.bodies["/v1/metrics"]
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {
        "http.server.request.duration",
        "osteon.predictions",
        "osteon.model.duration",
        "osteon.audit_trail.duration",
    } <= counted
