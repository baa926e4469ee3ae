"""The windowed aggregation of a rule, as ksqlDB and Kafka Streams do it.

This is docs/windows.md in code; the numbers in comments are its points. It is pure: no I/O, no clock, no Kafka. One
`RuleWindows` is one rule in one task, that is, over one input partition. Times are ms since the epoch, sums are cents.

    for start, group, window in windows.add(payment, at_ms, packed):
        if window is None: ...            # late: that window had closed
        elif windows.fires(window): ...   # EMIT CHANGES: a row
    for start, group, window in windows.close():
        if windows.fires(window): ...     # EMIT FINAL: a row
"""

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from sys import intern
from typing import Any, Protocol

import msgspec

from fraud.bank_names import fold_bank
from fraud.rules import Column, Emit, Rule
from schemas.payment import exact_cents

Group = tuple[int | str, ...]
"""The values of a rule's `group_by` columns, in its order."""

MAX_LISTED = 1000
"""Payments that a window lists, at most (7: COLLECT_LIST stops there); all are counted."""

_NEVER = 2**63


class Counted(Protocol):
    """The fields of a payment that a window looks at."""

    @property
    def payment_amount(self) -> float:
        """Dollars."""

    @property
    def payor_account_no(self) -> int:
        """Account that pays."""

    @property
    def payee_bank(self) -> str:
        """The payee's bank."""

    @property
    def payee_account_no(self) -> int:
        """Account that is paid, at that bank."""


class KeptPayment(Counted, Protocol):
    """A payment that was counted before."""

    @property
    def cents(self) -> int:
        """Exact amount."""

    @property
    def at_ms(self) -> int:
        """Time."""


class Window(msgspec.Struct, gc=False):
    """The aggregate of one group in one window.

    `distinct` holds the values seen so far while there are fewer than `min_distinct` asks for; it is None once there
    are enough, and for rules that do not ask. Sums and counts only grow, so nothing more is needed of them.
    """

    payment_count: int
    total_cents: int
    max_amount: float
    first_at: int
    last_at: int
    """Largest event time: ksqlDB's row timestamp (7)."""
    payments: list[Any]
    """The first `MAX_LISTED` payments, packed or as they were kept, in order of arrival (7)."""
    distinct: set[int | str | Group] | None = None
    fired_at: int | None = None
    """Time of the payment with which the rule first fired, in order of arrival."""


Outcome = tuple[int, Group, Window | None]
"""The effect of a payment on one window, known by its start: the window as updated, or None where it came too late."""

_FILTERED_OUT: Sequence[Outcome] = ()


