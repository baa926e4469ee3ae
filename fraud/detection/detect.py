"""Detect: payments in, cases out. The rules' windows, their changelog, and what is written of them when.

Per batch each changed window is written once to the changelog: a bounded record, whatever its number of payments. Its
case is written with it, except where the window is *hot*: a case lists up to 1,000 payments, and writing that list for
each payment would make the thousandth cost a thousand times the first. So cases of hot windows are written once a
second, when the window closes, and when the worker stops.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec
import prometheus_client
import structlog
from aiokafka.structs import ConsumerRecord

from fraud import metrics
from fraud.detection import changelog
from fraud.detection.cases import case
from fraud.detection.packed import pack
from fraud.detection.rejected import carried, check_time, rejected
from fraud.detection.topology import DETECT, DETECT_INPUTS, HOT_CASES_EVERY_SECONDS
from fraud.rules import Rule
from fraud.streams.stage import Headers, Output, Partitions, Processor, Stage
from fraud.windows import SEGMENT_PAYMENTS, Group, RuleWindows, Window
from schemas.case import case_id, encode_case
from schemas.codecs import case_header
from schemas.errors import PaymentError
from schemas.kafka.partitioning import partition_of
from schemas.kafka.topics import (
    FRAUD_STATE,
    PAYMENT_LATE,
    PAYMENT_REJECTED,
    REQUEST_ID,
    REVIEW_QUEUE,
)
from schemas.payment import NormalisedPayment, encode_json, json_reader
from schemas.registry import Registry

OUTPUTS = (REVIEW_QUEUE, FRAUD_STATE, PAYMENT_LATE, PAYMENT_REJECTED)
HOT_PAYMENTS = 3 * SEGMENT_PAYMENTS
MOST_CLOSED = 50_000

log = structlog.get_logger(__name__)

_read = json_reader(NormalisedPayment)

Place = tuple[RuleWindows, int, Group]
"""Where a window is: its rule's windows, its start, its group."""


class LatePayment(msgspec.Struct, frozen=True):
    """A payment that came after its window had closed, as `payment_late` has it. Times are ms since the epoch."""

    case_id: str
    rule: str
    group: dict[str, int | str]
    window_start: int
    window_end: int
    stream_time: int
    timestamp: int
    payment: NormalisedPayment


class Change(msgspec.Struct, gc=False):
    """A window that has changed: how many of its segments the changelog has, and its latest payment's headers."""

    window: Window
    segments_kept: int
    headers: Headers


