"""What Prometheus is told. One registry per application: two of them in a test do not disturb each other."""

import os
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
GAUGES = {
    "underten_payments_in_flight": "Payments that wait for Kafka",
    "underten_payments_in_flight_bytes": "Bytes of payments that wait for Kafka",
    "underten_producers_replaced": "Kafka producers replaced since the start",
    "underten_review_queue_lag": "Records of review_queue that are not in the view",
    "underten_review_queue_records": "Records of review_queue taken in since the start",
    "underten_review_queue_bad_records": "Records of review_queue that were no case, since the start",
}


class Metrics:
    """The service's figures."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "underten_http_request_seconds",
            "Time from a request's head to its answer",
            ["method", "route", "status"],
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._payments = Counter(
            "underten_payments",
            "Payments by what became of them: acknowledged, or the end of the problem's type",
            ["topic", "outcome"],
            registry=self._registry,
        )
        self._decisions = Counter(
            "underten_decisions", "Reviewers' decisions that stand", ["decision"], registry=self._registry
        )
        # Set from time to time and not asked for at a scrape: with several workers, a scrape reaches only one.
        self._gauges = {
            name: Gauge(name, text, registry=self._registry, multiprocess_mode="livesum")
            for name, text in GAUGES.items()
        }
        # One look-up in a dict instead of three steps in the library, for each request.
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self._outcomes: dict[tuple[str, str], Counter] = {}

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        child = self._children.get((method, route, status))
        if child is None:
            child = self._children[method, route, status] = self._requests.labels(method, route, str(status))
        child.observe(seconds)

    def payments_answered(self, topic: str, outcome: str, number: int = 1) -> None:
        """Count payments by what became of them."""
        child = self._outcomes.get((topic, outcome))
        if child is None:
            child = self._outcomes[topic, outcome] = self._payments.labels(topic, outcome)
        child.inc(number)

    def decided(self, decision: str) -> None:
        """Count a decision that stands."""
        self._decisions.labels(decision).inc()

    def set_gauges(self, figures: Mapping[str, float]) -> None:
        """Say how things stand now; names as in GAUGES."""
        for name, figure in figures.items():
            self._gauges[name].set(figure)

    def exposition(self) -> bytes:
        """The text that Prometheus reads; of all workers together, where there are several."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
