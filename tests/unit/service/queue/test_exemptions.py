"""Accounts that are exempt, and what is not silent all the same."""

from typing import Any

import pytest

from schemas.case import Group
from service.queue.decisions import InvalidDecision
from service.queue.exemptions import Exemption, ExemptionRequest, Exemptions, check_exemption

NOW = 1_795_492_000_000
PAYROLL = Group(payor_account_no=7)
PAIR = Group(7, "B", 9)


def exemption(group: Group = PAYROLL, **changes: Any) -> Exemption:
    fields = {
        "exemption_id": "e",
        "rules": (),
        "reason": "payroll",
        "reviewer": "ann",
        "time": NOW,
        "until": NOW + 5,
        "max_total": "50000.00",
    }
    return Exemption(group=group, **(fields | changes))


@pytest.mark.parametrize(
    ("exempt", "changes", "rule", "case", "cents", "silent"),
    [
        (PAYROLL, {}, "fan_out", PAYROLL, 5_000_000, True),
        (PAYROLL, {}, "structuring", PAIR, 1, True),
        (PAYROLL, {}, "fan_out", PAYROLL, 5_000_001, False),
        (PAYROLL, {"rules": ("fan_out",)}, "fan_out", PAYROLL, 1, True),
        (PAYROLL, {"rules": ("fan_out",)}, "velocity", PAYROLL, 1, False),
        (PAYROLL, {}, "fan_out", Group(payor_account_no=8), 1, False),
        (PAIR, {}, "structuring", PAIR, 1, True),
        (PAIR, {}, "fan_out", PAYROLL, 1, False),
        (PAIR, {}, "structuring", Group(7, "B", 10), 1, False),
        (Group(payee_bank="B", payee_account_no=9), {}, "structuring", PAIR, 1, True),
        (Group(payee_bank=" first  Bank", payee_account_no=9), {}, "fan_in", Group(None, "FIRST BANK", 9), 1, True),
        (Group(payee_bank="FIRST BANK", payee_account_no=9), {}, "fan_in", Group(None, "First Bank", 9), 1, True),
        (Group(7, "First Bank", 9), {}, "structuring", Group(7, "FIRST BANK", 9), 1, True),
        (Group(payee_bank="B", payee_account_no=9), {}, "fan_in", Group(payee_bank="C", payee_account_no=9), 1, False),
    ],
)
def test_an_exemption_silences_its_account_by_its_rules_up_to_its_ceiling(
    exempt: Group,
    changes: dict[str, Any],
    rule: str,
    case: Group,
    cents: int,
    silent: bool,  # noqa: FBT001
) -> None:
    until = Exemptions([exemption(exempt, **changes)]).silenced_until(rule, case, cents)
    assert until == (NOW + 5 if silent else None)


def test_of_several_exemptions_the_last_to_end_counts() -> None:
    several = Exemptions([exemption(), exemption(until=NOW + 9), exemption(PAIR, until=NOW + 7)])
    assert several.silenced_until("structuring", PAIR, 1) == NOW + 9
    assert Exemptions([]).silenced_until("structuring", PAIR, 1) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reviewer": " "}, "reviewer"),
        ({"group": Group()}, "group"),
        ({"group": Group(payee_bank="B")}, "group"),
        ({"group": Group(payor_account_no=1, payee_account_no=2)}, "group"),
        ({"until": NOW}, "until"),
        ({"until": NOW + 400 * 86_400_000}, "until"),
    ],
)
def test_a_request_that_makes_no_sense_names_its_field(changes: dict[str, Any], field: str) -> None:
    fields = {"group": PAYROLL, "reason": "payroll", "until": NOW + 5, "max_total": "1.00", "reviewer": "ann"}
    check_exemption(ExemptionRequest(**fields), NOW)  # type: ignore[arg-type]
    with pytest.raises(InvalidDecision) as caught:
        check_exemption(ExemptionRequest(**(fields | changes)), NOW)
    assert caught.value.field == field
