"""A case carries what the design says, under an id that only rule, group and window decide."""

import json
from uuid import UUID, uuid5

import jsonschema
import msgspec
import pytest

from fraud.detection.cases import case, case_json
from fraud.detection.packed import Origin, pack
from fraud.rules import Rule, load
from fraud.windows import RuleWindows
from schemas.case import NAMESPACE, Case
from schemas.codecs import schema_text
from schemas.payment import AMOUNT_MAX, INT32_MAX, Payment

MIDNIGHT = 1_795_392_000_000 // 86_400_000 * 86_400_000
ORIGIN = Origin("payment_json", 0, 0)
RULES: dict[str, Rule] = {rule.name: rule for rule in load()}


SIDES = {"payor_account_no": 100, "payee_bank": "First National", "payee_account_no": 200}
PLACE = {"partition": ORIGIN.partition, "offset": ORIGIN.offset}


def structuring(payments: list[Payment]) -> Case:
    """The case of these payments, a second apart, latest first."""
    windows = RuleWindows(RULES["structuring"])
    for number, payment in enumerate(reversed(payments)):
        at = MIDNIGHT + 1000 * (len(payments) - number)
        windows.add(payment, at, pack(payment, at, number, ORIGIN))
    (place,) = windows
    return case(windows.rule, *place)


def payment(number: int, amount: float, method: str = "ACH") -> Payment:
    return Payment(str(UUID(int=number)), "First National", 200, amount, method, 100)


def test_a_case_as_it_stands_on_the_topic() -> None:
    assert json.loads(msgspec.json.encode(structuring([payment(2, 9999.99), payment(1, 0.02)]))) == {
        "case_id": str(uuid5(NAMESPACE, f"structuring|100|FIRST NATIONAL|200|{MIDNIGHT}")),
        "rule": "structuring",
        "group": {"payor_account_no": 100, "payee_bank": "FIRST NATIONAL", "payee_account_no": 200},
        "window_start": MIDNIGHT,
        "window_end": MIDNIGHT + 86_400_000,
        "payment_count": 2,
        "total_amount": "10000.01",
        "max_amount": 9999.99,
        "first_payment_at": MIDNIGHT + 1000,
        "last_payment_at": MIDNIGHT + 2000,
        "fired_at": MIDNIGHT + 1000,
        "payments": [
            {
                "id": "00000000-0000-0000-0000-000000000001",
                "payment_amount": 0.02,
                "payment_method": "ACH",
                "timestamp": MIDNIGHT + 2000,
                "topic": "payment_json",
                **SIDES,
                **PLACE,
            },
            {
                "id": "00000000-0000-0000-0000-000000000002",
                "payment_amount": 9999.99,
                "payment_method": "ACH",
                "timestamp": MIDNIGHT + 1000,
                "topic": "payment_json",
                **SIDES,
                **PLACE,
            },
        ],
    }


def test_a_case_is_valid_by_its_schema() -> None:
    schema = json.loads(schema_text("review_case.schema.json"))
    jsonschema.validate(json.loads(msgspec.json.encode(structuring([payment(1, 5.0)]))), schema)


def test_more_payments_are_the_same_case() -> None:
    assert structuring([payment(1, 5.0)]).case_id == structuring([payment(2, 6.0), payment(3, 7.0)]).case_id


def test_a_case_of_any_rule_names_its_own_columns() -> None:
    for rule in RULES.values():
        windows = RuleWindows(rule)
        first = payment(1, 9500.0)
        outcomes = windows.add(first, MIDNIGHT, pack(first, MIDNIGHT, 0, ORIGIN))
        start, group, window = outcomes[-1]
        assert window is not None
        first_case = case(rule, start, group, window)
        assert set(msgspec.to_builtins(first_case.group)) == set(rule.group_by)
        assert first_case.window_end - first_case.window_start == rule.size_ms


@pytest.mark.parametrize("method", ["\U0001f4b8" * 35, "\x01" * 34 + "x", '"' * 35])
def test_a_case_of_more_than_a_thousand_payments_stays_below_900_kilobytes(method: str) -> None:
    payments = [
        Payment(str(UUID(int=2**128 - 1 - number)), "\x01" * 139 + "x", INT32_MAX, AMOUNT_MAX - 0.01, method, INT32_MAX)
        for number in range(1200)
    ]
    windows = RuleWindows(RULES["velocity"])
    for arrival in payments:
        windows.add(arrival, MIDNIGHT, pack(arrival, MIDNIGHT, 0, ORIGIN))
    place = next(iter(windows))
    long_case = case(windows.rule, *place)
    assert (long_case.payment_count, len(long_case.payments)) == (1200, 1000)
    assert long_case.total_amount == "1199999999999988.00"
    assert len(case_json(long_case)) < 900_000


def test_a_case_names_the_banks_of_its_payments_as_long_as_there_is_room() -> None:
    usual = structuring([payment(number, 5.0) for number in range(1000)])
    assert case_json(usual) == msgspec.json.encode(usual)