class Detect:
    """The processor of one task: every rule's windows in one partition of `payments` and `payments_by_payee`."""

    def __init__(self, number: int, rules: Iterable[Rule], registry: Registry, partitions: Partitions) -> None:
        self._number = number
        self._registry = registry
        self._case_header = b""
        self._windows = {rule.name: RuleWindows(rule) for rule in rules}
        self._by_topic: dict[str, list[RuleWindows]] = {topic: [] for topic in DETECT_INPUTS}
        for windows in self._windows.values():
            self._by_topic[windows.rule.input_topic].append(windows)
        self._partitions = partitions
        self._restoring: changelog.Restore | None = changelog.Restore(self._windows)
        self._stale: tuple[bytes, ...] = ()
        self._changed: dict[Place, Change] = {}
        self._hot: dict[Place, Change] = {}
        self._hot_at = 0.0
        self._closing = False
        self._counts: Counter[tuple[str, str]] = Counter()
        self._written: list[tuple[str, int]] = []
        for count, names in (("case", self._windows), ("late", self._windows), ("rejected", DETECT_INPUTS)):
            for name in names:
                _COUNTERS[count](name)  # from 0 on: of a series that appears with its first event no increase is seen

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """The changelog has ended by now; the schema of cases is needed. Raises ChangelogError, and what
        `case_header` does.
        """
        if self._restoring is not None:
            self._case_header = await case_header(self._registry)
            try:
                self._finish_restore(self._restoring.finish())
            except changelog.ChangelogError as error:
                raise changelog.ChangelogError(f"{FRAUD_STATE}, partition {self._number}: {error}") from None
            self._restoring = None

    @property
    def pending(self) -> bool:
        """Whether cases of hot windows wait, or state to be deleted."""
        return bool(self._hot or self._stale or self._closing)

    def restore(self, changelog: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Take in a chunk of the changelog; whether all could be read, `prepare` says."""
        assert self._restoring is not None
        for key, value in changelog:
            self._restoring.take(key, value)

    def _finish_restore(self, restored: changelog.Restored) -> None:
        self._stale = restored.stale
        for rule in sorted(restored.reset):
            log.warning("rule has changed; its open windows were dropped, it begins anew", rule=rule, task=self._number)
        for windows in self._windows.values():
            for start, group, window in windows:
                if window.payment_count != window.reported and windows.fires(window):
                    self._hot[windows, start, group] = Change(window, 0, ())

    def process(self, records: Sequence[ConsumerRecord], now: float) -> list[Output]:
        """Every changed window's state, and the cases that are due."""
        outputs = [self._to_changelog(key, None) for key in self._stale[:MOST_CLOSED]]
        self._stale = self._stale[MOST_CLOSED:]
        topics = set()
        for record in records:
            if not self._by_topic[record.topic]:
                continue  # no rule looks at it
            topics.add(record.topic)
            try:
                payment = _read(record.value or b"")
                check_time(record)
            except PaymentError as error:
                self._counts["rejected", record.topic] += 1
                outputs.append(rejected(record, str(error), self._partitions[PAYMENT_REJECTED]))
            else:
                outputs.extend(self._add(payment, record))
        moved = [windows for topic in topics for windows in self._by_topic[topic]]
        for windows in self._windows.values():
            outputs.extend(self._close(windows, MOST_CLOSED - len(outputs)))
        self._closing = len(outputs) >= MOST_CLOSED
        outputs.extend(self._changes(now))
        outputs.extend(
            self._to_changelog(changelog.stream_time_key(windows.rule.name), changelog.stream_time_value(windows))
            for windows in moved
        )
        return outputs

    def _add(self, payment: NormalisedPayment, record: ConsumerRecord) -> Iterator[Output]:
        """Put a payment into its windows; what comes out at once is where it was late."""
        packed = pack(payment, record.timestamp, payment.source)
        for windows in self._by_topic[record.topic]:
            for start, group, window in windows.add(payment, record.timestamp, packed):
                if window is None:
                    self._counts["late", windows.rule.name] += 1
                    yield self._late(windows, start, group, payment, record)
                elif change := self._changed.get(place := (windows, start, group)):
                    change.headers = record.headers
                else:
                    kept = (window.payment_count - 1) // SEGMENT_PAYMENTS
                    self._changed[place] = Change(window, kept, record.headers)

    def _close(self, windows: RuleWindows, most: int) -> Iterator[Output]:
        """The windows that stream time has closed: their last case, and the end of their state.

        At midnight a whole day's windows close: more than `most` are left for the next batch. They take no payment.
        """
        for start, group, window in islice(windows.close(), max(0, most)):
            place = (windows, start, group)
            waiting = self._hot.pop(place, None)
            change = self._changed.pop(place, waiting)
            if window.payment_count != window.reported and windows.fires(window):
                yield self._case(place, change or Change(window, 0, ()))
            for key in changelog.window_keys(windows.rule.name, start, group, window):
                yield self._to_changelog(key, None)

    def _changes(self, now: float) -> Iterator[Output]:
        """The state of the windows that changed in this batch, and of those whose cases had to wait."""
        if now - self._hot_at >= HOT_CASES_EVERY_SECONDS:
            self._hot_at = now
            for place, waiting in self._hot.items():
                waiting.segments_kept = waiting.window.payment_count // SEGMENT_PAYMENTS
                yield self._case(place, self._changed.setdefault(place, waiting))
            self._hot.clear()
        for place, change in self._changed.items():
            windows, start, group = place
            window, kept = change.window, change.segments_kept
            if window.payment_count != window.reported and windows.fires(window):
                if window.payment_count > HOT_PAYMENTS:
                    self._hot[place] = change
                else:
                    yield self._case(place, change)
            name = windows.rule.name
            for number, segment in enumerate((window.sealed or ())[kept:], kept):
                yield self._to_changelog(changelog.segment_key(name, start, group, number), segment)
            yield self._to_changelog(changelog.window_key(name, start, group), changelog.window_value(window))
        self._changed.clear()

    def _case(self, place: Place, change: Change) -> Output:
        (windows, start, group), window = place, change.window
        window.reported = window.payment_count
        self._counts["case", windows.rule.name] += 1
        self._written.append((windows.rule.name, window.last_at))
        found = case(windows.rule, start, group, window)
        return self._keyed(REVIEW_QUEUE, found.case_id, self._case_header + encode_case(found), change.headers)

    def _late(
        self, windows: RuleWindows, start: int, group: Group, payment: NormalisedPayment, record: ConsumerRecord
    ) -> Output:
        rule = windows.rule
        late = LatePayment(
            case_id=case_id(rule.name, start, group),
            rule=rule.name,
            group=dict(zip(rule.group_by, group, strict=True)),
            window_start=start,
            window_end=windows.window_end(start),
            stream_time=windows.stream_time,
            timestamp=record.timestamp,
            payment=payment,
        )
        return self._keyed(PAYMENT_LATE, late.case_id, encode_json(late), record.headers)

    def _keyed(self, topic: str, key: str, value: bytes, headers: Headers) -> Output:
        """A record about a payment; of that one's headers it has the request's id."""
        encoded = key.encode()
        partition = partition_of(encoded, self._partitions[topic])
        request_id = [header for header in carried(headers) if header[0] == REQUEST_ID]
        return Output(topic, partition, encoded, value, headers=request_id)

    def _to_changelog(self, key: bytes, value: bytes | None) -> Output:
        return Output(FRAUD_STATE, self._number, key, value)

    def committed(self) -> None:
        """Count what was committed."""
        for (what, name), count in self._counts.items():
            _COUNTERS[what](name).inc(count)
            if what == "late":
                log.warning("payments too late for their window", rule=name, count=count, see=PAYMENT_LATE)
            elif what == "rejected":
                log.warning("records rejected", topic=name, count=count, see=PAYMENT_REJECTED)
        self._counts.clear()
        now = time.time()
        for rule, last_at in self._written:
            metrics.CASE_AGE.labels(rule).observe(now - last_at / 1000)
        self._written.clear()
        for name, windows in self._windows.items():
            metrics.WINDOWS.labels(name, self._number).set(len(windows))

    def closed(self) -> None:
        """The windows go with the task."""
        metrics.WINDOWS.remove_by_labels({"task": str(self._number)})


_COUNTERS: Mapping[str, Callable[[str], prometheus_client.Counter]] = {
    "case": metrics.CASES.labels,
    "late": metrics.LATE.labels,
    "rejected": metrics.REJECTED.labels,
}


def detect_stage(rules: Sequence[Rule], registry: Registry) -> Stage:
    """`payments` and `payments_by_payee` to `review_queue` and `payment_late`, with its state in `fraud_state`."""

    def processor(number: int, partitions: Partitions) -> Processor:
        return Detect(number, rules, registry, partitions)

    return Stage(DETECT, DETECT_INPUTS, OUTPUTS, processor, changelog=FRAUD_STATE)
