"""An id counts once in an account: for as long as a window that holds the first payment is open."""

import pytest

from fraud.deduplication import Repeated, TaskWindows
from fraud.detection.packed import Origin, pack
from fraud.rules import Rule, parse
from schemas.payment import Payment

NOON = 1_795_392_000_000
HOUR = 3_600_000


def rule(name: str = "big", *, window: str = "1h", amounts: str = "", advance: str = "") -> str:
    return f"""
[[rule]]
name = "{name}"
group_by = ["payor_account_no"]
window = "{window}"
{advance}
grace = "0s"
{amounts}
min_payments = 2
"""


def rules(*texts: str) -> tuple[Rule, ...]:
    return tuple(parse("\n".join(texts), "rules.toml"))


def add(task: TaskWindows, at_ms: int, payment_id: str = "a", amount: float = 100.0, payor: int = 1) -> object:
    payment = Payment(payment_id, "Bank", 2, amount, "ACH", payor)
    return task.add(payor, payment_id, payment, at_ms, pack(payment, at_ms, 0, Origin("payment_json", 0, 0)))


def test_a_payment_that_comes_again_counts_in_no_window_and_says_which_would_have() -> None:
    task = TaskWindows(rules(rule()))
    add(task, NOON)
    repeated = add(task, NOON + 1)
    assert isinstance(repeated, Repeated)
    assert [(windows.rule.name, start, group) for windows, start, group in repeated.windows] == [("big", NOON, (1,))]
    [windows] = task
    [(_, _, window)] = windows
    assert window.payment_count == 1


def test_of_the_windows_that_would_have_counted_it_a_closed_one_is_none() -> None:
    task = TaskWindows(rules(rule(window="2h", advance='advance = "1h"')))
    add(task, NOON)
    add(task, NOON + HOUR, "another")
    repeated = add(task, NOON)
    assert isinstance(repeated, Repeated)
    assert [start for _, start, _ in repeated.windows] == [NOON]


def test_a_window_of_a_rule_that_does_not_count_the_first_keeps_no_id() -> None:
    small = rule("small", window="3h", amounts="amount_below = 50.0")
    task = TaskWindows(rules(rule(amounts="amount_from = 50.0"), small))
    add(task, NOON)
    assert isinstance(add(task, NOON + HOUR - 1), Repeated)
    assert not isinstance(add(task, NOON + HOUR), Repeated)


def test_another_account_has_ids_of_its_own() -> None:
    task = TaskWindows(rules(rule()))
    add(task, NOON)
    assert not isinstance(add(task, NOON, payor=9), Repeated)


def test_once_the_window_of_the_first_is_closed_its_id_counts_again() -> None:
    task = TaskWindows(rules(rule()))
    add(task, NOON)
    assert isinstance(add(task, NOON + HOUR - 1), Repeated)
    assert not isinstance(add(task, NOON + HOUR), Repeated)


def test_a_repeated_payment_moves_stream_time() -> None:
    task = TaskWindows(rules(rule(window="2h")))
    add(task, NOON)
    add(task, NOON + HOUR)
    assert [windows.stream_time for windows in task] == [NOON + HOUR]


def test_capitals_make_no_other_id() -> None:
    task = TaskWindows(rules(rule()))
    add(task, NOON, "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b")
    assert isinstance(add(task, NOON + 1, "6F1C2A34-5B6D-4E7F-8A9B-0C1D2E3F4A5B"), Repeated)


@pytest.mark.parametrize("amount", [1.0, 100.0])
def test_the_first_counts_for_all_rules_whatever_amount_comes_again(amount: float) -> None:
    task = TaskWindows(rules(rule(amounts="amount_from = 50.0"), rule("small", amounts="amount_below = 50.0")))
    add(task, NOON)
    repeated = add(task, NOON, amount=amount)
    assert isinstance(repeated, Repeated)
    assert [windows.rule.name for windows, *_ in repeated.windows] == ["big" if amount == 100.0 else "small"]


def test_a_payment_that_no_rule_counts_leaves_its_id_free() -> None:
    task = TaskWindows(rules(rule(amounts="amount_from = 50.0")))
    add(task, NOON, amount=1.0)
    assert not isinstance(add(task, NOON), Repeated)


def test_ids_that_count_no_more_are_forgotten() -> None:
    task = TaskWindows(rules(rule()))
    for number in range(5_000):
        add(task, NOON + number * HOUR, str(number))
    assert len(task._firsts) <= 2_002
