"""A rule as a ledger sees it: what a group needs at least before its windows are looked at."""

import pytest

from fraud.detection.watches import Watch
from fraud.rules import Rule, parse

HOUR = 3_600_000


def rule(**keys: str) -> Rule:
    fields = {"name": '"watched"', "group_by": '["payor_account_no"]', "window": '"24h"', "grace": '"1h"', **keys}
    lines = "\n".join(f"{name} = {value}" for name, value in fields.items())
    return parse(f"[[rule]]\n{lines}\n", "rules.toml")[0]


@pytest.mark.parametrize(
    ("keys", "least_payments"),
    [
        ({"total_above": "10000"}, 1),
        ({"total_above": "10000", "amount_below": "10000"}, 2),
        ({"total_above": "10000", "amount_below": "10000.01"}, 2),
        ({"total_above": "10000", "amount_below": "5000.01"}, 3),
        ({"total_above": "10000", "amount_below": "5000.02"}, 2),
        ({"min_payments": "10"}, 10),
        ({"min_payments": "2", "total_above": "10000", "amount_below": "2500"}, 5),
        ({"min_distinct": '{ of = ["payee_bank", "payee_account_no"], count = 5 }'}, 5),
    ],
)
def test_so_many_payments_are_the_fewest_that_can_fire(keys: dict[str, str], least_payments: int) -> None:
    assert Watch(rule(**keys)).least_payments == least_payments


def test_a_payment_counts_until_the_last_window_that_holds_it_has_closed() -> None:
    assert Watch(rule(min_payments="2")).span_ms == 25 * HOUR
    assert Watch(rule(min_payments="2", window='"72h"', advance='"24h"')).span_ms == 73 * HOUR


def test_rules_of_one_kind_count_the_same_payments_in_the_same_groups() -> None:
    by_total, by_count = Watch(rule(total_above="10000")), Watch(rule(min_payments="3", window='"96h"'))
    assert by_total.kind == by_count.kind
    assert by_total.kind != Watch(rule(total_above="10000", amount_below="10000")).kind
    assert by_total.kind != Watch(rule(total_above="10000", group_by='["payee_bank", "payee_account_no"]')).kind
