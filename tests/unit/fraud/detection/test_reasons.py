"""Why a rule fired, in one sentence."""

import pytest

from fraud.detection.reasons import reason
from fraud.rules import load

RULES = {rule.name: rule for rule in load(None)}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("structuring", "6 payments, each below $10,000, together $22,000.03 within 24 h"),
        ("structuring_rolling", "6 payments, each below $10,000.01, together $22,000.03 within 72 h"),
        (
            "fan_out",
            "6 payments, to 5 or more payees, each at least $3,000 and below $10,000, together $22,000.03 within 24 h",
        ),
        (
            "fan_in",
            (
                "6 payments, from 5 or more payors, each at least $3,000 and below $10,000, "
                "together $22,000.03 within 24 h"
            ),
        ),
        ("just_below", "6 payments, each at least $9,000 and below $10,000, together $22,000.03 within 24 h"),
        ("velocity", "6 payments, together $22,000.03 within 10 min"),
    ],
)
def test_each_rule_tells_its_numbers(rule: str, text: str) -> None:
    assert reason(RULES[rule], 6, "22000.03") == text


def test_without_its_rule_a_case_tells_its_own_numbers() -> None:
    assert reason(None, 1234, "1000000.00") == "1,234 payments, together $1,000,000"
