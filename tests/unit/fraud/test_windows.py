"""The points of docs/windows.md, and the recorded runs of a real ksqlDB, row for row."""

import time
from collections.abc import Sequence
from itertools import count
from uuid import UUID

import pytest

from fraud.detection.packed import Origin, pack, unpack
from fraud.rules import Emit, Rule, parse
from fraud.windows import MAX_LISTED, Group, Outcome, RuleWindows, Window
from schemas.payment import Payment, dollars
from tests import golden

HOUR = 3_600_000
ORIGIN = Origin("payment_json", 0, 0)
NOON = 1_795_392_000_000
"""The start of an hour, and of many other windows."""

_ids = count()


def rule(**keys: str) -> Rule:
    """An hour's tumbling window per payor that fires on the first payment, with keys changed or added."""
    merged = {"group_by": '["payor_account_no"]', "window": '"1h"', "grace": '"0s"', "min_payments": "1", **keys}
    (only,) = parse('[[rule]]\nname = "r"\n' + "".join(f"{key} = {value}\n" for key, value in merged.items()), "r.toml")
    return only


def payment(amount: float = 5000.0, payor: int = 1, bank: str = "First", payee: int = 2) -> Payment:
    return Payment(str(UUID(int=next(_ids))), bank, payee, amount, "ACH", payor)


def add(windows: RuleWindows, at: int, arrival: Payment | None = None) -> Sequence[Outcome]:
    arrival = arrival or payment()
    return windows.add(arrival, at, pack(arrival, at, 0, ORIGIN))


def counted_in(outcomes: Sequence[Outcome]) -> list[int]:
    return [start for start, _, window in outcomes if window is not None]


def late(outcomes: Sequence[Outcome]) -> list[int]:
    return [start for start, _, window in outcomes if window is None]


def only(windows: RuleWindows) -> Window:
    ((_, _, window),) = list(windows)
    return window


# 1. Filter first


@pytest.mark.parametrize(("amount", "taken_in"), [(2999.99, 0), (3000.0, 1), (9999.99, 1), (10000.0, 0), (10000.01, 0)])
def test_amount_from_is_included_and_amount_below_is_not(amount: float, taken_in: int) -> None:
    windows = RuleWindows(rule(amount_from="3000", amount_below="10000"))
    assert len(add(windows, NOON, payment(amount))) == taken_in


def test_a_payment_that_is_filtered_out_does_not_move_stream_time() -> None:
    windows = RuleWindows(rule(amount_below="10000"))
    add(windows, NOON)
    add(windows, NOON + 5 * HOUR, payment(10000.0))
    assert windows.stream_time == NOON
    assert counted_in(add(windows, NOON + 1)) == [NOON]


# 2. Stream time


def test_stream_time_is_the_largest_time_so_far() -> None:
    windows = RuleWindows(rule())
    assert windows.stream_time == -1
    for at in (NOON, NOON + 9, NOON + 3):
        add(windows, at)
    assert windows.stream_time == NOON + 9


def test_a_late_payment_of_one_group_is_late_because_of_another_group() -> None:
    windows = RuleWindows(rule())
    add(windows, NOON + HOUR, payment(payor=1))
    assert late(add(windows, NOON, payment(payor=2))) == [NOON]


def test_tasks_and_rules_have_a_stream_time_each() -> None:
    one, other = RuleWindows(rule()), RuleWindows(rule())
    add(one, NOON + 9 * HOUR)
    assert counted_in(add(other, NOON)) == [NOON]


# 3. Windows


@pytest.mark.parametrize(
    ("at", "start"), [(NOON, NOON), (NOON + HOUR - 1, NOON), (NOON + HOUR, NOON + HOUR), (0, 0), (HOUR - 1, 0)]
)
def test_a_tumbling_window_begins_with_its_start_and_ends_before_its_end(at: int, start: int) -> None:
    assert counted_in(add(RuleWindows(rule()), at)) == [start]


