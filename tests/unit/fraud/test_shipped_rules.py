"""The shipped rules see what the regulation means: on the line, across any boundary, under any spelling, over weeks."""

from collections.abc import Iterable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.payment_files import RecordedPayment
from fraud.replay import Replay
from fraud.rules import load

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MONDAY = 1_767_571_200_000
"""5 January 2026, midnight UTC."""
EPOCHS = st.integers(MONDAY, MONDAY + 84 * DAY)
"""Any moment of twelve weeks: wherever windows begin, some of these lie on either side."""
SPELLINGS = ("First National", "FIRST NATIONAL", "First National ", "First  National", "\tfirst\u00a0national")

_ids = count()


def payment(at: int, amount: float, *, payor: int = 1, payee: int = 2, bank: str = "First National") -> RecordedPayment:
    number = next(_ids)
    payment_id = f"00000000-0000-4000-8000-{number:012x}"
    return RecordedPayment(payment_id, bank, payee, amount, "ACH", payor, "payments", 0, number, at)


def fired(payments: Iterable[RecordedPayment]) -> set[str]:
    """The rules that make a case of these payments."""
    replaying = Replay(load(), "changes")
    in_order = sorted(payments, key=lambda one: one.timestamp)
    return {row.rule for one in in_order for row in replaying.add(one)}


# The line itself


def test_payments_of_exactly_ten_thousand_are_seen_by_every_rule_that_parts_of_a_sum_concern() -> None:
    noon = MONDAY + 12 * HOUR
    assert "fan_out" in fired(payment(noon + at, 10_000.00, payee=at) for at in range(5))
    assert "fan_in" in fired(payment(noon + at, 10_000.00, payor=at) for at in range(5))
    assert "just_below" in fired(payment(noon + at, 10_000.00, payee=at) for at in range(3))
    assert "fan_in_few" in fired(payment(noon + at, 10_000.00, payor=at % 2) for at in range(3))
    assert {"structuring", "structuring_rolling"} <= fired([payment(noon, 10_000.00), payment(noon + 1, 0.01)])


def test_payments_above_the_line_owe_a_report_of_their_own() -> None:
    noon = MONDAY + 12 * HOUR
    assert fired(payment(noon + at, 10_000.01, payee=at % 5, payor=at % 2) for at in range(9)) == set()


def test_exactly_ten_thousand_together_is_not_above_the_line() -> None:
    assert fired([payment(MONDAY, 4_000.00), payment(MONDAY + 1, 6_000.00)]) == set()
    assert fired([payment(MONDAY, 10_000.00)]) == set()


def test_fewer_accounts_with_greater_sums_are_seen_as_well() -> None:
    assert fired(payment(MONDAY + at * HOUR, 8_900.00, payee=at) for at in range(4)) == {"just_below"}
    assert fired(payment(MONDAY + at * HOUR, 8_900.00, payor=at) for at in range(4)) == {"fan_in_few"}


# Boundaries


@given(EPOCHS, st.lists(st.integers(0, 10 * MINUTE), min_size=10, max_size=10))
def test_ten_payments_within_ten_minutes_are_velocity_wherever_they_fall(start: int, after: list[int]) -> None:
    assert "velocity" in fired(payment(start + at, 20.00, payee=at) for at in after)


@given(EPOCHS)
def test_nine_payments_or_ten_in_half_an_hour_are_not(start: int) -> None:
    assert fired(payment(start + at * MINUTE, 20.00, payee=at) for at in range(9)) == set()
    assert fired(payment(start + at * 3 * MINUTE, 20.00, payee=at) for at in range(10)) == set()


@given(EPOCHS, st.lists(st.integers(0, 4 * DAY), min_size=3, max_size=3))
def test_three_payments_just_below_the_line_within_four_days_are_seen_wherever_they_fall(
    start: int, after: list[int]
) -> None:
    assert "just_below" in fired(payment(start + at, 9_500.00, payee=number) for number, at in enumerate(after))


@given(EPOCHS, st.lists(st.integers(0, DAY), min_size=5, max_size=5))
def test_five_accounts_within_a_day_are_fan_out_or_fan_in_midnight_or_not(start: int, after: list[int]) -> None:
    assert "fan_out" in fired(payment(start + at, 4_000.00, payee=number) for number, at in enumerate(after))
    assert "fan_in" in fired(payment(start + at, 4_000.00, payor=number) for number, at in enumerate(after))


@given(EPOCHS, st.lists(st.integers(0, 4 * DAY), min_size=3, max_size=3))
def test_few_helpers_within_four_days_are_seen_wherever_they_fall(start: int, after: list[int]) -> None:
    assert "fan_in_few" in fired(payment(start + at, 7_000.00, payor=number % 2) for number, at in enumerate(after))


@given(EPOCHS, st.integers(0, 2 * DAY))
def test_a_sum_parted_over_an_evening_or_two_days_is_structuring(start: int, after: int) -> None:
    assert "structuring_rolling" in fired([payment(start, 6_000.00), payment(start + after, 6_000.00)])


# Weeks


@given(EPOCHS)
def test_the_same_payment_on_four_mondays_is_seen(start: int) -> None:
    replaying = Replay(load(), "changes")
    mondays = [payment(start - start % HOUR + week * 7 * DAY, 9_900.00) for week in range(4)]
    rows = [row for one in mondays for row in replaying.add(one)]
    assert max(row.payment_count for row in rows if row.rule == "structuring_weeks") >= 3
    assert fired(mondays) == {"structuring_weeks"}


@given(EPOCHS, st.lists(st.integers(0, 21 * DAY), min_size=3, max_size=6))
def test_more_than_twenty_five_thousand_within_three_weeks_are_seen_wherever_they_fall(
    start: int, after: list[int]
) -> None:
    assert "structuring_weeks" in fired(payment(start + at, 8_400.00) for at in after)


def test_rent_instalments_and_wages_of_months_are_nothing() -> None:
    assert fired(payment(MONDAY + month * 30 * DAY, 2_400.00) for month in range(12)) == set()
    assert fired(payment(MONDAY + week * 7 * DAY, 450.00) for week in range(50)) == set()
    assert fired(payment(MONDAY + month * 30 * DAY, 9_900.00) for month in range(6)) == set()


# Spelling


@pytest.mark.parametrize("spelling", SPELLINGS[1:])
def test_a_sum_parted_under_two_spellings_of_a_bank_is_structuring(spelling: str) -> None:
    parts = [payment(MONDAY, 6_000.00), payment(MONDAY + HOUR, 6_000.00, bank=spelling)]
    assert fired(parts) == {"structuring", "structuring_rolling"}


def test_one_account_whose_bank_is_spelled_in_five_ways_is_one_payee() -> None:
    assert "fan_out" not in fired(payment(MONDAY + at, 4_000.00, bank=bank) for at, bank in enumerate(SPELLINGS))


def test_five_helpers_who_each_spell_the_bank_in_their_way_are_fan_in() -> None:
    assert "fan_in" in fired(payment(MONDAY + at, 4_000.00, payor=at, bank=bank) for at, bank in enumerate(SPELLINGS))


def test_the_case_has_the_folded_name_and_two_banks_are_still_two() -> None:
    replaying = Replay(load(), "changes")
    parts = [payment(MONDAY, 6_000.00), payment(MONDAY + HOUR, 6_000.00, bank=SPELLINGS[3])]
    rows = [row for one in parts for row in replaying.add(one)]
    assert {row.group["payee_bank"] for row in rows} == {"FIRST NATIONAL"}
    assert fired([payment(MONDAY, 6_000.00), payment(MONDAY, 6_000.00, bank="Second National")]) == set()
