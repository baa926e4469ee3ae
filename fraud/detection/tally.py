"""A task's tally: counts of a batch, which become metrics once its transaction has ended, and gauges of its ledger."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import prometheus_client
import structlog

from fraud.detection import metrics
from fraud.detection.ledger import Ledger

Event = Literal["case", "late", "repeated", "rejected"]

log = structlog.get_logger(__name__)

_COUNTERS: Mapping[Event, Callable[[str], prometheus_client.Counter]] = {
    "case": metrics.CASES.labels,
    "late": metrics.LATE.labels,
    "repeated": metrics.REPEATED.labels,
    "rejected": metrics.REJECTED.labels,
}
_WARNINGS: Mapping[Event, str] = {
    "late": "payments too late for their window",
    "repeated": "payments that came again",
    "rejected": "records rejected",
}


class Tally:
    """Counts of events since the last commit, by rule; those of rejected records by topic."""

    def __init__(self, stage: str, number: int, rules: Iterable[str], topics: Iterable[str]) -> None:
        self.counts: Counter[tuple[Event, str]] = Counter()
        self._stage = stage
        self._number = number
        self._last_payments: defaultdict[str, list[int]] = defaultdict(list)
        """By rule, the times of the last payments of the cases that were written."""
        names = list(rules)
        labels: dict[Event, Iterable[str]] = {"case": names, "late": names, "repeated": names, "rejected": topics}
        for event, series in labels.items():
            for label in series:
                _COUNTERS[event](label)  # from 0 on: of a series that appears with its first event no increase is seen

    def add_case(self, rule: str, last_at: int) -> None:
        """Count a case, whose last payment was made at `last_at` (ms since the epoch)."""
        self.counts["case", rule] += 1
        self._last_payments[rule].append(last_at)

    def publish(self) -> None:
        """Add to the metrics, and warn of payments that no rule counted; then begin at 0."""
        for (event, label), count in self.counts.items():
            _COUNTERS[event](label).inc(count)
            if warning := _WARNINGS.get(event):
                name = "topic" if event == "rejected" else "rule"
                log.warning(warning, **{name: label}, count=count, see=f"payment_{event}")
        self.counts.clear()
        now = time.time()
        for rule, times in self._last_payments.items():
            observe = metrics.CASE_AGE.labels(rule).observe
            for last_at in times:
                observe(now - last_at / 1000)
        self._last_payments.clear()

    def show(self, ledger: Ledger) -> None:
        """Set the gauges to what the ledger has now."""
        metrics.LEDGER.labels(self._stage, self._number).set(len(ledger))
        for watch in ledger.watches:
            labels = watch.windows.rule.name, self._number
            metrics.WINDOWS.labels(*labels).set(len(watch.windows))
            metrics.COVERED_SINCE.labels(*labels).set(watch.windows.since / 1000)

    def hide(self, ledger: Ledger) -> None:
        """Take the gauges away."""
        for gauge in (metrics.WINDOWS, metrics.COVERED_SINCE):
            for watch in ledger.watches:
                gauge.remove_by_labels({"rule": watch.windows.rule.name, "task": str(self._number)})
        metrics.LEDGER.remove_by_labels({"stage": self._stage, "task": str(self._number)})
