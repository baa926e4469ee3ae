"""Rows of a second engine, as the review queue takes them in."""

import json

import pytest

from fraud.comparison.rows import RowError
from fraud.rules import load
from schemas.case import case_id
from service.queue.agreement import read_ksqldb

[VELOCITY] = (rule for rule in load() if rule.name == "velocity")
KEY = b"7" + (86_400_000).to_bytes(8, "big")
VALUE = json.dumps(
    {"WINDOW_END": 87_000_000, "PAYMENT_COUNT": 10, "TOTAL_AMOUNT": 10.5, "MAX_AMOUNT": 2, "PAYMENT_IDS": ["a"]}
).encode()


def test_a_row_is_one_of_the_case_that_python_would_make() -> None:
    row = read_ksqldb(VELOCITY, KEY, VALUE, 86_400_001)
    assert (row.case_id, row.group) == (case_id("velocity", 86_400_000, (7,)), {"payor_account_no": 7})


@pytest.mark.parametrize("timestamp", [-1, 2**62])
def test_a_row_whose_time_is_none_is_an_error(timestamp: int) -> None:
    with pytest.raises(RowError, match="not a row"):
        read_ksqldb(VELOCITY, KEY, VALUE, timestamp)
