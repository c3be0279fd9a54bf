"""Metrics for Prometheus: requests, predictions, latencies, processes; no caller and no patient.

Labels are the route's template, a known method, models and codes, never text that a client chose.
"""

from __future__ import annotations

import os
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from models.inference.risk_model import Table
from serving.http import tracing
from serving.http.ended_processes import ENDED
from serving.monitoring.inputs import InputBatches, Place
from serving.monitoring.state import WatchedModel
from serving.prediction.answer import Prediction
from serving.prediction.served import Served, ServedModel

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """The counters of one application.

    If `PROMETHEUS_MULTIPROC_DIR` is set, as by `osteon serve`, all workers share them in files:
    each worker reports the counts of all, including workers that have ended.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "osteon_requests",
            "Requests by method, route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "osteon_request_seconds",
            "Seconds from the first byte of a request to the last of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._predictions = Counter(
            "osteon_predictions",
            "Recorded predictions by model, status, first refusal code and door.",
            ("model", "version", "status", "refusal_code", "door"),
            registry=self._registry,
        )
        self._model = Histogram(
            "osteon_model_seconds",
            "Seconds that a model took for one prediction.",
            ("model",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._trail = Histogram(
            "osteon_trail_seconds",
            "Seconds until records were durable in the audit trail.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry_seconds = Histogram(
            "osteon_registry_seconds",
            "Seconds of a poll of the model registry, by its result.",
            ("result",),
            buckets=(*_SECONDS, 30.0, 60.0),
            registry=self._registry,
        )
        self._inputs = Counter(
            "osteon_input_values",
            "Values by place in the training cohort's quartiles, some patients at a time.",
            ("model", "version", "variable", "place"),
            registry=self._registry,
        )
        self._batches: defaultdict[tuple[str, str], InputBatches] = defaultdict(InputBatches)
        self._cards = Counter(
            "osteon_cds_calls",
            "Calls of CDS services that were answered with a card, or why with none.",
            ("service", "answer"),
            registry=self._registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is a template, never an address as it was sent."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(known, route).observe(seconds)
        attributes: dict[str, str | int] = {
            "http.request.method": known if known != "other" else "_OTHER",
            "http.route": route,
            "http.response.status_code": status,
        }
        tracing.REQUEST_SECONDS.record(seconds, attributes)

    def count_prediction(self, prediction: Prediction, door: str, seconds: float) -> None:
        """Count one recorded prediction by the model and the door that it came by."""
        model = prediction.model
        code = prediction.refusals[0].code if prediction.refusals else ""
        self._predictions.labels(
            model.name, model.version or "", prediction.status, code, door
        ).inc()
        self._model.labels(model.name).observe(seconds)
        named = {"osteon.model": model.name, "osteon.version": model.version or ""}
        result = {"osteon.status": prediction.status, "osteon.refusal_code": code}
        tracing.PREDICTIONS.add(1, {**named, **result, "osteon.door": door})
        tracing.MODEL_SECONDS.record(seconds, {"osteon.model": model.name})

    def count_inputs(self, model: ServedModel, table: Table) -> None:
        """Count where one patient's values lie, once enough patients are waiting."""
        name, version = model.loaded.name, model.loaded.version or ""

        def count(variable: str, place: Place, number: int) -> None:
            self._inputs.labels(name, version, variable, place).inc(number)

        self._batches[name, version].add(model.contract, table, count)

    def time_trail(self, seconds: float) -> None:
        """Take the time of one addition to the audit trail."""
        self._trail.observe(seconds)
        tracing.TRAIL_SECONDS.record(seconds)

    def time_registry(self, seconds: float, *, failed: bool) -> None:
        """Take the time of one poll of the registry."""
        result = "failed" if failed else "ok"
        self._registry_seconds.labels(result).observe(seconds)
        tracing.REGISTRY_SECONDS.record(seconds, {"osteon.result": result})

    def count_cards(self, service: str, answer: str) -> None:
        """Count one call of a CDS service; `answer` is `card` or the reason for sending none."""
        self._cards.labels(service, answer).inc()
        tracing.CDS_CALLS.add(1, {"osteon.service": service, "osteon.answer": answer})

    def text(self, served: Served, watched: Sequence[WatchedModel]) -> bytes:
        """Return the counters and the state of the service in Prometheus' text format."""
        registry, folder = self._registry, os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if folder:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        collectors = (registry, _State(served), _Watched(watched), _Processes(folder))
        texts = map(_latest, collectors)
        return b"".join(texts)


