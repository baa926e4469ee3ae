"""The traffic of the load and of a made-up past: the same for the same seed, and among it what looks like crime."""

from collections import Counter, defaultdict

import pytest
from history import Dated, history, line
from load_settings import LoadSettings, read_settings
from local_time import DAY_MS
from lookalikes import SHARES, Lookalikes
from parties import FIRST_SUSPECT, Ids
from shapes import users_at
from traffic import LoadTraffic
from typologies import TYPOLOGIES, Pattern

from fraud.bank_names import fold_bank
from fraud.payment_files import decode_line

DAYS = range(20_454, 20_482)


# Look-alikes


@pytest.mark.parametrize("kind", SHARES)
def test_an_innocent_pattern_is_one_customers_and_lies_within_the_days(kind: str) -> None:
    lookalikes = Lookalikes(3, Ids(3), DAYS)
    for _ in range(20):
        pattern = lookalikes.draw(kind, 10_000)
        assert not pattern.crime
        payors = {payment.payor_account_no for payment in pattern.payments}
        payees = {(fold_bank(one.payee_bank), one.payee_account_no) for one in pattern.payments}
        assert 1 in {len(payors), len(payees)}
        assert max(payors | {account for _, account in payees}) < FIRST_SUSPECT
        assert DAYS.start * DAY_MS <= pattern.made_at[0]
        assert pattern.made_at[-1] < (DAYS.stop + 3) * DAY_MS


def test_a_payroll_goes_to_many_and_a_restaurant_deposits_day_after_day() -> None:
    lookalikes = Lookalikes(3, Ids(3), DAYS)
    payrolls = [lookalikes.draw("payroll", 10_000) for _ in range(30)]
    assert max(len({payment.payee_account_no for payment in one.payments}) for one in payrolls) > 100
    takings = [lookalikes.draw("takings", 10_000) for _ in range(30)]
    assert all(len(one.payments) >= 18 for one in takings)
    assert any(all(payment.payment_amount > 8_000 for payment in one.payments[:3]) for one in takings)


# Traffic


def test_the_same_seed_makes_the_same_traffic_however_it_is_taken() -> None:
    one, other, third = LoadTraffic(7), LoadTraffic(7), LoadTraffic(8)
    first = one.take(3000)
    again = [sent for _ in range(30) for sent in other.take(100)]
    assert [(sent.payment, sent.place) for sent in first] == [(sent.payment, sent.place) for sent in again]
    assert {sent.payment.id for sent in first}.isdisjoint({sent.payment.id for sent in third.take(3000)})


def test_processes_of_one_load_have_streams_of_their_own() -> None:
    one, other = LoadTraffic("7-0").take(500), LoadTraffic("7-1").take(500)
    assert {sent.payment.id for sent in one}.isdisjoint({sent.payment.id for sent in other})


def test_ids_begin_alike_within_a_run_and_few_come_twice() -> None:
    ids = [sent.payment.id for sent in LoadTraffic(7).take(20_000)]
    assert {payment_id[:8] for payment_id in ids} == {Ids(7).run}
    assert Ids(7).run != Ids(8).run
    assert 20 < len(ids) - len(set(ids)) < 120


def test_as_much_of_the_traffic_belongs_to_crimes_as_was_asked_for() -> None:
    for share in (0.0, 0.03, 0.5):
        traffic = LoadTraffic(3, share, pause=20).take(5000)
        assert sum(sent.pattern is not None and sent.pattern.crime for sent in traffic) / 5000 == pytest.approx(
            share, abs=0.02
        )


def test_payments_of_a_pattern_come_in_order_each_once() -> None:
    places: dict[Pattern, list[int]] = defaultdict(list)
    for sent in LoadTraffic(4, 0.3, pause=50).take(5000):
        if sent.pattern is not None:
            assert not sent.again
            places[sent.pattern].append(sent.place)
    assert all(numbers == list(range(len(numbers))) for numbers in places.values())


# History


def test_a_history_has_every_typology_and_the_shares_of_a_bank() -> None:
    dated, [run, *truths] = history(3, 20_000, DAYS)
    assert (dated, [run, *truths]) == history(3, 20_000, DAYS)
    assert (run["run"], run["payments"]) == (Ids(3).run, 20_000)
    assert {truth["typology"] for truth in truths} == {typology.name for typology in TYPOLOGIES} | SHARES.keys()
    of = Counter[str]()
    for truth in truths:
        of["crime" if truth["crime"] else truth["typology"]] += len(truth["payment_ids"])
    assert of["crime"] / 20_000 == pytest.approx(0.03, rel=0.1)
    for kind in ("payroll", "utility", "rents", "treasurer"):
        assert of[kind] / 20_000 == pytest.approx(SHARES[kind] * 0.97, rel=0.1)


def test_a_history_comes_as_it_arrived_some_late_and_some_twice_with_one_id() -> None:
    dated, [_, *truths] = history(3, 20_000, DAYS)
    assert [one.arrived_at for one in dated] == sorted(one.arrived_at for one in dated)
    times = [one.timestamp for one in dated]
    assert times != sorted(times)
    assert DAYS.start * DAY_MS <= min(times)
    assert max(times) < (DAYS.stop + 1) * DAY_MS
    ids = Counter(one.payment.id for one in dated)
    assert 20 < sum(count == 2 for count in ids.values()) < 120
    assert all(ids.keys() >= set(truth["payment_ids"]) for truth in truths)


def test_a_pattern_is_complete_with_the_time_of_its_last_payment() -> None:
    dated, [_, *truths] = history(3, 5_000, DAYS)
    first: dict[str, Dated] = {}
    for one in dated:
        first.setdefault(one.payment.id, one)
    for truth in truths:
        assert truth["completed_at"] == max(first[payment_id].timestamp for payment_id in truth["payment_ids"])


def test_one_day_is_enough_for_a_history() -> None:
    dated, truths = history(3, 2_000, range(20_454, 20_455))
    assert max(one.timestamp for one in dated if one.arrived_at == one.timestamp) < 20_455 * DAY_MS + DAY_MS // 24
    assert any(truth.get("crime") for truth in truths)


def test_a_line_of_a_history_is_one_that_replay_reads() -> None:
    dated, _ = history(3, 1_000, DAYS)
    for offset, one in enumerate(dated):
        recorded = decode_line(line(offset, one))
        assert (recorded.id, recorded.timestamp, recorded.offset) == (one.payment.id, one.timestamp, offset)


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
