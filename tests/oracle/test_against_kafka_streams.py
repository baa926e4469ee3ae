"""`fraud.windows` does what Kafka Streams does: whatever rule, whatever payments, in whatever order.

ORACLE_EXAMPLES says how many examples to try.
"""

import os
from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud.detection.packed import Origin, pack, unpack
from fraud.rules import Emit, Rule, parse
from fraud.windows import Group, RuleWindows, Window, key_bytes
from schemas.payment import Payment, exact_cents
from tests.oracle.kafka_streams import Aggregation, Emitted, Record, aggregate, cents

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "200"))
PAYMENTS = 40
MAX_WINDOWS = 12
"""Into how many windows a payment may fall here."""
NOON = 1_795_392_000_000
COLUMNS = ("payor_account_no", "payee_bank", "payee_account_no")


@dataclass(frozen=True)
class Example:
    rule: Rule
    payments: list[tuple[Payment, int]]
    """With their times, in order of arrival."""


units = st.sampled_from([1, 7, 60_000, 3_600_000])
amounts = st.one_of(
    st.just(5000.0),  # two of them are exactly 10,000.00
    st.sampled_from([0.01, 2999.99, 3000.0, 3000.01, 5000.0, 5000.01, 9999.99, 10000.0, 10000.01, 3333.34, 1e12]),
    st.integers(1, 2_000_000).map(lambda in_cents: in_cents / 100),
)
PAYORS = (1, 2, 10, 100)
PAYEES = (("A", 1), ("A", 10), ("AB", 1), ('A"', 1), ("É", 2), ("A/1", 0), ("A", 2))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    unit = draw(units)
    size = unit * draw(st.integers(1, 24))
    keys = {"window": f'"{size}ms"'}
    if draw(st.booleans()):
        keys["advance"] = f'"{draw(st.integers(-(-size // MAX_WINDOWS), size))}ms"'
    if draw(st.booleans()):
        keys["grace"] = f'"{draw(st.one_of(st.just(0), st.integers(0, 2 * size)))}ms"'
    group_by = draw(st.sampled_from([COLUMNS, COLUMNS[:1], COLUMNS[1:]]))
    keys["group_by"] = str(list(group_by))
    low = draw(st.sampled_from([None, 3000.0, 9000.0]))
    high = draw(st.sampled_from([None, 10000.0, 10000.01]))
    keys |= {name: str(value) for name, value in (("amount_from", low), ("amount_below", high)) if value}
    total, least = draw(st.sampled_from([(None, 1), ("10000.00", None), (10000, 2), (None, 3)]))
    keys |= {name: str(value) for name, value in (("total_above", total), ("min_payments", least)) if value}
    of = [column for column in COLUMNS if column not in group_by]
    if draw(st.booleans()) and of:
        keys["min_distinct"] = f"{{ of = {of}, count = {draw(st.integers(1, 4))} }}"
    (rule,) = parse('[[rule]]\nname = "r"\n' + "\n".join(f"{key} = {value}" for key, value in keys.items()), "drawn")
    return rule


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Time goes on with `pace`, payments lie up to `spread` around it, and some of them on the edge of something."""
    rule = draw(rules())
    size, advance, grace = rule.size_ms, rule.advance_ms, rule.grace_ms("changes")
    base = draw(st.sampled_from([0, 0, NOON, NOON // advance * advance]))
    pace = draw(st.sampled_from([0, size // 20, size // 4, size, size + grace]))
    spread = draw(st.sampled_from([size // 2, size, size + grace, 4 * size]))
    edges = [edge + by for edge in (0, size, grace, size + grace) for by in (0, -1, 1)]
    crowd = draw(st.sampled_from([1, 2, len(PAYORS)]))
    payment = st.tuples(
        st.integers(0, spread),
        st.sampled_from([None] * len(edges) + edges),
        st.sampled_from(PAYORS[:crowd]),
        st.sampled_from(PAYEES[: 2 * crowd - 1]),
        amounts,
    )
    payments = []
    for place in range(draw(st.integers(0, PAYMENTS))):
        after, edge, payor, (bank, payee), amount = draw(payment)
        at = base + place * pace + after
        if edge is not None:
            at = max(0, at - at % advance + edge)
        payments.append((Payment(str(UUID(int=place)), bank, payee, amount, "ACH", payor), at))
    return Example(rule, payments)


def group_of(rule: Rule, payment: Payment) -> Group:
    return tuple(getattr(payment, column) for column in rule.group_by)


def kafka_streams(example: Example, emit: Emit) -> tuple[list[tuple[Emitted, bool]], int]:
    """Rows and late drops; each row with whether it fires, by counting the payments in it once more."""
    rule, payments = example.rule, example.payments
    aggregation = Aggregation(
        rule.size_ms,
        rule.advance_ms,
        rule.grace_ms(emit),
        0.0 if rule.amount_from is None else rule.amount_from,
        1e300 if rule.amount_below is None else rule.amount_below,
        final=emit == "final",
    )
    records = [
        Record(key_bytes(group_of(rule, payment)).decode(), payment.payment_amount, at) for payment, at in payments
    ]
    emitted, dropped = aggregate(aggregation, records)
    in_cents = [cents(payment.payment_amount) for payment, _ in payments]

    def fires(row: Emitted) -> bool:
        listed = [payments[place][0] for place in row.records]
        enough = len(listed) >= (rule.min_payments or 0)
        if rule.total_above is not None:
            enough &= sum(in_cents[place] for place in row.records) > 100 * rule.total_above
        if rule.min_distinct is not None:
            of = rule.min_distinct.of
            values = {tuple(getattr(payment, column) for column in of) for payment in listed}
            enough &= len(values) >= rule.min_distinct.count
        return enough

    return [(row, fires(row)) for row in emitted], dropped


def python(example: Example, emit: Emit) -> tuple[list[tuple[Emitted, bool]], int]:
    windows = RuleWindows(example.rule, emit)
    rows: list[tuple[Emitted, bool]] = []
    late = 0

    def row(start: int, group: Group, window: Window) -> tuple[Emitted, bool]:
        places = tuple(UUID(listed_payment.id).int for listed_payment in unpack(window.payments))
        assert_aggregates(example, places, window)
        end = windows.window_end(start)
        return Emitted(start, end, key_bytes(group).decode(), places, window.last_at), windows.fires(window)

    for payment, at in example.payments:
        for start, group, window in windows.add(payment, at, pack(payment, at, 0, Origin("payment_json", 0, 0))):
            if window is None:
                late += 1
            elif emit == "changes":
                rows.append(row(start, group, window))
        closed = [row(*place) for place in windows.close()]
        rows += closed if emit == "final" else []
    return rows, late


def assert_aggregates(example: Example, places: tuple[int, ...], window: Window) -> None:
    """Check that a window's sums are those of its payments."""
    listed = [example.payments[place] for place in places]
    assert window.payment_count == len(listed)
    assert window.total_cents == sum(exact_cents(payment.payment_amount) for payment, _ in listed)
    assert window.max_amount == max(payment.payment_amount for payment, _ in listed)
    assert (window.first_at, window.last_at) == (min(at for _, at in listed), max(at for _, at in listed))


@pytest.mark.timeout(120 + EXAMPLES // 10)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(examples())
def test_every_row_is_that_of_kafka_streams_in_the_same_order(example: Example) -> None:
    """And as many payments are late, and the same rows fire. Hopping windows too, emitted on close too."""
    assert python(example, "changes") == kafka_streams(example, "changes")
    assert python(example, "final") == kafka_streams(example, "final")


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(amounts, st.floats(0, 1e15), st.integers(0, 10**9).map(lambda eighths: eighths / 8)))
def test_cents_are_those_of_javas_big_decimal(amount: float) -> None:
    assert exact_cents(amount) == cents(amount)
