"""Why a rule fired, in one sentence."""

import pytest

from fraud.detection.reasons import reason
from fraud.rules import load, parse

RULES = {rule.name: rule for rule in load(None)}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("structuring", "6 payments, each at most $10,000, together $22,000.03 within 24 h"),
        ("structuring_rolling", "6 payments, each at most $10,000, together $22,000.03 within 72 h"),
        (
            "structuring_weeks",
            "6 payments, each at least $3,000 and at most $10,000, together $22,000.03 within 42 days",
        ),
        (
            "fan_out",
            (
                "6 payments, to 5 or more payees, each at least $3,000 and at most $10,000, "
                "together $22,000.03 within 48 h"
            ),
        ),
        (
            "fan_in",
            (
                "6 payments, from 5 or more payors, each at least $3,000 and at most $10,000, "
                "together $22,000.03 within 48 h"
            ),
        ),
        (
            "fan_in_few",
            (
                "6 payments, from 2 or more payors, each at least $3,000 and at most $10,000, "
                "together $22,000.03 within 8 days"
            ),
        ),
        ("just_below", "6 payments, each at least $8,000 and at most $10,000, together $22,000.03 within 8 days"),
        ("velocity", "6 payments, together $22,000.03 within 20 min"),
    ],
)
def test_each_rule_tells_its_numbers(rule: str, text: str) -> None:
    assert reason(RULES[rule], 6, "22000.03") == text


def test_a_limit_that_is_no_whole_number_of_dollars_is_said_as_it_stands() -> None:
    [rule] = parse(
        '[[rule]]\nname = "small"\ngroup_by = ["payor_account_no"]\namount_below = 999.50\n'
        'window = "1h"\nmin_payments = 1',
        "rules.toml",
    )
    assert reason(rule, 1, "5.00") == "1 payment, each below $999.50, together $5 within 1 h"


def test_without_its_rule_a_case_tells_its_own_numbers() -> None:
    assert reason(None, 1234, "1000000.00") == "1,234 payments, together $1,000,000"
