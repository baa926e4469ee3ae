"""Agreement of both engines on a case: by fingerprints, which are equal where the comparison finds no difference."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.comparison.compare import Row, difference, window_key
from fraud.rules import load
from fraud.windows import MAX_LISTED
from service.queue.agreement import case_of, fingerprint, read_ksqldb, verdict
from tests.unit.service.queue.records import case, ksqldb_row

WINDOW = window_key("structuring", 0, {"payor_account_no": 1})
RULE = next(rule for rule in load() if rule.name == "velocity")

rows = st.builds(
    Row,
    window_end=st.sampled_from([500, 501]),
    payment_count=st.sampled_from([2, MAX_LISTED, MAX_LISTED + 1]),
    total_amount=st.sampled_from([Decimal("10000.01"), Decimal("10000.02")]),
    max_amount=st.sampled_from([9000.5, 9000.0]),
    payment_ids=st.sampled_from([("a", "b"), ("a", "c"), ("a",)]),
)


@given(rows, rows)
def test_two_rows_have_one_fingerprint_if_and_only_if_the_comparison_finds_them_equal(first: Row, second: Row) -> None:
    assert (fingerprint(first) == fingerprint(second)) == (difference(WINDOW, first, second) is None)


@given(rows)
def test_a_fingerprint_fits_into_an_integer_of_sqlite(row: Row) -> None:
    assert -(2**63) <= fingerprint(row) < 2**63


@pytest.mark.parametrize(
    ("ksqldb", "python", "agreement"),
    [(None, 1, "only_python"), (1, None, "only_ksqldb"), (1, 1, "agree"), (1, -1, "differ"), (0, 0, "agree")],
)
def test_a_verdict_says_which_engine_has_found_a_window(ksqldb: int | None, python: int | None, agreement: str) -> None:
    assert verdict(ksqldb, python) == agreement


def test_a_record_of_a_sink_topic_is_the_row_of_its_case() -> None:
    fields = {
        "window_end": 600_000,
        "payment_count": 2,
        "total_amount": 7.5,
        "max_amount": 5.0,
        "payment_ids": ["b", "a"],
    }
    value = msgspec.json.encode({name.upper(): content for name, content in fields.items()})
    row = read_ksqldb(RULE, b"7" + (0).to_bytes(8, "big"), value, 9)
    assert (row.rule, row.group, row.window_start, row.timestamp) == ("velocity", {"payor_account_no": 7}, 0, 9)
    assert row.row == Row(600_000, 2, Decimal("7.50"), 5.0, ("a", "b"))
    assert read_ksqldb(RULE, b"7" + (0).to_bytes(8, "big"), None, 9) == row._replace(row=None)


def test_a_case_that_ksqldb_alone_has_found_has_its_ids_and_no_more_of_its_payments() -> None:
    only_ksqldbs = case_of(ksqldb_row(case(1), timestamp=77))
    assert (only_ksqldbs.first_payment_at, only_ksqldbs.last_payment_at, only_ksqldbs.fired_at) == (None, 77, None)
    assert (only_ksqldbs.total_amount, [payment.id for payment in only_ksqldbs.payments]) == ("10001.03", ["p"])
    assert msgspec.to_builtins(only_ksqldbs.group) == case(1)["group"]
