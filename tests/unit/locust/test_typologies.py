"""The traffic of the load: the same for the same seed, and each pattern triggers the rules that it names, no others."""

from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache

import pytest
from history import line
from load_settings import LoadSettings, read_settings
from shapes import users_at
from typologies import (
    DAY_MS,
    FIRST_SUSPECT,
    HOUR_MS,
    JUST_BELOW,
    ROLLING,
    STRUCTURING,
    VELOCITY,
    Dated,
    Ids,
    Instance,
    Ordinary,
    Suspects,
    Traffic,
    history,
)

from fraud.replay import Replay, decode_line
from fraud.rules import load

MIDNIGHT = 1_767_225_600_000
RULES = {
    "structuring": {"structuring", "structuring_rolling"},
    "across_midnight": {"structuring_rolling"},
    "fan_out": {"fan_out"},
    "fan_in": {"fan_in"},
    "just_below": {"just_below"},
    "burst": {"velocity"},
}


def fired(dated: list[Dated]) -> dict[str, int]:
    """The rules that fire on these payments, and the time at which each first does."""
    replaying = Replay(load(), "changes")
    first: dict[str, int] = {}
    for offset, each in enumerate(sorted(dated, key=lambda one: one.timestamp)):
        for row in replaying.add(decode_line(line(offset, each))):
            first.setdefault(row.rule, row.row_timestamp)
    return first


def made(instance: Instance, start: int = MIDNIGHT) -> tuple[list[Dated], dict[int, int]]:
    """An instance on the day that begins at `start`."""
    times = {place: start + instance.starts_at + after for place, after in enumerate(instance.after_ms)}
    return [Dated(times[place], payment) for place, payment in enumerate(instance.payments)], times


@cache
def instances() -> dict[str, list[Instance]]:
    found = defaultdict(list)
    suspects = Suspects(5, Ids(5))
    for _ in range(240):
        instance = suspects.next()
        found[instance.typology].append(instance)
    return found


# Patterns


@pytest.mark.parametrize("typology", RULES)
def test_a_pattern_triggers_exactly_the_rules_that_it_names_with_the_payment_that_crosses_the_line(
    typology: str,
) -> None:
    assert len(instances()[typology]) == 40
    for instance in instances()[typology]:
        dated, times = made(instance)
        truth = instance.truth(times)
        assert set(truth["expected"]) == RULES[typology]
        assert fired(dated) == dict.fromkeys(truth["expected"], truth["crossed_at"])
        assert truth["payment_ids"] == [payment.id for payment in instance.payments]


@pytest.mark.parametrize("typology", RULES)
def test_no_pattern_that_lacks_one_of_the_payments_it_needs_names_a_rule_that_does_not_fire(typology: str) -> None:
    for instance in instances()[typology]:
        dated, times = made(instance)
        for kept in range(1, len(dated)):
            truth = instance.truth({place: times[place] for place in range(kept)})
            assert fired(dated[:kept]) == dict.fromkeys(truth["expected"], truth["crossed_at"])
            assert (truth["crossed_at"] is None) == (truth["expected"] == [])


@pytest.mark.parametrize("typology", RULES)
@pytest.mark.parametrize("before_ms", [1, 4_000, 9_000])
def test_what_is_sent_as_it_comes_is_judged_by_the_days_it_really_fell_on(typology: str, before_ms: int) -> None:
    for instance in instances()[typology]:
        times = {place: MIDNIGHT - before_ms + 1000 * place for place in range(len(instance.payments))}
        dated = [Dated(times[place], payment) for place, payment in enumerate(instance.payments)]
        truth = instance.truth(times)
        assert fired(dated) == dict.fromkeys(truth["expected"], truth["crossed_at"])


def test_a_split_across_midnight_sent_within_one_day_is_structuring_on_that_day() -> None:
    instance = instances()["across_midnight"][0]
    assert instance.truth({0: MIDNIGHT, 1: MIDNIGHT + 1})["expected"] == ["structuring", "structuring_rolling"]
    assert instance.truth({0: MIDNIGHT - 1, 1: MIDNIGHT})["expected"] == ["structuring_rolling"]
    assert instance.truth({0: MIDNIGHT, 1: MIDNIGHT + 3 * DAY_MS})["expected"] == []


def test_a_pattern_that_arrives_in_another_order_was_crossed_by_what_came_last() -> None:
    instance = instances()["structuring"][0]
    times = {place: MIDNIGHT + HOUR_MS - place for place in range(len(instance.payments))}
    assert instance.truth(times)["crossed_at"] == MIDNIGHT + HOUR_MS


