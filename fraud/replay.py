"""Replay: rules over recorded payments, without Kafka. For trying a rule on the past before it watches the present.

A line in is a payment with its place in Kafka; a line out is a row as ksqlDB emits it. Which task a payment belongs to
decides what is late, as stream time is per task (see `fraud.windows`):

- A line of the topic that a rule reads (`Rule.input_topic`) belongs to the task of its partition, as in `fraud run`.
- All lines of other topics are one task together. Their partition says nothing of where the rule would have met the
  payment, and taken for a task it would tear groups apart: the payee of `fan_in` is paid from all over `payments`.

So a file holds `payments` or `payments_by_payee`, not both: either has every payment.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from fraud.deduplication import Repeated, TaskWindows
from fraud.detection.packed import Origin, pack, unpack
from fraud.detection.partition_keys import account_of
from fraud.payment_files import RecordedPayment
from fraud.rules import Emit, Rule
from fraud.windows import Group, Outcome, RuleWindows, Window
from schemas.kafka.topics import PAYMENTS, PAYMENTS_BY_PAYEE
from schemas.payment import dollars


class ReplayRow(msgspec.Struct, frozen=True, gc=False):
    """A line out: a window as it stood when it was emitted. `payment_ids` are in order of arrival, at most 1,000."""

    rule: str
    group: dict[str, int | str]
    window_start: int
    window_end: int
    payment_count: int
    total_amount: str
    max_amount: float
    payment_ids: list[str]
    row_timestamp: int


_ACCOUNTS = {topic: account_of(topic) for topic in (PAYMENTS, PAYMENTS_BY_PAYEE)}


class Replay:
    """All tasks of some rules, and what has been counted so far."""

    def __init__(self, rules: Sequence[Rule], emit: Emit) -> None:
        self.rules = rules
        self.emit: Emit = emit
        self.payments = 0
        self.late_payments = 0
        """Payments that came too late for a window of some rule."""
        self.repeated_payments = 0
        """Payments that came again with an id that was counted already."""
        self.late: Counter[str] = Counter()
        """Per rule, how often a payment came too late for a window."""
        self.rows: Counter[str] = Counter()
        self._tasks: dict[tuple[str, int | None], TaskWindows] = {}

    def add(self, payment: RecordedPayment) -> Iterator[ReplayRow]:
        """The rows that a payment brings about, rules in their order."""
        origin = Origin(payment.topic, payment.partition, payment.offset)
        packed = pack(payment, payment.timestamp, self.payments, origin)
        self.payments += 1
        judged: dict[str, tuple[RuleWindows, Sequence[Outcome]]] = {}
        repeated = False
        for topic in (PAYMENTS, PAYMENTS_BY_PAYEE):
            windows_of_task = self._task(topic, payment)
            outcomes = windows_of_task.add(_ACCOUNTS[topic](payment), payment.id, payment, payment.timestamp, packed)
            if isinstance(outcomes, Repeated):
                repeated = True
                outcomes = [(windows, ()) for windows in windows_of_task if windows.takes(payment.payment_amount)]
            judged |= {windows.rule.name: (windows, effects) for windows, effects in outcomes}
        self.repeated_payments += repeated
        self.late_payments += any(window is None for _, outcomes in judged.values() for _, _, window in outcomes)
        for rule in self.rules:
            if rule.name in judged:
                yield from self._rows(*judged[rule.name])

    def _rows(self, windows: RuleWindows, outcomes: Sequence[Outcome]) -> Iterator[ReplayRow]:
        """The rows of one rule: for each window that fires, or (EMIT FINAL) that has closed and fires."""
        for start, group, window in outcomes:
            if window is None:
                self.late[windows.rule.name] += 1
            elif self.emit == "changes" and windows.fires(window):
                yield self._row(windows.rule, start, group, window)
        for start, group, window in windows.close():
            if self.emit == "final" and windows.fires(window):
                yield self._row(windows.rule, start, group, window)

    def _row(self, rule: Rule, start: int, group: Group, window: Window) -> ReplayRow:
        self.rows[rule.name] += 1
        return ReplayRow(
            rule=rule.name,
            group=dict(zip(rule.group_by, group, strict=True)),
            window_start=start,
            window_end=start + rule.size_ms,
            payment_count=window.payment_count,
            total_amount=dollars(window.total_cents),
            max_amount=window.max_amount,
            payment_ids=[payment.id for payment in unpack(window.payments)],
            row_timestamp=window.last_at,
        )

    def open_windows(self) -> Counter[str]:
        """Per rule, the windows that have not closed."""
        counts: Counter[str] = Counter()
        for task in self._tasks.values():
            for windows in task:
                counts[windows.rule.name] += len(windows)
        return counts

    def _task(self, input_topic: str, payment: RecordedPayment) -> TaskWindows:
        """The task in which rules that read a topic meet a payment."""
        number = payment.partition if payment.topic == input_topic else None
        task = self._tasks.get((input_topic, number))
        if task is None:
            rules = [rule for rule in self.rules if rule.input_topic == input_topic]
            task = self._tasks[input_topic, number] = TaskWindows(rules, self.emit)
        return task
