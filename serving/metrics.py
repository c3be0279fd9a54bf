"""What Prometheus may know: how often which route answered what, and how fast; never who or what.

Labels are the route's own template and a known method, so that nothing a client makes up becomes
one. Each worker counts for itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.served import ServedModel

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """The counters of one application.

    Parameters
    ----------
    models : iterable of ServedModel
    """

    def __init__(self, models: Iterable[ServedModel]) -> None:
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
        self._cards = Counter(
            "osteon_cds_calls",
            "Calls of CDS services that were answered with a card, or why with none.",
            ("service", "answer"),
            registry=self._registry,
        )
        served = Gauge(
            "osteon_model_info",
            "1 for each served model.",
            ("name", "version", "alias", "sha256"),
            registry=self._registry,
        )
        for model in models:
            identity = model.identity
            served.labels(
                identity.name, identity.version or "", identity.alias or "", model.loaded.sha256
            ).set(1)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is a template, never an address as it was sent."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(known, route).observe(seconds)

    def count_cards(self, service: str, answer: str) -> None:
        """Count one call of a CDS service; `answer` is `card` or one of few reasons for none."""
        self._cards.labels(service, answer).inc()

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)
