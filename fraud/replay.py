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

from fraud.detection.packed import pack, unpack
from fraud.recorded import RecordedPayment
from fraud.rules import Emit, Rule
from fraud.windows import Group, RuleWindows, Window
from schemas.payment import dollars


class Row(msgspec.Struct, frozen=True, gc=False):
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


class Replay:
    """All tasks of some rules, and what has been counted so far."""

    def __init__(self, rules: Sequence[Rule], emit: Emit) -> None:
        self.rules = rules
        self.emit: Emit = emit
        self.payments = 0
        self.late_payments = 0
        """Payments that came too late for a window of some rule."""
        self.late: Counter[str] = Counter()
        """Per rule, how often a payment came too late for a window."""
        self.rows: Counter[str] = Counter()
        self._tasks: dict[tuple[str, int | None], RuleWindows] = {}
        self._tasks_of: dict[tuple[str, int], list[RuleWindows]] = {}

    def add(self, payment: RecordedPayment) -> Iterator[Row]:
        """The rows that a payment brings about, rules in their order."""
        self.payments += 1
        was_late = False
        changes = self.emit == "changes"
        packed = pack(payment, payment.timestamp, payment.topic)
        for windows in self._tasks_of.get((payment.topic, payment.partition)) or self._meet(payment):
            outcomes = windows.add(payment, payment.timestamp, packed)
            for start, group, window in outcomes:
                if window is None:
                    self.late[windows.rule.name] += 1
                    was_late = True
                elif changes and windows.fires(window):
                    yield self._row(windows.rule, start, group, window)
            if outcomes:
                for start, group, window in windows.close():
                    if not changes and windows.fires(window):
                        yield self._row(windows.rule, start, group, window)
        self.late_payments += was_late

    def _row(self, rule: Rule, start: int, group: Group, window: Window) -> Row:
        self.rows[rule.name] += 1
        return Row(
            rule=rule.name,
            group=dict(zip(rule.group_by, group, strict=True)),
            window_start=start,
            window_end=start + rule.size_ms,
            payment_count=window.payment_count,
            total_amount=dollars(window.total_cents),
            max_amount=window.max_amount,
            payment_ids=[payment.id for payment in unpack(window.pieces(), window.listed)],
            row_timestamp=window.last_at,
        )

    def open_windows(self) -> Counter[str]:
        """Per rule, the windows that have not closed."""
        counts: Counter[str] = Counter()
        for (rule, _), windows in self._tasks.items():
            counts[rule] += len(windows)
        return counts

    def _meet(self, payment: RecordedPayment) -> list[RuleWindows]:
        """The tasks, one per rule, of a topic and partition that had not been seen yet."""
        found = []
        for rule in self.rules:
            task = rule.name, payment.partition if payment.topic == rule.input_topic else None
            found.append(self._tasks.setdefault(task, RuleWindows(rule, self.emit)))
        self._tasks_of[payment.topic, payment.partition] = found
        return found
