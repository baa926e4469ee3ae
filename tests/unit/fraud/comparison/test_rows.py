"""Both engines' records come to the same rows, and what is none is a RowError."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fraud.comparison.compare import Row, window_key
from fraud.comparison.rows import (
    RowError,
    cases_of_repeated,
    of_ksqldb,
    of_python,
    row_of,
    window_of_late,
    windows_of_repeated,
)
from fraud.rules import Rule, load
from schemas import wire_format
from schemas.case import decode_case

RULES: dict[str, Rule] = {rule.name: rule for rule in load()}
START = 86_400_000
GROUP = {"payor_account_no": 1, "payee_bank": "B", "payee_account_no": 2}
ROW = Row(2 * START, 2, Decimal("10000.01"), 9999.99, ("a", "b"))
CASE = {
    "case_id": "c",
    "rule": "structuring",
    "group": GROUP,
    "window_start": START,
    "window_end": 2 * START,
    "payment_count": 2,
    "total_amount": "10000.01",
    "max_amount": 9999.99,
    "first_payment_at": START,
    "last_payment_at": START + 1,
    "payments": [{"id": "b"}, {"id": "a"}],
}


def key(columns: Any, start: int = START) -> bytes:
    return json.dumps(columns).encode() + start.to_bytes(8, "big", signed=True)


def sunk(**changes: Any) -> bytes:
    row = {
        "WINDOW_END": 2 * START,
        "PAYMENT_COUNT": 2,
        "TOTAL_AMOUNT": 10000.01,
        "MAX_AMOUNT": 9999.99,
        "PAYMENT_IDS": ["b", "a"],
    }
    return json.dumps({**row, **changes}).encode()


def test_a_case_and_ksqldbs_row_of_it_are_equal() -> None:
    columns = {"K_PAYEE_ACCOUNT_NO": 2, "K_PAYEE_BANK": "B", "K_PAYOR_ACCOUNT_NO": 1}
    of_case = of_python(wire_format.header(7) + json.dumps(CASE).encode())
    assert (
        of_case
        == of_ksqldb(RULES["structuring"], key(columns), sunk())
        == (window_key("structuring", START, GROUP), ROW)
    )
    assert row_of(decode_case(json.dumps(CASE).encode())) == ROW


def test_a_key_of_one_column_is_its_bare_value() -> None:
    where, _ = of_ksqldb(RULES["velocity"], key(7), sunk())
    assert where == window_key("velocity", START, {"payor_account_no": 7})


def test_a_window_that_ksqldb_takes_away_has_no_row() -> None:
    assert of_ksqldb(RULES["velocity"], key(7), None) == (window_key("velocity", START, {"payor_account_no": 7}), None)


@pytest.mark.parametrize(
    ("bad_key", "value"),
    [
        (None, sunk()),
        (b"", sunk()),
        (key({"K_OTHER": 1}), sunk()),
        (key(7), b""),
        (key(7), b"\xff"),
        (key(7), sunk(TOTAL_AMOUNT="NaN")),
        (key(7), sunk(TOTAL_AMOUNT="Infinity")),
        (key(7), sunk(TOTAL_AMOUNT=1e16)),
        (key(7), sunk(TOTAL_AMOUNT=-0.01)),
        (key(7), sunk(PAYMENT_COUNT=-1)),
        (key(7), sunk(PAYMENT_IDS=[None])),
        (key("7"), sunk()),
        (key(-7), sunk()),
        (key(2**31), sunk()),
        (key(10**25), sunk()),
        (key(7, start=-1), sunk()),
        (key(7, start=2**63 - 1), sunk()),
        (key(7), b"[" * 100_000),
    ],
)
def test_what_is_no_row_of_ksqldbs_is_an_error(bad_key: bytes | None, value: bytes) -> None:
    with pytest.raises(RowError, match="not a row"):
        of_ksqldb(RULES["velocity"], bad_key, value)


def test_what_is_no_case_is_an_error() -> None:
    with pytest.raises(RowError, match="not a case"):
        of_python(b"{}")


def test_late_and_repeated_payments_name_the_windows_that_did_not_count_them() -> None:
    window = {"rule": "structuring", "group": GROUP, "window_start": START}
    assert window_of_late(msgspec.json.encode(window)) == window_key("structuring", START, GROUP)
    repeated = msgspec.json.encode({"windows": [{**window, "case_id": "c"}, {**window, "case_id": "d"}]})
    assert windows_of_repeated(repeated) == [window_key("structuring", START, GROUP)] * 2
    assert cases_of_repeated(repeated) == ["c", "d"]


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b'{"windows": [{}]}', b"\xff"])
def test_what_is_neither_is_an_error(value: bytes | None) -> None:
    for read in (window_of_late, windows_of_repeated, cases_of_repeated):
        with pytest.raises(RowError):
            read(value)