def test_a_line_is_crossed_above_its_sum_and_from_its_count_on() -> None:
    assert STRUCTURING.crossed_by([(0, 999_999), (1, 1)]) is None
    assert STRUCTURING.crossed_by([(0, 999_999), (1, 1), (2, 1), (3, 1)]) == 2
    assert STRUCTURING.crossed_by([(DAY_MS - 1, 999_999), (DAY_MS, 2)]) is None
    assert ROLLING.crossed_by([(DAY_MS - 1, 999_999), (3 * DAY_MS - 1, 2)]) == 3 * DAY_MS - 1
    assert ROLLING.crossed_by([(DAY_MS - 1, 999_999), (3 * DAY_MS, 2)]) is None
    assert JUST_BELOW.crossed_by([(0, 1), (1, 1), (2, 1)]) == 2
    assert replace(VELOCITY, payments=2).crossed_by([(599_999, 1), (600_000, 1), (600_001, 1)]) == 600_001


# Traffic


def test_the_ordinary_mix_alone_makes_hardly_a_case() -> None:
    mix = Ordinary(9, Ids(9))
    payments = [mix.next() for _ in range(30_000)]
    dated = [Dated(MIDNIGHT + at * 2000, payment) for at, payment in enumerate(payments)]
    replaying = Replay(load(), "changes")
    rows = Counter(row.rule for at, each in enumerate(dated) for row in replaying.add(decode_line(line(at, each))))
    assert rows.total() <= 3, rows
    amounts = sorted(payment.payment_amount for payment in payments)
    assert amounts[15_000] < 150
    assert amounts[-1] > 10_000
    assert max(max(each.payor_account_no, each.payee_account_no) for each in payments) < FIRST_SUSPECT


def test_the_same_seed_makes_the_same_traffic_however_it_is_taken() -> None:
    one, other, third = Traffic(7), Traffic(7), Traffic(8)
    taken = one.take(3000)
    again = [sent for _ in range(30) for sent in other.take(100)]
    assert [(sent.payment, sent.place) for sent in taken] == [(sent.payment, sent.place) for sent in again]
    assert {sent.payment.id for sent in taken}.isdisjoint({sent.payment.id for sent in third.take(3000)})


def test_ids_are_uuids_of_their_own_that_begin_alike_within_a_run() -> None:
    ids = [sent.payment.id for sent in Traffic(7).take(5000)]
    assert len(set(ids)) == 5000
    assert {each[:8] for each in ids} == {Ids(7).run}
    assert Ids(7).run != Ids(8).run


def test_as_much_of_the_traffic_belongs_to_patterns_as_was_asked_for() -> None:
    for share in (0.0, 0.03, 0.5):
        taken = Traffic(3, share, pause=20).take(5000)
        assert sum(sent.instance is not None for sent in taken) / 5000 == pytest.approx(share, abs=0.02)


def test_payments_of_a_pattern_come_in_order_and_no_two_patterns_share_a_payor_or_payee() -> None:
    places: dict[Instance, list[int]] = defaultdict(list)
    accounts: dict[int, set[Instance]] = defaultdict(set)
    for sent in Traffic(4, 0.3, pause=50).take(5000):
        if sent.instance is not None:
            places[sent.instance].append(sent.place)
            accounts[sent.payment.payor_account_no].add(sent.instance)
            accounts[sent.payment.payee_account_no].add(sent.instance)
    assert all(found == list(range(len(found))) for found in places.values())
    assert {len(found) for found in accounts.values()} == {1}


# History


def test_a_history_is_in_order_of_time_and_the_same_for_the_same_seed() -> None:
    dated, truths = history(3, 5000, 4, MIDNIGHT)
    assert (dated, truths) == history(3, 5000, 4, MIDNIGHT)
    times = [each.timestamp for each in dated]
    assert times == sorted(times)
    assert len(dated) == 5000
    assert MIDNIGHT <= times[0] < times[-1] < MIDNIGHT + 5 * DAY_MS
    ids = {each.payment.id for each in dated}
    assert all(ids.issuperset(truth["payment_ids"]) for truth in truths)
    assert {truth["typology"] for truth in truths} == set(RULES)


# Load


def test_the_load_rises_stays_or_has_a_spike_and_ends() -> None:
    def course(shape: str) -> list[int | None]:
        return [users_at(shape, at, 10, 20) for at in range(11)]

    assert course("steady") == [20] * 10 + [None]
    assert course("ramp") == [2, 4, 6, 7, 9, 11, 13, 15, 16, 18, None]
    assert course("spike") == [4, 4, 4, 4, 20, 20, 4, 4, 4, 4, None]
    assert users_at("ramp", 0, 10, 1) == 1


def test_settings_come_from_the_environment_and_what_is_wrong_is_named() -> None:
    assert read_settings({"LOAD_RATE": "50", "LOAD_SEED": "", "TRUTH": "x"}) == LoadSettings(load_rate=50.0, truth="x")
    with pytest.raises(SystemExit, match="load_shape"):
        read_settings({"LOAD_SHAPE": "round"})
