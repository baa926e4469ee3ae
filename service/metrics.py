"""Metrics for Prometheus. One registry per application: two of them in a test do not disturb each other."""

import os
from collections import defaultdict
from collections.abc import Mapping
from typing import get_args

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

import schemas
from schemas.kafka.topics import RAW_TOPICS
from service.queue.decisions import DecisionKind

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Set from time to time and not asked for at a scrape: with several workers, a scrape reaches only one. Of what each
# worker has for itself, the sum is told; of what all see alike, the worst.
SUMS = {
    "underten_connections": "Connections from clients",
    "underten_payments_in_flight": "Payments that wait for Kafka",
    "underten_payments_in_flight_bytes": "Bytes of payments that wait for Kafka",
    "underten_review_queue_lag": "Records of the queue's topics that are not in the view",
}
LEAST = {
    "underten_kafka_connected": "Whether there is a producer that has reached Kafka",
    "underten_schemas_registered": "Whether the payments' schemas are registered",
    "underten_review_queue_ready": "Whether the view has caught up with its topics, and its reader is at work",
    "underten_engines_caught_up": "Whether both engines had read everything when they were asked last",
}
COUNTS = {
    "underten_producers_replaced": "Kafka producers replaced",
    "underten_review_queue_records": "Records of the queue's topics taken in",
    "underten_review_queue_bad_records": "Records of the queue's topics that were not understood",
    "underten_connections_refused": "Connections closed because too many were open",
    "underten_connections_silent": "Connections closed because their first request did not come in time",
    "underten_viewings_lost": "Viewings of cases and subjects that Kafka did not acknowledge in time",
    "underten_receipts_lost": "Receipts that were not kept: these payments, sent again, are produced again",
}
PROBLEMS = (
    "invalid",
    "not-accepted",
    "too-many-in-flight",
    "refused-by-kafka",
    "too-large",
    "outcome-unknown",
    "id-reused",
)
"""Ends of a payment, as the problems' types have them."""


class Metrics:
    """The service's figures."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Histogram(
            "underten_http_request_seconds",
            "Time from a request's head to its answer",
            ["method", "route", "status"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._payments = Counter(
            "underten_payments",
            "Payments by what became of them: acknowledged, or the end of the problem's type",
            ["topic", "outcome"],
            registry=registry,
        )
        self._decisions = Counter(
            "underten_decisions", "Reviewers' decisions that stand", ["decision"], registry=registry
        )
        self._gauges = {
            name: Gauge(name, text, registry=registry, multiprocess_mode="livemin" if name in LEAST else "livesum")
            for name, text in {**SUMS, **LEAST}.items()
        }
        self._counts = {name: Counter(name, text, registry=registry) for name, text in COUNTS.items()}
        self._counted: defaultdict[str, float] = defaultdict(float)
        self._cases = self._greatest("underten_cases", "Cases in the queue", "status")
        self._subjects = self._greatest("underten_subjects", "Subjects in the queue", "status")
        self._overdue = self._greatest(
            "underten_subjects_overdue", "Subjects that nobody has settled though a report is due"
        )
        self._compared = self._greatest(
            "underten_comparison_windows",
            "Windows of both engines by what the comparison says; none without a second engine",
            *("rule", "kind"),
        )
        self._engine_lag = self._greatest(
            "underten_second_engine_lag",
            "Records that the second engine, which the label names, has not read",
            "engine",
        )
        build = self._greatest("underten_build_info", "Always 1; the version that runs is in the label", "version")
        build.labels(schemas.__version__).set(1)
        # One look-up in a dict instead of three steps in the library, for each request.
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self._outcomes: dict[tuple[str, str], Counter] = {}
        self._begin_at_0()

    def _greatest(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry, multiprocess_mode="livemax")

    def _begin_at_0(self) -> None:
        """Show the series whose increases are watched: Prometheus sees none in a first event."""
        for topic in RAW_TOPICS:
            for outcome in ("acknowledged", *PROBLEMS):
                self.count_payments(topic, outcome, 0)
        for decision in get_args(DecisionKind):
            self._decisions.labels(decision)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        child = self._children.get((method, route, status))
        if child is None:
            child = self._children[method, route, status] = self._requests.labels(method, route, str(status))
        child.observe(seconds)

    def count_payments(self, topic: str, outcome: str, number: int = 1) -> None:
        """Count payments by what became of them."""
        child = self._outcomes.get((topic, outcome))
        if child is None:
            child = self._outcomes[topic, outcome] = self._payments.labels(topic, outcome)
        child.inc(number)

    def count_decision(self, decision: str) -> None:
        """Count a decision that stands."""
        self._decisions.labels(decision).inc()

    def set_gauges(self, figures: Mapping[str, float]) -> None:
        """Say how things stand now; names as in SUMS and LEAST."""
        for name, figure in figures.items():
            self._gauges[name].set(figure)

    def count_up_to(self, totals: Mapping[str, float]) -> None:
        """Say what was counted elsewhere since the start; names as in COUNTS."""
        for name, total in totals.items():
            self._counts[name].inc(total - self._counted[name])
            self._counted[name] = total

    def set_cases(self, by_status: Mapping[str, int]) -> None:
        """Say how many cases there are."""
        for status, number in by_status.items():
            self._cases.labels(status).set(number)

    def set_subjects(self, by_status: Mapping[str, int], overdue: int) -> None:
        """Say how many subjects there are, and of how many a report is overdue."""
        for status, number in by_status.items():
            self._subjects.labels(status).set(number)
        self._overdue.set(overdue)

    def set_comparison(self, by_rule: Mapping[str, Mapping[str, int]]) -> None:
        """Say what the comparison of the engines says, by rule and kind."""
        for rule, kinds in by_rule.items():
            for kind, number in kinds.items():
                self._compared.labels(rule, kind).set(number)

    def set_engine(self, name: str, lag: int | None) -> None:
        """Say how far the second engine is behind; a lag that nobody knows stays as it was."""
        if lag is not None:
            self._engine_lag.labels(name).set(lag)

    def exposition(self) -> bytes:
        """The text that Prometheus reads; of all workers together, where there are several.

        What the operating system says of the process is there for a process that is alone.
        """
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry) + generate_latest(_PROCESS)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


METRICS = web.AppKey("metrics", Metrics)


_PROCESS = CollectorRegistry()
ProcessCollector(registry=_PROCESS)