class RuleWindows:
    """Stream time and the open windows of one rule in one task.

    Windows lie by start, then by group: the start is kept once for all groups, and closing takes whole buckets.
    """

    def __init__(self, rule: Rule, emit: Emit = "changes") -> None:
        self.rule = rule
        self.emit: Emit = emit
        self.stream_time = -1
        """Largest time of a payment that passed the filter (2); -1 before the first."""
        self.since = 0
        """Windows that begin before it are left alone: not all of their payments are there."""
        self._size = rule.size_ms
        self._advance = rule.advance_ms
        self._grace = rule.grace_ms(emit)
        self._from = 0.0 if rule.amount_from is None else rule.amount_from
        self._below = float("inf") if rule.amount_below is None else rule.amount_below
        self.group_of = _getter(rule.group_by, fold_banks=rule.fold_banks)
        self._bank_at = rule.group_by.index("payee_bank") if "payee_bank" in rule.group_by else None
        self._total_above = -1 if rule.total_above_cents is None else rule.total_above_cents
        self._min_payments = rule.min_payments or 1
        self._min_distinct = rule.min_distinct.count if rule.min_distinct else 0
        self._distinct_of = _getter(rule.min_distinct.of, fold_banks=rule.fold_banks) if rule.min_distinct else None
        self._open: dict[int, dict[Group, Window]] = {}
        self._least_start = _NEVER

    def takes(self, amount: float) -> bool:
        """WHERE (1): whether the rule counts payments of this amount, in dollars."""
        return self._from <= amount < self._below

    def advance(self, at_ms: int) -> None:
        """Move stream time (2), if that is later."""
        if at_ms > self.stream_time:  # noqa: PLR1730 - max() is a call, thrice as slow; so below
            self.stream_time = at_ms

    def holds(self, at_ms: int) -> bool:
        """True if a window that this time falls into is open."""
        return at_ms - at_ms % self._advance + self._size > self.stream_time - self._grace

    def add(self, payment: Counted, at_ms: int, packed: bytes) -> Sequence[Outcome]:
        """Put a payment made at `at_ms` into its windows; what became of it in each, earliest window first.

        `packed` is what the window lists (`fraud.detection.packed.pack`). Nothing comes back for a payment that the
        rule's filter leaves out: it does not move stream time either (1). No column of a payment is null (9).
        """
        amount = payment.payment_amount
        if not self.takes(amount):
            return _FILTERED_OUT
        self.advance(at_ms)
        group = self.group_of(payment)
        amount_cents = exact_cents(amount)
        closed_until = self.closed_until
        outcomes: list[Outcome] = []
        for start in self.starts(at_ms):
            if start < self.since:
                continue
            if start + self._size <= closed_until:
                outcomes.append((start, group, None))
                continue
            window = self._window(start, group, at_ms)
            _take(window, amount, amount_cents, at_ms, packed)
            if window.distinct is not None and self._distinct_of is not None:
                window.distinct.add(self._distinct_of(payment))
                if len(window.distinct) >= self._min_distinct:
                    window.distinct = None
            if window.fired_at is None and self.fires(window):
                window.fired_at = at_ms
            outcomes.append((start, group, window))
        return outcomes

    def derive(self, payments: Sequence[KeptPayment], at_ms: int) -> Sequence[Outcome]:
        """Outcomes of the last payment in its windows, from all payments of its group that they may hold.

        Those are in order of arrival, the last one at `at_ms`; the rule's filter takes each. Only windows come back
        that fire, or that the payment came too late for. Nothing is kept, and stream time stays where it is.
        """
        outcomes: list[Outcome] = []
        closed_until, group = self.closed_until, self.group_of(payments[-1])
        window, count = None, 0
        for start in self.starts(at_ms):
            end = start + self._size
            if start < self.since:
                continue
            if end <= closed_until:
                outcomes.append((start, group, None))
                continue
            inside = [payment for payment in payments if start <= payment.at_ms < end]
            if len(inside) != len(payments) or count != len(payments):  # else it is as the one before
                window, count = self._derived_window(inside), len(inside)
            if window is not None:
                outcomes.append((start, group, window))
        return outcomes

    def _derived_window(self, payments: Sequence[KeptPayment]) -> Window | None:
        """The window of these payments, if it fires."""
        fired_at = self._fired_at(payments)
        if fired_at is None:
            return None
        cents = [payment.cents for payment in payments]
        times = [payment.at_ms for payment in payments]
        listed = list(payments[:MAX_LISTED])
        return Window(len(cents), sum(cents), max(cents) / 100, min(times), max(times), listed, None, fired_at)

    def _fired_at(self, payments: Sequence[KeptPayment]) -> int | None:
        """The time of the payment with which a window of these fired first (6)."""
        total_above, min_payments, distinct_of = self._total_above, self._min_payments, self._distinct_of
        cents = 0
        distinct: set[Group] = set()
        for count, payment in enumerate(payments, 1):
            cents += payment.cents
            if distinct_of is not None:
                distinct.add(distinct_of(payment))
                if len(distinct) < self._min_distinct:
                    continue
            if cents > total_above and count >= min_payments:
                return payment.at_ms
        return None

    @property
    def closed_until(self) -> int:
        """Windows that end here or earlier are closed: stream time has reached their end and grace (4)."""
        return self.stream_time - self._grace

    @property
    def first_open(self) -> int:
        """The start of the earliest window that is open."""
        return max(0, (self.closed_until - self._size) // self._advance * self._advance + self._advance)

    def starts(self, at_ms: int) -> range:
        """The starts of the windows that hold a time, earliest first (3)."""
        after = at_ms - self._size + self._advance
        first = after - after % self._advance if after > 0 else 0
        return range(first, at_ms + 1, self._advance)

    def _window(self, start: int, group: Group, at_ms: int) -> Window:
        """The open window of a group, made if this is its first payment."""
        bucket = self._open.get(start)
        if bucket is None:
            bucket = self._new_bucket(start)
        window = bucket.get(group)
        if window is None:
            distinct: set[int | str | Group] | None = None if self._distinct_of is None else set()
            window = Window(0, 0, 0.0, at_ms, at_ms, [], distinct)
            bucket[self._with_shared_text(group)] = window
        return window

    def _new_bucket(self, start: int) -> dict[Group, Window]:
        bucket = self._open[start] = {}
        self._least_start = min(start, self._least_start)
        return bucket

    def _with_shared_text(self, group: Group) -> Group:
        """The group with its bank's name as one object for all windows that have it."""
        at = self._bank_at
        return group if at is None else (*group[:at], intern(group[at]), *group[at + 1 :])  # type: ignore[arg-type]

    def fires(self, window: Window) -> bool:
        """HAVING (6): whether every condition of the rule holds. Once it does, it does for good."""
        return (
            window.total_cents > self._total_above
            and window.payment_count >= self._min_payments
            and window.distinct is None
        )

    def of(self, group: Group) -> dict[int, Window]:
        """The windows of a group that are in memory, by their starts."""
        return {start: bucket[group] for start, bucket in self._open.items() if group in bucket}

    def __contains__(self, group: Group) -> bool:
        """True if a window of this group is in memory."""
        return any(group in bucket for bucket in self._open.values())

    def close(self) -> Iterator[tuple[int, Group, Window]]:
        """The windows that stream time has closed, earliest first; each is removed as it is taken.

        For EMIT FINAL those of one start come in the order of Kafka Streams' time-ordered store: by key bytes (8).
        """
        return self._closing() if self._least_start + self._size <= self.closed_until else iter(())

    def _closing(self) -> Iterator[tuple[int, Group, Window]]:
        while self._least_start + self._size <= self.closed_until:
            start = self._least_start
            bucket = self._open[start]
            for group in sorted(bucket, key=key_bytes) if self.emit == "final" else tuple(bucket):
                yield start, group, bucket.pop(group)
            del self._open[start]
            self._least_start = min(self._open, default=_NEVER)

    def window_end(self, start: int) -> int:
        """The first millisecond after a window."""
        return start + self._size

    def __len__(self) -> int:
        """Number of windows in memory."""
        return sum(map(len, self._open.values()))

    def __iter__(self) -> Iterator[tuple[int, Group, Window]]:
        """The windows in memory."""
        for start, bucket in self._open.items():
            for group, window in bucket.items():
                yield start, group, window


def _take(window: Window, amount: float, amount_cents: int, at_ms: int, packed: bytes) -> None:
    """Add a payment: count, exact sum (5), bounds, and the list in order of arrival (7)."""
    window.payment_count = count = window.payment_count + 1
    window.total_cents += amount_cents
    if amount > window.max_amount:  # noqa: PLR1730
        window.max_amount = amount
    if at_ms < window.first_at:
        window.first_at = at_ms
    elif at_ms > window.last_at:
        window.last_at = at_ms
    if count <= MAX_LISTED:
        window.payments.append(packed)


def key_bytes(group: Group) -> bytes:
    """A group as ksqlDB's KEY_FORMAT='JSON' orders it: one column is a bare value."""
    return msgspec.json.encode(group if len(group) > 1 else group[0])


def _getter(columns: Sequence[Column], *, fold_banks: bool) -> Callable[[Counted], Group]:
    """A function that takes a payment's values of some columns, as a tuple."""
    values: Callable[[Counted], Group]
    if len(columns) > 1:
        values = attrgetter(*columns)
    else:
        value = attrgetter(columns[0])
        values = lambda payment: (value(payment),)  # noqa: E731
    if not fold_banks or "payee_bank" not in columns:
        return values
    at = columns.index("payee_bank")

    def folded(payment: Counted) -> Group:
        group = values(payment)
        return (*group[:at], fold_bank(payment.payee_bank), *group[at + 1 :])

    return folded
