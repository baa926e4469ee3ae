"""Crimes are drawn as they are done: each typology as its line of the table says, and by no rule's window."""

from collections import defaultdict
from functools import cache
from random import Random

import pytest
from local_time import DAY_MS, HOUR_MS, is_weekend, some_days, utc_ms
from parties import FIRST_SUSPECT, Ids, respelled
from typologies import LINE_CENTS, MIN_CENTS, TYPOLOGIES, Crimes, Pattern, Typology, parts

from fraud.bank_names import fold_bank
from schemas.payment import exact_cents

DAYS = range(20_454, 20_482)
"""Four weeks from 1 January 2026 on."""


@cache
def patterns() -> dict[str, list[Pattern]]:
    drawn = defaultdict(list)
    crimes = Crimes(5, Ids(5), DAYS)
    for _ in range(60 * len(TYPOLOGIES)):
        pattern = crimes.next()
        drawn[pattern.typology].append(pattern)
    return drawn


def payees(pattern: Pattern) -> set[tuple[str, int]]:
    return {(fold_bank(payment.payee_bank), payment.payee_account_no) for payment in pattern.payments}


@pytest.mark.parametrize("typology", TYPOLOGIES, ids=lambda typology: typology.name)
def test_a_pattern_is_as_its_line_of_the_table_says(typology: Typology) -> None:
    assert len(patterns()[typology.name]) == 60
    for pattern in patterns()[typology.name]:
        assert pattern.crime
        payors = {payment.payor_account_no for payment in pattern.payments}
        assert typology.payors[0] <= len(payors) <= typology.payors[1]
        assert typology.payees[0] <= len(payees(pattern)) <= typology.payees[1]
        assert typology.parts[0] <= len(pattern.payments) <= typology.parts[1]
        assert list(pattern.made_at) == sorted(pattern.made_at)
        span = pattern.made_at[-1] - pattern.made_at[0]
        assert span < (typology.days[1] + 2) * DAY_MS  # a weekend may come between
        if typology.minutes is not None:
            assert span < typology.minutes * 60_000


@pytest.mark.parametrize("typology", TYPOLOGIES, ids=lambda typology: typology.name)
def test_a_sum_above_the_line_is_parted_into_payments_that_owe_no_report(typology: Typology) -> None:
    for pattern in patterns()[typology.name]:
        amounts = [exact_cents(payment.payment_amount) for payment in pattern.payments]
        assert all(MIN_CENTS <= amount <= LINE_CENTS for amount in amounts)
        assert sum(amounts) > LINE_CENTS


def test_people_have_favourite_amounts_and_some_pay_exactly_the_line() -> None:
    amounts = [payment.payment_amount for drawn in patterns().values() for one in drawn for payment in one.payments]
    for favourite in (10_000.0, 9_999.99, 9_900.0, 9_500.0):
        assert amounts.count(favourite) > len(amounts) / 200
    assert sum(amount < 3_000 for amount in amounts) > len(amounts) / 10


def test_evenings_cross_midnight_utc_and_most_days_are_no_weekends() -> None:
    evenings = patterns()["evening split"]
    assert sum(one.made_at[0] // DAY_MS < one.made_at[-1] // DAY_MS for one in evenings) > len(evenings) / 5
    over_days = [at_ms // DAY_MS for one in patterns()["split over weeks"] for at_ms in one.made_at]
    assert sum(map(is_weekend, over_days)) < len(over_days) / 8


def test_weeks_are_weeks() -> None:
    spans = [one.made_at[-1] - one.made_at[0] for one in patterns()["split over weeks"]]
    assert min(spans) > 5 * DAY_MS
    assert max(spans) > 19 * DAY_MS


def test_some_spell_a_bank_in_several_ways() -> None:
    spelled = [
        len({payment.payee_bank for payment in one.payments}) > len({bank for bank, _ in payees(one)})
        for drawn in patterns().values()
        for one in drawn
    ]
    assert 0.15 < sum(spelled) / len(spelled) < 0.6


def test_another_spelling_is_the_same_bank() -> None:
    rng = Random(3)
    spellings = {respelled("First Harbor Bank", rng) for _ in range(100)}
    assert len(spellings) > 4
    assert {fold_bank(spelling) for spelling in spellings} == {"FIRST HARBOR BANK"}


def test_no_two_patterns_share_an_account_and_none_is_anybody_elses() -> None:
    owners: dict[int, set[Pattern]] = defaultdict(set)
    for drawn in patterns().values():
        for one in drawn:
            for payment in one.payments:
                owners[payment.payor_account_no].add(one)
                owners[payment.payee_account_no].add(one)
    assert {len(owner) for owner in owners.values()} == {1}
    assert min(owners) > FIRST_SUSPECT
    assert max(owners) < 2**31


def test_the_truth_says_who_which_payments_and_when_it_was_complete_and_nothing_of_rules() -> None:
    pattern = patterns()["few helpers"][0]
    times = {place: 1_000 + place for place in range(len(pattern.payments))}
    truth = pattern.truth(times)
    assert truth == {
        "kind": "pattern",
        "typology": "few helpers",
        "crime": True,
        "payors": sorted({payment.payor_account_no for payment in pattern.payments}),
        "payees": truth["payees"],
        "payment_ids": [payment.id for payment in pattern.payments],
        "completed_at": 1_000 + len(times) - 1,
        "run": Ids(5).run,
    }
    assert {payee["account_no"] for payee in truth["payees"]} == {number for _, number in payees(pattern)}


def test_a_pattern_that_was_cut_off_was_never_complete() -> None:
    pattern = patterns()["day split"][0]
    truth = pattern.truth({0: 1_000})
    assert truth["completed_at"] is None
    assert truth["payment_ids"] == [pattern.payments[0].id]


@pytest.mark.parametrize("style", ["just below", "line", "round", "even", "uneven"])
@pytest.mark.parametrize("count", [2, 3, 12])
def test_parts_of_every_style_are_together_above_the_line(style: str, count: int) -> None:
    rng = Random(1)
    for _ in range(200):
        amounts = parts(rng, style, count)  # type: ignore[arg-type]
        assert len(amounts) == count
        assert sum(amounts) > LINE_CENTS


def test_local_evenings_are_the_next_day_in_utc() -> None:
    assert utc_ms(0, 19.0, -5) == DAY_MS
    assert utc_ms(0, 8.5, -8) == 16 * HOUR_MS + HOUR_MS // 2


def test_days_lie_within_their_span_and_the_span_within_the_days() -> None:
    rng = Random(2)
    for _ in range(300):
        days = some_days(rng, DAYS, 40, 5)
        assert days == sorted(days)
        assert set(days) <= set(DAYS)
    assert some_days(rng, range(7, 8), 21, 3) == [7, 7, 7]