@pytest.mark.parametrize(
    ("advance", "at", "starts"),
    [
        ("15m", 100 * HOUR, [99 * HOUR + quarter * HOUR // 4 for quarter in (1, 2, 3, 4)]),
        ("15m", 100 * HOUR - 1, [99 * HOUR + quarter * HOUR // 4 for quarter in (0, 1, 2, 3)]),
        ("25m", 6_000_000, [3_000_000, 4_500_000, 6_000_000]),
        ("25m", 5_099_999, [1_500_000, 3_000_000, 4_500_000]),
        ("25m", 5_100_000, [3_000_000, 4_500_000]),
        ("15m", 0, [0]),
        ("15m", 1_000_000, [0, 900_000]),
    ],
)
def test_hopping_windows_are_all_that_hold_the_time_from_zero_on_earliest_first(
    advance: str, at: int, starts: list[int]
) -> None:
    assert counted_in(add(RuleWindows(rule(advance=f'"{advance}"')), at)) == starts


def test_the_end_of_a_window() -> None:
    assert RuleWindows(rule()).window_end(NOON) == NOON + HOUR


# 4. Lateness


@pytest.mark.parametrize("grace_ms", [0, 1, 600_000])
def test_a_window_closes_when_stream_time_reaches_its_end_and_grace(grace_ms: int) -> None:
    windows = RuleWindows(rule(grace=f'"{grace_ms}ms"'))
    add(windows, NOON)
    add(windows, NOON + HOUR + grace_ms - 1)
    assert counted_in(add(windows, NOON)) == [NOON]
    assert not list(windows.close())
    add(windows, NOON + HOUR + grace_ms)
    assert late(add(windows, NOON)) == [NOON]
    assert [start for start, _, _ in windows.close()] == [NOON]


def test_a_payment_too_late_for_one_window_may_still_enter_a_later_one() -> None:
    windows = RuleWindows(rule(advance='"30m"'))
    add(windows, NOON + HOUR)
    outcomes = add(windows, NOON + HOUR // 2)
    assert (late(outcomes), counted_in(outcomes)) == ([NOON], [NOON + HOUR // 2])


PAYEE = '["payee_bank", "payee_account_no"]'
SPELLINGS = ("First National", "FIRST NATIONAL", "First  National ", "\tfirst\u00a0national")


def test_banks_are_grouped_as_they_are_spelled_or_folded_by_one_name() -> None:
    plain, folding = RuleWindows(rule(group_by=PAYEE)), RuleWindows(rule(group_by=PAYEE, fold_banks="true"))
    for bank in SPELLINGS:
        add(plain, NOON, payment(bank=bank))
        add(folding, NOON, payment(bank=bank))
    assert [group for _, group, _ in plain] == [(bank, 2) for bank in SPELLINGS]
    assert [group for _, group, _ in folding] == [("FIRST NATIONAL", 2)]
    assert only(folding).total_cents == 4 * 5000_00


def test_a_bank_spelled_in_several_ways_is_one_distinct_value_where_banks_are_folded() -> None:
    of = f"{{ of = {PAYEE}, count = 2 }}"
    plain = RuleWindows(rule(min_distinct=of))
    folding = RuleWindows(rule(min_distinct=of, fold_banks="true"))
    for bank in SPELLINGS:
        add(plain, NOON, payment(bank=bank))
        add(folding, NOON, payment(bank=bank))
    assert plain.fires(only(plain))
    assert not folding.fires(only(folding))
    add(folding, NOON, payment(bank="Second"))
    assert folding.fires(only(folding))


def test_a_late_payment_names_window_and_group_and_leaves_no_trace() -> None:
    windows = RuleWindows(rule())
    add(windows, NOON + 2 * HOUR)
    assert add(windows, NOON, payment(payor=7)) == [(NOON, (7,), None)]
    assert len(windows) == 1


def test_without_grace_changes_wait_a_day_less_the_window_and_final_does_not() -> None:
    hourly = parse('[[rule]]\nname="r"\ngroup_by=["payor_account_no"]\nwindow="1h"\nmin_payments=1', "r.toml")[0]
    changes, final = RuleWindows(hourly), RuleWindows(hourly, "final")
    for windows in (changes, final):
        add(windows, NOON + 24 * HOUR - 1)
    assert counted_in(add(changes, NOON)) == [NOON]
    assert late(add(final, NOON)) == [NOON]


# 5. Money


def test_sums_are_exact() -> None:
    windows = RuleWindows(rule())
    for _ in range(1000):
        add(windows, NOON, payment(0.1))
    assert only(windows).total_cents == 10_000


def test_the_sum_does_not_depend_on_the_order() -> None:
    amounts = [9999.99, 0.01, 1e12, 0.1, 0.2, 3333.33]
    totals = set()
    for order in (amounts, amounts[::-1], sorted(amounts)):
        windows = RuleWindows(rule())
        for amount in order:
            add(windows, NOON, payment(amount))
        totals.add(only(windows).total_cents)
    assert totals == {100_000_000_000_000 + 1_333_363}


# 6. HAVING


def test_exactly_the_total_does_not_fire_and_a_cent_more_does() -> None:
    windows = RuleWindows(rule(min_payments="1", total_above="10000.00"))
    fired = []
    for amount in (5000.0, 5000.0, 0.01):
        ((_, _, window),) = add(windows, NOON, payment(amount))
        assert window is not None
        fired.append(windows.fires(window))
    assert fired == [False, False, True]


def test_the_least_number_of_payments_fires() -> None:
    windows = RuleWindows(rule(min_payments="3"))
    for _ in range(2):
        add(windows, NOON)
    assert not windows.fires(only(windows))
    add(windows, NOON)
    assert windows.fires(only(windows))


def test_every_condition_must_hold() -> None:
    windows = RuleWindows(
        rule(total_above="100", min_payments="2", min_distinct='{ of = ["payee_bank", "payee_account_no"], count = 2 }')
    )
    fired = []
    for amount, payee in ((500.0, 1), (500.0, 1), (500.0, 2)):
        add(windows, NOON, payment(amount, payee=payee))
        fired.append(windows.fires(only(windows)))
    assert fired == [False, False, True]


def test_a_payee_is_bank_and_account_together() -> None:
    windows = RuleWindows(rule(min_distinct='{ of = ["payee_bank", "payee_account_no"], count = 3 }'))
    for bank, payee in (("A", 1), ("B", 1), ("A", 1), ("B", 1)):
        add(windows, NOON, payment(bank=bank, payee=payee))
        assert not windows.fires(only(windows))
    add(windows, NOON, payment(bank="A", payee=2))
    assert windows.fires(only(windows))


def test_distinct_values_are_kept_only_until_there_are_enough() -> None:
    windows = RuleWindows(rule(min_distinct='{ of = ["payee_account_no"], count = 3 }'))
    sizes = []
    for payee in (1, 1, 2, 3, 4):
        add(windows, NOON, payment(payee=payee))
        sizes.append(len(only(windows).distinct or ()))
    assert sizes == [1, 1, 2, 0, 0]
    assert windows.fires(only(windows))


def test_groups_are_told_apart_by_every_column() -> None:
    windows = RuleWindows(rule(group_by='["payor_account_no", "payee_bank", "payee_account_no"]'))
    for arrival in (payment(), payment(payor=9), payment(bank="Other"), payment(payee=9), payment()):
        add(windows, NOON, arrival)
    assert sorted((group, window.payment_count) for _, group, window in windows) == [
        ((1, "First", 2), 2),
        ((1, "First", 9), 1),
        ((1, "Other", 2), 1),
        ((9, "First", 2), 1),
    ]


# 7. Times and the list


def test_first_and_last_are_by_event_time_and_the_list_is_by_arrival() -> None:
    windows = RuleWindows(rule())
    for at in (NOON + 5, NOON + 9, NOON + 2, NOON + 7):
        add(windows, at, payment(at - NOON))
    window = only(windows)
    assert (window.first_at, window.last_at) == (NOON + 2, NOON + 9)
    assert [listed_payment.at_ms - NOON for listed_payment in unpack(window.payments)] == [5, 9, 2, 7]
    assert window.max_amount == 9.0


def test_a_thousand_payments_are_listed_and_all_are_counted() -> None:
    windows = RuleWindows(rule())
    for number in range(1, MAX_LISTED + 51):
        add(windows, NOON, payment(number))
    window = only(windows)
    assert (window.payment_count, len(window.payments)) == (1050, 1000)
    assert window.total_cents == 100 * sum(range(1, 1051))
    assert window.max_amount == 1050.0
    listed = unpack(window.payments)
    assert [listed_payment.payment_amount for listed_payment in listed] == [float(number) for number in range(1, 1001)]


def test_a_window_says_with_which_payment_it_first_fired_in_order_of_arrival() -> None:
    windows = RuleWindows(rule(min_payments="3"))
    for at in (NOON + 9, NOON + 5, NOON + 7, NOON + 8):
        add(windows, at)
    assert only(windows).fired_at == NOON + 7


def test_a_window_that_does_not_fire_says_no_time() -> None:
    windows = RuleWindows(rule(min_payments="3"))
    add(windows, NOON)
    assert only(windows).fired_at is None


# 8. EMIT FINAL, and closing


def test_closed_windows_come_once_and_leave_memory() -> None:
    windows = RuleWindows(rule(), "final")
    for at in (NOON, NOON + 1, NOON + HOUR):
        add(windows, at)
    assert [(start, window.payment_count) for start, _, window in windows.close()] == [(NOON, 2)]
    assert not list(windows.close())
    assert len(windows) == 1


def test_closed_windows_come_by_start_and_then_by_key_as_text() -> None:
    windows = RuleWindows(rule(grace='"6h"'), "final")
    for at, payor in ((NOON + HOUR, 3), (NOON, 100), (NOON, 20), (NOON, 3), (NOON, 2)):
        add(windows, at, payment(payor=payor))
    add(windows, NOON + 10 * HOUR)
    assert [(start - NOON, group) for start, group, _ in windows.close()] == [
        (0, (100,)),
        (0, (2,)),
        (0, (20,)),
        (0, (3,)),
        (HOUR, (3,)),
    ]


def test_closing_can_stop_in_the_middle_and_go_on_later() -> None:
    windows = RuleWindows(rule())
    for payor in range(5):
        add(windows, NOON, payment(payor=payor))
    add(windows, NOON + HOUR, payment(payor=9))
    closing = windows.close()
    first = [next(closing)[1] for _ in range(2)]
    assert len(windows) == 4
    assert late(add(windows, NOON, payment(payor=first[0][0]))) == [NOON]  # type: ignore[arg-type]
    rest = [group for _, group, _ in windows.close()]
    assert sorted(first + rest) == [(payor,) for payor in range(5)]


# Windows in memory


def test_a_groups_windows_are_there_until_they_are_taken_as_closed() -> None:
    windows = RuleWindows(rule(advance='"30m"'))
    add(windows, NOON)
    assert (windows.of((1,)).keys(), windows.of((2,))) == ({NOON - HOUR // 2, NOON}, {})
    add(windows, NOON + HOUR, payment(payor=2))
    assert (1,) in windows
    assert [start for start, _, _ in windows.close()] == [NOON - HOUR // 2, NOON]
    assert (1,) not in windows
    assert (2,) in windows


def test_windows_that_begin_before_their_payments_are_all_there_are_left_alone() -> None:
    windows = RuleWindows(rule(advance='"30m"'))
    windows.since = NOON
    assert counted_in(add(windows, NOON + 1)) == [NOON]
    add(windows, NOON + 5 * HOUR)
    assert late(add(windows, NOON + 1)) == [NOON]


@pytest.mark.parametrize("at", [0, 1, HOUR, NOON, NOON + HOUR - 1])
@pytest.mark.parametrize("grace", ["0s", "10m", "5h"])
def test_the_first_open_window_is_the_first_that_takes_a_payment(at: int, grace: str) -> None:
    windows = RuleWindows(rule(advance='"25m"', grace=f'"{grace}"'))
    add(windows, at)
    first = windows.first_open
    assert first not in late(add(windows, first))
    assert first < 1_500_000 or late(add(windows, first - 1_500_000))[-1:] == [first - 1_500_000]


@pytest.mark.parametrize("back", [0, 1, HOUR, 2 * HOUR - 1, 2 * HOUR, 3 * HOUR])
def test_a_time_is_held_while_a_window_takes_it(back: int) -> None:
    windows = RuleWindows(rule(grace='"1h"', advance='"20m"'))
    add(windows, NOON)
    assert windows.holds(NOON - back) == bool(counted_in(add(windows, NOON - back)))


# Cost


def structuring() -> Rule:
    return rule(group_by='["payor_account_no", "payee_bank", "payee_account_no"]', total_above="10000")


def test_a_payment_into_a_window_of_100000_costs_at_most_twice_that_into_a_new_one() -> None:
    def arrivals(payors: int) -> list[tuple[Payment, bytes]]:
        payments = [payment(payor=place % payors) for place in range(100_000)]
        return [(arrival, pack(arrival, NOON, 0, ORIGIN)) for arrival in payments]

    def seconds(arrivals: list[tuple[Payment, bytes]]) -> float:
        windows = RuleWindows(structuring())
        began = time.process_time()
        for arrival, packed in arrivals:
            windows.add(arrival, NOON, packed)
        return time.process_time() - began

    into_one, into_new_ones = arrivals(payors=1), arrivals(payors=100_000)
    hot = min(seconds(into_one) for _ in range(3))
    cold = min(seconds(into_new_ones) for _ in range(3))
    assert hot <= 2 * cold


# The recorded runs

RECORDED = [(name, *key) for name in ("a", "b") for key in golden.recorded(name)]


def emitted(windows: RuleWindows, arrival: golden.GoldenPayment) -> list[tuple[int, Group, Window]]:
    """The rows that a payment brings about."""
    outcomes = add(windows, arrival.timestamp, arrival)
    closed = list(windows.close())
    candidates = outcomes if windows.emit == "changes" else closed
    return [(start, group, window) for start, group, window in candidates if window and windows.fires(window)]


def row(windows: RuleWindows, start: int, group: Group, window: Window) -> dict[str, object]:
    return {
        "rule": windows.rule.name,
        "group": dict(zip(windows.rule.group_by, group, strict=True)),
        "window_start": start,
        "window_end": windows.window_end(start),
        "payment_count": window.payment_count,
        "total_amount": dollars(window.total_cents),
        "max_amount": window.max_amount,
        "payment_ids": [listed_payment.id for listed_payment in unpack(window.payments)],
        "row_timestamp": window.last_at,
    }


def test_the_recording_covers_38_combinations() -> None:
    assert len(RECORDED) == 38


@pytest.mark.parametrize(("name", "window", "emit", "rule_name"), RECORDED)
def test_every_row_is_that_of_ksqldb_in_the_same_order(name: str, window: str, emit: Emit, rule_name: str) -> None:
    (the_rule,) = (
        golden_rule for golden_rule in parse(golden.rules_toml(window), "golden") if golden_rule.name == rule_name
    )
    windows = RuleWindows(the_rule, emit)
    rows = [row(windows, *place) for arrival in golden.payments(name) for place in emitted(windows, arrival)]
    assert rows == golden.recorded(name)[window, emit, rule_name]