def _latest(collector: Collector) -> bytes:
    """Return the text of a collector, read again if a file was deleted while it was read."""
    try:
        return generate_latest(collector)
    except FileNotFoundError:
        return generate_latest(collector)


class _Processes(Collector):
    """CPU time, memory and open files of each process that counts into a folder, or of this one."""

    def __init__(self, folder: str | None) -> None:
        files = Path(folder).glob("*.db") if folder else ()
        names = {path.stem.rpartition("_")[2] for path in files} - {ENDED}
        self._pids = sorted(map(int, names)) if folder else [os.getpid()]

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for pid in self._pids:
            # Nothing for a process that has ended.
            for measured in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                family = families.setdefault(
                    measured.name, Metric(measured.name, measured.documentation, measured.type)
                )
                for sample in measured.samples:
                    family.add_sample(sample.name, {"pid": str(pid)}, sample.value)
        yield from families.values()


class _State(Collector):
    """The served models, and the reasons why the service is degraded."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def collect(self) -> Iterator[Metric]:
        models = GaugeMetricFamily(
            "osteon_model_info",
            "1 for each served model.",
            labels=("name", "version", "alias", "sha256"),
        )
        for model in self._served.models:
            name = model.identity
            labels = (name.name, name.version or "", name.alias or "", model.loaded.sha256)
            models.add_metric(labels, 1)
        yield models
        reasons = GaugeMetricFamily(
            "osteon_degraded", "1 for each reason why the service is degraded.", labels=("code",)
        )
        for code in sorted({reason.code for reason in self._served.degraded}):
            reasons.add_metric((code,), 1)
        yield reasons


class _Watched(Collector):
    """The figures of monitoring, of each served model with predictions on record."""

    def __init__(self, watched: Sequence[WatchedModel]) -> None:
        self._models = watched

    def collect(self) -> Iterator[Metric]:
        who = ("model", "version")
        predictions = GaugeMetricFamily(
            "osteon_monitoring_predictions", "Stays in the period, one answer each.", labels=who
        )
        known = GaugeMetricFamily(
            "osteon_monitoring_known_outcomes", "Of these, with a reported outcome.", labels=who
        )
        alerts = GaugeMetricFamily(
            "osteon_monitoring_alerts",
            "Figures beyond their control limits, by kind.",
            labels=(*who, "kind"),
        )
        expected = GaugeMetricFamily(
            "osteon_monitoring_expected",
            "Figures that the risks promise before outcomes: estimate, low and high.",
            labels=(*who, "metric", "horizon_days", "end"),
        )
        ratios = GaugeMetricFamily(
            "osteon_monitoring_oe_ratio",
            "Observed over expected events.",
            labels=(*who, "horizon_days"),
        )
        for one in self._models:
            name = (one.model.loaded.name, one.model.loaded.version or "")
            watched = one.watched
            predictions.add_metric(name, watched.stays)
            known.add_metric(name, one.known_outcomes)
            kinds = Tally(alert.kind for alert in watched.alerts)
            for kind in ("calibration", "discrimination", "drift"):
                alerts.add_metric((*name, kind), kinds[kind])
            for figure in watched.expected:
                place = (*name, figure.metric, f"{figure.horizon_days:g}")
                for end, value in (
                    ("estimate", figure.estimate),
                    ("low", figure.low),
                    ("high", figure.high),
                ):
                    expected.add_metric((*place, end), value)
            for ratio in watched.ratios:
                if ratio.site is None:
                    ratios.add_metric((*name, f"{ratio.horizon_days:g}"), ratio.ratio)
        yield from (predictions, known, alerts, expected, ratios)
